"""``mlmref preview``: chunks of one's own corpus as a model would read them (spec/preview.md).

:mod:`~mlmref.studies.preview.preview` asks the masker, :mod:`~mlmref.masking.rates` counts what came out,
:mod:`~mlmref.data.tokens.spelling` turns tokens into text, :mod:`~mlmref.studies.preview.parts` holds it, and
:mod:`~mlmref.studies.preview.terminal` and :mod:`~mlmref.studies.preview.page` show it.
"""
