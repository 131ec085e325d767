"""The report: what a run was and came to, as one page (spec/report.md).

While a run works, :mod:`~mlmref.runner.log.kept_targets` writes down what nobody could tell later, with the
tokens spelled by :mod:`~mlmref.runner.log.kept_targets_text`. Afterwards :mod:`~mlmref.results.report.read` reads a run
folder, :mod:`~mlmref.results.report.learned` sums up what the model learnt, :mod:`~mlmref.results.report.charts`
draws, and :mod:`~mlmref.results.report.page` puts the page together; none of these needs torch.
"""
