"""The run folder and its checkpoints: built beside its place, renamed when complete, resumed."""
