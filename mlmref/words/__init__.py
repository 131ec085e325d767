"""Where words begin among the tokens: by the tokenizer itself, or by a word segmenter."""
