"""The run, from configuration to report: prepare, train, evaluate, write the run folder."""
