"""Restore a model after a forward pass (clause LOSS-008).

Some architectures change themselves in a forward pass. BigBird replaces its sparse attention by
full attention at the first short input, Reformer writes a number of buckets into its
configuration, and I-BERT keeps the activation ranges and quantized weights of the last input.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mlmref.base.generators import generators_left
from mlmref.base.quiet_libraries import quiet


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Restore attributes, submodules, buffers and configurations of a model, on failure too.

    Parameters keep their identity, but not their values: they are too large to copy, and no
    forward pass writes to them.
    """
    before = list(_contents(model))
    try:
        yield
    finally:
        # In this mode, any tensor can be written to.
        with torch.inference_mode():
            for one, content in before:
                _restore(one, content)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and restore it and the generators afterwards.

    Transformers' warnings about changes of the model are hidden, because the changes are undone.
    """
    with unchanged(model), generators_left(), quiet():
        model.eval()
        yield


def _contents(model: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Yield each container and buffer of a model, with a copy of its content."""
    own = {"transformers"} | {_package(one) for one in model.modules()} - {"torch"}
    seen: set[int] = set()
    waiting: list[Any] = [model]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, Tensor):
            if not isinstance(one, nn.Parameter):
                yield one, one.detach().clone()
        elif isinstance(one, dict):
            yield one, copy.copy(one)
            waiting.extend(one.values())
        elif isinstance(one, list | set):
            yield one, copy.copy(one)
            waiting.extend(one)
        elif isinstance(one, tuple):
            waiting.extend(one)
        elif isinstance(one, nn.Module) or _package(one) in own:
            # For example a configuration. Its class may have no dictionary of attributes.
            waiting.append(getattr(one, "__dict__", None))


def _package(one: object) -> str:
    return type(one).__module__.partition(".")[0]


def _restore(one: Any, content: Any) -> None:
    """Restore the content of a container or a tensor, if it has changed."""
    if isinstance(one, Tensor):
        if not torch.equal(one, content):
            one.copy_(content)
    elif isinstance(one, dict):
        if list(one) != list(content) or any(one[key] is not content[key] for key in content):
            one.clear()
            one.update(content)
    elif isinstance(one, list):
        if len(one) != len(content) or any(a is not b for a, b in zip(one, content, strict=True)):
            one[:] = content
    elif one != content:
        one.clear()
        one.update(content)
