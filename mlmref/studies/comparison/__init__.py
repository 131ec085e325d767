"""``mlmref compare``: variants of a run with several seeds, on one task (spec/compare.md).

The steps are modules: plan, folder, compare, measured, statistics, answer.
"""
