"""What a person sees while training: a bar with ETA on a terminal, one plain line an epoch elsewhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any, Protocol, TextIO


@dataclass(frozen=True, kw_only=True)
class FitSummary:
    """How a training ended.

    Attributes:
        epochs_done: whole epochs over all segments of the run.
        steps: optimiser steps over all segments.
        best_epoch, best_value: of the selection metric; None when it was never defined.
        seconds: training and validation time over all segments.
        samples_per_second: while training, in this segment; None when it trained nothing.
        stop_reason: "epochs" (all done), "patience" or "time".
        begun: whether steps of a further epoch were done.
        overflows: steps without an update, because gradients overflowed in float16; over all segments.
    """

    epochs_done: int
    steps: int
    best_epoch: int | None
    best_value: float | None
    seconds: float
    samples_per_second: float | None
    stop_reason: str
    begun: bool = False
    overflows: int = 0

    def text(self, metric: str) -> str:
        """The last line a person reads."""
        per_epoch = f", {self.seconds / self.epochs_done:.3g} s per epoch" if self.epochs_done else ""
        rate = "" if self.samples_per_second is None else f", {self.samples_per_second:.4g} samples/s"
        best = f"best {metric} {self.best_value:.4g} at epoch {self.best_epoch}" if self.best_value is not None else (
            f"{metric} was never defined")  # fmt: skip
        why = {"epochs": "all epochs done", "patience": "no better epoch for a while", "time": "time budget used up"}
        return (
            f"stopped: {why[self.stop_reason]}; {self._epochs()}, {self.steps} steps "
            f"in {clock(self.seconds)}{per_epoch}{rate}; {best}{self._skipped()}"
        )

    def _epochs(self) -> str:
        """Whole epochs, and the begun one: it was validated too and may be the best."""
        whole = f"{self.epochs_done} whole epoch{'' if self.epochs_done == 1 else 's'}"
        return f"{whole} and a part of epoch {self.epochs_done + 1}" if self.begun else whole

    def _skipped(self) -> str:
        return f"; {self.overflows} steps made no update (float16 overflow)" if self.overflows else ""


class Progress(Protocol):
    """Told what happens; shows it."""

    def start(self, *, total_steps: int, done_steps: int) -> None: ...

    def step(self, step: int, loss: float) -> None: ...

    def epoch(self, line: str) -> None: ...

    def say(self, line: str) -> None: ...

    def end(self, line: str) -> None:
        """Always called, also after an error (with an empty line)."""
        ...


class PlainProgress:
    """One line an epoch, no control characters: for logs, pipes and CI."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def start(self, *, total_steps: int, done_steps: int) -> None:
        pass

    def step(self, step: int, loss: float) -> None:
        pass

    def epoch(self, line: str) -> None:
        self.say(line)

    def say(self, line: str) -> None:
        if line:
            print(line, file=self._stream, flush=True)

    end = say


class TerminalProgress:
    """A bar over all steps with loss, elapsed time and ETA; epoch lines scroll above it."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars: Any = Bars(
            TextColumn("training"), BarColumn(), MofNCompleteColumn(), TextColumn("loss {task.fields[loss]}"),
            TimeElapsedColumn(), TextColumn("ETA"), TimeRemainingColumn(), console=Console(file=stream),
        )  # fmt: skip
        self._bar: Any = None

    def start(self, *, total_steps: int, done_steps: int) -> None:
        self._bar = self._bars.add_task("training", total=total_steps, completed=done_steps, loss="-")
        self._bars.start()

    def step(self, step: int, loss: float) -> None:
        self._bars.update(self._bar, completed=step, loss=f"{loss:.4g}")

    def epoch(self, line: str) -> None:
        self.say(line)

    def say(self, line: str) -> None:
        if line:
            self._bars.console.print(line, markup=False, highlight=False)

    def end(self, line: str) -> None:
        self._bars.stop()
        self.say(line)


class Silent(PlainProgress):
    """Shows nothing: ranks above 0, and callers that print themselves."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def say(self, line: str) -> None:
        pass

    end = say


def progress_for(stream: TextIO | None = None) -> Progress:
    """A bar where a person watches ``stream`` (stderr by default), plain lines elsewhere."""
    stream = stream or sys.stderr
    return TerminalProgress(stream) if stream.isatty() else PlainProgress(stream)


def clock(seconds: float) -> str:
    """``h:mm:ss``, or ``12.3 s`` below a minute."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
