"""``mlmref preview``: chunks of one's own corpus as a model would read them (spec/preview.md).

:mod:`~mlmref.preview.core` asks the masker, :mod:`~mlmref.preview.rates` counts what came out,
:mod:`~mlmref.preview.spelling` turns tokens into text, :mod:`~mlmref.preview.parts` holds it, and
:mod:`~mlmref.preview.terminal` and :mod:`~mlmref.preview.page` show it.
"""
