"""``mlmref compare``: variants of a run under several seeds, on one task (spec/compare.md).

plan -> folder -> runs -> measured -> statistics -> answer, a module each.
"""
