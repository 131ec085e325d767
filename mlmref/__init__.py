"""mlmref: the reference implementation of masked-language-model fine-tuning."""

__version__ = "0.1.0"
