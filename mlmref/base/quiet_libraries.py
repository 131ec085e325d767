"""Silence the progress bars and warnings of other libraries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Transformers, Datasets and the hub's client, and put them back as they were."""
    import datasets
    from datasets.utils import are_progress_bars_disabled
    from huggingface_hub import utils
    from transformers.utils import logging

    transformers: Any = logging  # its functions are not annotated
    hub: Any = utils  # it does not declare what it exports
    loggers = {name: getLogger(name) for name in ("huggingface_hub", "datasets")}
    levels = {name: logger.level for name, logger in loggers.items()}
    verbosity = transformers.get_verbosity()
    bars = [
        (transformers.is_progress_bar_enabled(), transformers.enable_progress_bar),
        (not are_progress_bars_disabled(), datasets.enable_progress_bars),
        (not hub.are_progress_bars_disabled(), hub.enable_progress_bars),
    ]
    transformers.set_verbosity_error()
    transformers.disable_progress_bar()
    datasets.disable_progress_bars()
    hub.disable_progress_bars()
    for logger in loggers.values():
        logger.setLevel("ERROR")  # a retry is no news; the outcome is
    try:
        yield
    finally:
        for name, logger in loggers.items():
            logger.setLevel(levels[name])
        transformers.set_verbosity(verbosity)
        for enabled, enable in bars:
            if enabled:
                enable()
