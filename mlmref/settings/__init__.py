"""The typed configuration of a run, and its sources: presets, files, ``--set``, flags."""
