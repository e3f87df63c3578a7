"""SIGTERM and SIGINT ask for an orderly end: the handler only takes a note, the loop acts between steps."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

WATCHED = (signal.SIGINT, signal.SIGTERM)

PATIENCE_SECONDS = 30.0
"""A second SIGTERM this long after the first ends the process at once; supervisors often send two in a row."""


class Abandon(BaseException):
    """Leave a part of the run whose results can be thrown away (validation), to save and end."""


class Signals:
    """A context in which the first signal is noted in ``received`` and a second SIGINT aborts at once.

    Outside the main thread, where Python allows no handlers, it watches nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._since = 0.0
        self._may_abandon = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in WATCHED:
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    @contextmanager
    def abandonable(self) -> Iterator[None]:
        """Inside, the first signal raises :class:`Abandon` at once; one that came before does so on entry."""
        self._may_abandon = True
        try:
            if self.received is not None:
                raise Abandon
            yield
        finally:
            self._may_abandon = False

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received is None:
            self.received, self._since = number, time.monotonic()
            if self._may_abandon:
                raise Abandon
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
        elif time.monotonic() - self._since > PATIENCE_SECONDS:
            raise SystemExit(128 + number)
