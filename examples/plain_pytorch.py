"""A training loop in plain PyTorch, with a strategy of its own: tokens that contain a digit."""

import numpy as np
import torch
from torch.utils.data import DataLoader

import mlmref
from mlmref.plugin import Plan, StrategyEntry

EPOCHS = 2


class Digits:
    """Masks every token that contains a digit, and 10 % of the others."""

    def __init__(self, options):
        pass

    def propose(self, batch, draws):
        """Return the targets of a batch."""
        tokens = batch.vocabulary.tokens
        digit = np.any([np.char.find(tokens, one) >= 0 for one in "0123456789"], axis=0)
        others = draws.bernoulli("others", 0.1)
        return Plan(targets=(digit[batch.input_ids] | others) & ~batch.special)


digits = StrategyEntry(name="digits", summary="tokens that contain a digit", build=Digits)

model, tokenizer = mlmref.load_model(), mlmref.load_tokenizer()
tokens = mlmref.tokenize(mlmref.load_corpus("imdb", limit=1_000), tokenizer)
parts = mlmref.split(mlmref.chunk(tokens, 128), test_size=0.1, seed=42)
collator = mlmref.MaskingCollator(tokenizer, digits, seed=42)
train = DataLoader(
    parts.train.to_dataset(), shuffle=True, batch_size=32, collate_fn=collator, num_workers=2
)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)

print("before:", mlmref.perplexity(model, tokenizer, parts.test, digits))
model.train()
for _ in range(EPOCHS):
    for batch in train:
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
print("after: ", mlmref.perplexity(model, tokenizer, parts.test, digits))
