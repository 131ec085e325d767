"""A Lightning module with mlmref's masks: ``pip install "mlmref[examples]"``."""

import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader

import mlmref


class MaskedLanguageModel(lightning.LightningModule):
    """Trains a masked language model."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def training_step(self, batch, _):
        """Return the loss of a batch."""
        return self.model(**batch).loss

    def validation_step(self, batch, _):
        """Log the loss of a batch, which has the same masks in each epoch."""
        self.log("val_loss", self.model(**batch).loss, prog_bar=True)

    def configure_optimizers(self):
        """Return the optimizer."""
        return torch.optim.AdamW(self.parameters(), lr=2e-4)


model, tokenizer = mlmref.load_model(), mlmref.load_tokenizer()
tokens = mlmref.tokenize(mlmref.load_corpus("imdb", limit=1_000), tokenizer)
parts = mlmref.split(mlmref.chunk(tokens, 128), test_size=0.1, seed=42)
collator = mlmref.MaskingCollator(tokenizer, "token", seed=42)
train = DataLoader(parts.train.to_dataset(), shuffle=True, batch_size=32, collate_fn=collator)
test = DataLoader(parts.test.to_dataset(), batch_size=32, collate_fn=collator.frozen())

print("before:", mlmref.perplexity(model, tokenizer, parts.test))
trainer = lightning.Trainer(max_epochs=1, logger=False, enable_checkpointing=False)
trainer.fit(MaskedLanguageModel(model), train, test)
print("after: ", mlmref.perplexity(model, tokenizer, parts.test))
