"""The idiom of Transformers' run_mlm.py: arguments, Trainer, and a perplexity at the end.

python examples/run_mlm.py --output_dir out --train_file reviews.txt --max_steps 50
"""

from dataclasses import dataclass, field

from transformers import HfArgumentParser, Trainer, TrainingArguments, set_seed

import mlmref


@dataclass
class DataArguments:
    """Model, data and masks."""

    model_name_or_path: str = field(default="embedded", metadata={"help": "a model, or its folder"})
    train_file: str = field(default="imdb", metadata={"help": "a .txt, .csv or .jsonl file"})
    max_train_samples: int = field(default=1_000, metadata={"help": "the documents to read"})
    validation_split_percentage: int = field(default=10, metadata={"help": "what to hold out"})
    max_seq_length: int = field(default=128, metadata={"help": "tokens in a chunk"})
    masking: str = field(default="token", metadata={"help": "any masking strategy of mlmref"})
    mlm_probability: float = field(default=0.15, metadata={"help": "the share to mask"})


def main():
    """Train, and print the perplexity before and after."""
    parser = HfArgumentParser((DataArguments, TrainingArguments))
    arguments, training = parser.parse_args_into_dataclasses()
    set_seed(training.seed)
    model = mlmref.load_model(arguments.model_name_or_path)
    tokenizer = mlmref.load_tokenizer(arguments.model_name_or_path)
    corpus = mlmref.load_corpus(arguments.train_file, limit=arguments.max_train_samples)
    chunks = mlmref.chunk(mlmref.tokenize(corpus, tokenizer), arguments.max_seq_length)
    share = arguments.validation_split_percentage / 100
    parts = mlmref.split(chunks, test_size=share, seed=training.seed)
    masks = {"mlm_probability": arguments.mlm_probability}

    def perplexity():
        return mlmref.perplexity(model, tokenizer, parts.test, arguments.masking, **masks)

    training.remove_unused_columns = False  # keeps word_ids and id for the collator
    trainer = Trainer(
        model,
        training,
        train_dataset=parts.train.to_dataset(),
        eval_dataset=parts.test.to_dataset(),
        data_collator=mlmref.MaskingCollator(tokenizer, arguments.masking, **masks),
    )
    print("before:", perplexity())
    trainer.train()
    trainer.save_model()
    print("after: ", perplexity())


if __name__ == "__main__":
    main()
