"""``python -m mlmref``."""

from mlmref.cli import main

main()
