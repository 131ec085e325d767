"""What a run records while it works: metrics, trackers, provenance, held-out targets."""
