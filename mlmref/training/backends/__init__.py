"""Training backends: what is built in, and what they share."""
