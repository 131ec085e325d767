"""``mlmref preview``: chunks of a corpus as masking strategies leave them (spec/preview.md).

``preview`` asks the masker, :mod:`mlmref.masking.rates` counts targets,
:mod:`mlmref.data.tokens.spelling` turns tokens into text, ``parts`` holds the result, and
``terminal`` and ``page`` show it.
"""
