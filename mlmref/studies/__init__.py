"""Studies of a corpus, a model or several runs: inspect, preview, compare, downstream, verify."""
