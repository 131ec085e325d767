"""Handle Ctrl-C and SIGTERM during training: finish the step, save, and exit (RUN-014)."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping:
    """A context in which the first signal ends training after the step, the second at once.

    Attributes:
        asked: the signal that was received; 0 if none.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[int, Any] = {}
        self._finishes = True

    def __enter__(self) -> Self:
        self._process = os.getpid()
        # Only the main thread may set signal handlers.
        if threading.current_thread() is threading.main_thread():
            heard = [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
            self._before = {one: signal.signal(one, self._note) for one in heard}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._put_back()
        if kind is None and self.asked:  # it came after the last step was reported
            self.obey()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Obey signals at once in this context, since no step is in progress."""
        self._finishes = False
        try:
            if self.asked:
                self.obey()
            yield
        finally:
            self._finishes = True

    def obey(self) -> None:
        """Raise the signal for its original handler; SIGTERM on a rank that received none."""
        # The original handler may return; it must not receive the same signal again.
        asked, self.asked = self.asked or signal.SIGTERM, 0
        self._put_back()
        signal.raise_signal(asked)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A data-loader worker inherits this handler, and Ctrl-C reaches it too. The main
            # process ends its workers, with SIGTERM.
            if number == signal.SIGTERM:
                os._exit(128 + number)
        else:
            again, self.asked = bool(self.asked), number
            if again or not self._finishes:
                self.obey()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
