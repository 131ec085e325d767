"""What people run otherwise: plain Trainer, and the tutorial's algorithms in our own words."""

import statistics
import time
from collections import defaultdict
from itertools import pairwise

import datasets
import numpy as np
import transformers
from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments

datasets.disable_progress_bars()


class Stamps(transformers.TrainerCallback):
    """Notes when each step ended."""

    def __init__(self):
        self.at = []

    def on_step_end(self, *args, **kwargs):
        """Note the time."""
        self.at.append(time.perf_counter())


def quiet_arguments(folder, **own):
    """Return Trainer's own defaults, without bars, logs and files."""
    return TrainingArguments(
        output_dir=str(folder),
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        **own,
    )


def median_step(at):
    """Return the median time of a step, the first left out, which allocates."""
    return statistics.median(b - a for a, b in pairwise(at))


def trainer_step(model, tokenizer, rows, folder, *, batch_size, steps):
    """Return the median seconds of a step of plain Trainer, data and optimizer included."""
    stamps = Stamps()
    Trainer(
        model=model,
        args=quiet_arguments(
            folder, per_device_train_batch_size=batch_size, max_steps=steps, weight_decay=0.01
        ),
        train_dataset=rows,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
        callbacks=[stamps],
    ).train()
    return median_step(stamps.at)


def trainer_evaluation(model, tokenizer, rows, folder):
    """Return a call of ``Trainer.evaluate`` on the rows, in batches of 64 as in the tutorial."""
    trainer = Trainer(
        model=model,
        args=quiet_arguments(folder, per_device_eval_batch_size=64),
        eval_dataset=rows,
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
    )
    return trainer.evaluate


def tokenize_reviews(texts, tokenizer):
    """Tokenize as the tutorial does, word ids included (T05)."""

    def tokenized(examples):
        result = tokenizer(examples["text"], return_token_type_ids=False)
        result["word_ids"] = [result.word_ids(i) for i in range(len(result["input_ids"]))]
        return result

    drop = texts.column_names
    return texts.map(tokenized, batched=True, remove_columns=drop, load_from_cache_file=False)


def group_reviews(tokenized, size=128):
    """Join and cut as the tutorial does: ``sum`` of lists, a thousand reviews at a time (T09)."""

    def grouped(examples):
        joined = {key: sum(examples[key], []) for key in examples}  # noqa: RUF017 - the tutorial's
        whole = len(next(iter(joined.values()))) // size * size
        result = {
            key: [tokens[start : start + size] for start in range(0, whole, size)]
            for key, tokens in joined.items()
        }
        result["labels"] = result["input_ids"].copy()
        return result

    return tokenized.map(grouped, batched=True, load_from_cache_file=False)


def tutorial_collator(features, mask_id):
    """Mask whole words in the features and make tensors of them, as the tutorial does (T13).

    ``support.naive_masking`` has the same in a shorter form, which is a tenth quicker.
    """
    for feature in features:
        words, number, current = defaultdict(list), -1, None
        for position, word in enumerate(feature.pop("word_ids")):
            if word is not None:
                if word != current:
                    current = word
                    number += 1
                words[number].append(position)
        chosen = np.random.binomial(1, 0.2, len(words))  # noqa: NPY002 - unseeded, as there
        read, truth = feature["input_ids"], feature["labels"]
        labels = [-100] * len(truth)
        for word in np.flatnonzero(chosen):
            for position in words[word.item()]:
                labels[position] = truth[position]
                read[position] = mask_id
        feature["labels"] = labels
    return transformers.default_data_collator(features)
