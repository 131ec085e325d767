"""The report: what a run was and came to, as one page (spec/report.md).

While a run works, :mod:`~mlmref.report.keep` writes down what nobody could tell later, with the
tokens spelled by :mod:`~mlmref.report.spelled`. Afterwards :mod:`~mlmref.report.data` reads a run
folder, :mod:`~mlmref.report.learnt` sums up what the model learnt, :mod:`~mlmref.report.charts`
draws, and :mod:`~mlmref.report.page` puts the page together; none of these needs torch.
"""
