"""The main job as a plain script with Trainer: what one would write after the tutorial.

``python plain_run.py REVIEWS.csv FOLDER`` adapts the embedded checkpoint to the reviews with the
settings of ``mlmref run``, and writes the model to the folder.
"""

import math
import sys

import datasets
import torch
from benchmarks.peers import group_reviews, tokenize_reviews
from transformers import (
    AutoModelForMaskedLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    Trainer,
    TrainingArguments,
    pipeline,
)

from mlmref.model.embedded import embedded_checkpoint


def main(file, folder):
    """Tokenize, chunk, split, evaluate, train, evaluate, fill, save."""
    reviews = datasets.load_dataset("csv", data_files=file, split="train")
    tokenizer = AutoTokenizer.from_pretrained(embedded_checkpoint())
    model = AutoModelForMaskedLM.from_pretrained(
        embedded_checkpoint(),
        dtype=torch.float32,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    chunks = group_reviews(tokenize_reviews(reviews, tokenizer))
    chunks = chunks.remove_columns("word_ids")
    split = chunks.train_test_split(train_size=10_000, test_size=1_000, seed=42)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=folder,
            num_train_epochs=1,
            per_device_train_batch_size=64,
            per_device_eval_batch_size=64,
            learning_rate=5e-4,
            weight_decay=0.01,
            logging_strategy="epoch",
            save_strategy="no",
            report_to="none",
        ),
        train_dataset=split["train"],
        eval_dataset=split["test"],
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15),
        processing_class=tokenizer,
    )
    print("before", math.exp(trainer.evaluate()["eval_loss"]))
    trainer.train()
    print("after", math.exp(trainer.evaluate()["eval_loss"]))
    print(pipeline("fill-mask", model=model, tokenizer=tokenizer)("This is a great [MASK]."))
    trainer.save_model(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
