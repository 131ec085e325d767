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
    """A context in which the first signal is a wish, and the second is obeyed at once.

    Attributes:
        asked: the signal that came, 0 before.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[int, Any] = {}
        self._finishes = True

    def __enter__(self) -> Self:
        self._process = os.getpid()
        # Python lets the main thread alone handle signals.
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
        if kind is None and self.asked:  # it came when the last step was booked already
            self.obey()

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Obey at once for a while, in which there is nothing that has to be finished first."""
        self._finishes = False
        try:
            if self.asked:
                self.obey()
            yield
        finally:
            self._finishes = True

    def obey(self) -> None:
        """Do what the signal would have done; on a rank that got none, as at SIGTERM."""
        # A program's own handler may return, and what it has heard of is not to be told again.
        asked, self.asked = self.asked or signal.SIGTERM, 0
        self._put_back()
        signal.raise_signal(asked)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # A worker of the data loader, which has inherited this: Ctrl-C reaches it too, but
            # its end is the main process's to say, with SIGTERM.
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
