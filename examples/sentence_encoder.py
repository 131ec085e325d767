"""Adapt the encoder of a sentence-transformers pipeline, and use the pipeline again.

It needs ``pip install "mlmref[examples]"``.
"""

import tempfile

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import Trainer, TrainingArguments

import mlmref

# A pipeline as you have it: an encoder and mean pooling. Here the encoder is that of the checkpoint
# that mlmref has offline; with the hub, SentenceTransformer("all-MiniLM-L6-v2") and
# AutoModelForMaskedLM.from_pretrained of the encoder's base model.
model, tokenizer = mlmref.load_model(), mlmref.load_tokenizer()
with tempfile.TemporaryDirectory() as folder:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    encoder = Transformer(folder)
pipeline = SentenceTransformer(modules=[encoder, Pooling(model.config.hidden_size)])

# The masked language model trains the pipeline's encoder: both have the same weights from now on.
setattr(model, model.base_model_prefix, encoder.auto_model)

tokens = mlmref.tokenize(mlmref.load_corpus("imdb", limit=1_000), tokenizer)
parts = mlmref.split(mlmref.chunk(tokens, 128), test_size=0.1, seed=42)
sentences = ["A wonderful film.", "I loved this movie.", "The train was late."]
vectors = pipeline.encode(sentences)

print("before:", mlmref.perplexity(model, tokenizer, parts.test, "whole-word"))
Trainer(
    model,
    TrainingArguments(
        "out",
        num_train_epochs=1,
        learning_rate=2e-4,
        per_device_train_batch_size=32,
        save_strategy="no",
        report_to="none",
        remove_unused_columns=False,  # keeps word_ids and id for the collator
    ),
    train_dataset=parts.train.to_dataset(),
    data_collator=mlmref.MaskingCollator(tokenizer, "whole-word", seed=42),
).train()
print("after: ", mlmref.perplexity(model, tokenizer, parts.test, "whole-word"))

adapted = pipeline.encode(sentences)
print("the encoder changed:", bool(abs(adapted - vectors).max() > 1e-3))
print("similarities:", pipeline.similarity(adapted, adapted).numpy().round(2).tolist())
