"""The checkpoint that ships, ``tiny-base``; ``tools/embedded`` makes it."""
