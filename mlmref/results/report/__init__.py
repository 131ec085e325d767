"""The report: a run as one page, with its settings, curves and answers (spec/report.md).

A run keeps the held-out targets that a page needs (:mod:`mlmref.runner.log.kept_targets`).
:mod:`~mlmref.results.report.read` reads a run folder, :mod:`~mlmref.results.report.learned` sums up
what the model learned, :mod:`~mlmref.results.report.charts` draws, and
:mod:`~mlmref.results.report.page` puts the page together. None of them needs torch.
"""
