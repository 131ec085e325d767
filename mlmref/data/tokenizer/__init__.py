"""Use a tokenizer safely: its vocabulary, guarded encoding, and the characters it covers."""
