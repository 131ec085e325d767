"""How a check ends: a violation, or the reason why it cannot be decided."""

from __future__ import annotations

from typing import Any

READABLE = 500
"""Maximum number of values that an example shows of an array."""


def text_of(error: BaseException) -> str:
    """Return an exception's type and message in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


class Violation(Exception):  # noqa: N818 - the result of a check, not an error of the kit
    """A clause does not hold.

    Args:
        what: what happened, without a full stop.
        example: the smallest failing case, as names and printable values.

    Attributes:
        raised: type and text of the exception if the plugin raised one; otherwise empty.
    """

    def __init__(self, what: str, **example: Any) -> None:
        super().__init__(what)
        self.what = what
        self.raised = ""
        self.shown = example
        self.example = {name: _printable(value) for name, value in example.items()}

    @classmethod
    def of_exception(cls, error: BaseException) -> Violation:
        """Return the violation of a plugin that raised an exception."""
        text = text_of(error)
        found = cls(f"it raised {text}")
        found.raised = text
        return found

    def having(self, **example: Any) -> Violation:
        """Return the same violation with more of its example."""
        found = Violation(self.what, **self.shown, **example)
        found.raised = self.raised
        return found

    def __str__(self) -> str:
        lines = [self.what, *(f"  {name} = {value}" for name, value in self.example.items())]
        return "\n".join(lines)


class NotReached(Exception):  # noqa: N818 - the result of a check, not an error of the kit
    """A check cannot be decided: it neither passes nor fails (KIT-010).

    Args:
        why: the reason, such as ``after BACK-012`` if a failure of that clause hides the result.
    """


def _printable(value: Any) -> str:
    """Return an array as a list, which can be pasted back, or as its shape if it is large.

    Failures by chance stay large: the same rows may pass the next time.
    """
    if getattr(value, "size", 0) > READABLE:
        return f"<{' x '.join(map(str, value.shape))} values>"
    return repr(value.tolist() if hasattr(value, "tolist") else value)
