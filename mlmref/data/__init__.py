"""From a corpus to chunks: documents, tokens, words, chunks, the split, and their cache."""
