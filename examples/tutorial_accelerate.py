"""The tutorial's own training loop with Accelerate."""

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader
from transformers import get_scheduler

import mlmref

EPOCHS = 1

model, tokenizer = mlmref.load_model(), mlmref.load_tokenizer()
reviews = mlmref.load_corpus("imdb", limit=1_000).dataset.train_test_split(test_size=0.1, seed=42)
tokens = reviews.map(
    lambda batch: tokenizer(batch["text"]), batched=True, remove_columns=["text", "label"]
)
chunks = tokens.map(mlmref.GroupTexts(128), batched=True)

collator = mlmref.MaskingCollator(tokenizer, "whole-word", mlm_probability=0.2, seed=42)
train = DataLoader(chunks["train"], shuffle=True, batch_size=32, collate_fn=collator)
# The course masks the held-out chunks once with insert_random_mask; a frozen collator does that.
test = DataLoader(chunks["test"], batch_size=32, collate_fn=collator.frozen())

optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4)
accelerator = Accelerator()
model, optimizer, train, test = accelerator.prepare(model, optimizer, train, test)
steps = EPOCHS * len(train)
schedule = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=steps)


def perplexity():
    """Return the perplexity of the held-out chunks."""
    unwrapped = accelerator.unwrap_model(model)
    return mlmref.perplexity(unwrapped, tokenizer, chunks["test"], "whole-word")


print("before:", perplexity())
for epoch in range(EPOCHS):
    model.train()
    for batch in train:  # the masks of each epoch are new
        accelerator.backward(model(**batch).loss)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()
    with torch.no_grad():
        losses = torch.stack([accelerator.gather(model(**batch).loss).mean() for batch in test])
    print(f"epoch {epoch}: mean loss of the held-out batches {losses.mean():.3f}")
print("after: ", perplexity())
