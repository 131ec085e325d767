"""Load a masked language model, check it, and compute its loss at the masked positions only."""
