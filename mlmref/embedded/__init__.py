"""The checkpoint that ships, ``tiny-base``, and how it is made: ``recipe.toml`` and ``make``."""
