"""What a logger is, which there are, and how one mirrors a record without standing in its way."""

from __future__ import annotations

import importlib
import importlib.util
import queue
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from veritrain.errors import MissingExtraError, UsageError, did_you_mean
from veritrain.record import RecordWriter, RunFolder, read_run

LOGGERS = {
    "tensorboard": "veritrain.training.loggers.tensorboard:TensorBoardStore",
    "mlflow": "veritrain.training.loggers.mlflow:MlflowStore",
}
MOST_WAITING = 200_000
FLUSH_SECONDS = 2.0
OPEN_SECONDS = 60.0
"""How long a store may take to open, at least: MLflow makes a new database in 2 s of work, which is 11 s on a machine
that is busy. Only a training that ends before then waits for it."""
CLOSE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Number:
    """One finite number of the record: its name in the logger, the optimiser step, its time in seconds since 1970."""

    name: str
    value: float
    step: int
    at: float


class Store(Protocol):
    """Where a logger keeps numbers. Made and used on one thread of its own."""

    def already(self, names: Collection[str]) -> set[tuple[str, int]]:
        """(name, step) pairs that an earlier segment of this run wrote, so that none is written twice."""
        ...

    def write(self, numbers: Sequence[Number]) -> None: ...

    def close(self, *, finished: bool) -> None:
        """``finished``: the run's record has its end."""
        ...


class StoreMaker(Protocol):
    """A class of stores: ``resume`` goes on with what an earlier segment wrote, else it begins anew."""

    def __call__(self, folder: RunFolder, *, resume: bool) -> Store: ...


def demand_loggers(names: Iterable[str]) -> None:
    """Before anything else is done.

    Raises:
        UsageError: no such logger. MissingExtraError: its package is not installed, or is and cannot be imported.
    """
    for name in names:
        if name not in LOGGERS:
            raise UsageError(f"no logger '{name}'", found=name, fix=did_you_mean(name, LOGGERS))
        if importlib.util.find_spec(name) is None:
            raise _missing(name, "no such package in this environment")
        store_class(name)


def _missing(name: str, found: str) -> MissingExtraError:
    return MissingExtraError(
        f"the logger '{name}' needs the package '{name}'",
        expected="the extra 'trackers' beside the training packages",
        found=found,
        fix="pip install 'veritrain[trackers]', or leave it out of --loggers",
    )


def start_loggers(names: Iterable[str], writer: RecordWriter, folder: RunFolder, *, resume: bool) -> None:
    """Mirror the record into each named logger from now on; on resume, what the record already holds as well.

    Raises:
        UsageError, MissingExtraError: as :func:`demand_loggers`.
    """
    names = list(dict.fromkeys(names))
    demand_loggers(names)
    history = numbers_of(read_run(folder.path).events) if resume and names else []
    for name in names:
        writer.mirror_to(LoggerMirror(name, store_class(name), folder, history, resume=resume))


def store_class(name: str) -> StoreMaker:
    """The store of a logger; its packages are imported by the calling thread, here and not before."""
    module, _, attribute = LOGGERS[name].partition(":")
    try:
        found: StoreMaker = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # a broken installation raises what it likes; nothing was trained yet
        raise _missing(name, f"{type(error).__name__}: {error}") from error
    return found


def numbers_of(events: Iterable[Mapping[str, Any]]) -> list[Number]:
    """The numbers of events in order; what is not finite is null in the record and left out here.

    A test score has no step of its own: it takes that of the newest event that has one.
    """
    reader = NumberReader()
    return [number for event in events for number in reader.of(event)]


class NumberReader:
    """Reads lines of a record one by one: ``train/loss/frame`` (unweighted), ``val/frame_auroc``, ``grad/...``."""

    def __init__(self) -> None:
        self._step = 0

    def of(self, line: Mapping[str, Any]) -> Iterator[Number]:
        """The numbers of one line."""
        if isinstance(line.get("step"), int):
            self._step = int(line["step"])
        for name, value in _named(line):
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield Number(name=name, value=float(value), step=self._step, at=_seconds(line))


def _named(line: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    event, split = line.get("event"), line.get("split") or "train"
    if event == "term":
        yield f"{split}/loss/{line['name']}", line.get("value")
    elif event == "metric" and line["name"] != "learning_rate":
        yield f"{split}/{line['name']}", line.get("value")
    elif event == "grad":
        yield f"grad/{line.get('name', 'norm')}", line.get("value")
        yield "learning_rate", line.get("learning_rate")


def _seconds(line: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(line.get("t_utc"))).timestamp()
    except ValueError:
        return time.time()


class LoggerMirror:
    """Hands the numbers of each line to a thread that owns the store; the training waits for nothing.

    An error in the store is raised by the next ``line`` or ``close``: the writer then drops this mirror and notes it.

    Args:
        history: numbers of earlier segments; those up to the checkpoint that the run resumes from are written if the
            store lacks them, the others are about to be made again.
    """

    def __init__(
        self, name: str, store: StoreMaker, folder: RunFolder, history: Sequence[Number], *, resume: bool
    ) -> None:
        self.name = name
        self._reader = NumberReader()
        self._history: Sequence[Number] = history
        self._waiting: queue.Queue[Sequence[Number] | None] = queue.Queue(MOST_WAITING)
        self._error: Exception | None = None
        self._names = {number.name for number in history}
        self._finished = False
        self._opened, self._open_until = threading.Event(), time.monotonic() + OPEN_SECONDS
        self._thread = threading.Thread(
            target=self._work, args=(store, folder, resume), name=f"logger {name}", daemon=True
        )
        self._thread.start()

    def line(self, line: Mapping[str, Any]) -> None:
        """Queue what the line holds.

        Raises:
            Exception: what broke in the store since the last line. TimeoutError: the store is too slow.
        """
        self._raise_error()
        self._finished = self._finished or line["event"] == "end"
        if self._history and line["event"] == "resume":
            kept = [number for number in self._history if number.step <= (line["step"] or 0)]
            self._history = []
            self._put(kept)
        numbers = list(self._reader.of(line))
        if numbers:
            self._put(numbers)

    def _put(self, numbers: Sequence[Number]) -> None:
        try:
            self._waiting.put_nowait(numbers)
        except queue.Full:
            raise TimeoutError(f"{MOST_WAITING:,} lines wait to be written: the store is too slow") from None

    def close(self) -> None:
        """Write what waits, and let go.

        Raises:
            Exception: what broke in the store. TimeoutError: it was not done in time; the rest is not written.
        """
        self._raise_error()
        self._put_end()
        self._opened.wait(max(0.0, self._open_until - time.monotonic()))
        self._thread.join(CLOSE_SECONDS)
        self._raise_error()
        if not self._opened.is_set():
            raise TimeoutError("its store did not open in time, and nothing was written")
        if self._thread.is_alive():
            raise TimeoutError(f"not everything was written within {CLOSE_SECONDS:g} s")

    def _put_end(self) -> None:
        try:
            self._waiting.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            raise TimeoutError("the store takes nothing any more") from None

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    # ---- on the thread ----------------------------------------------------------------------------------------

    def _work(self, store: StoreMaker, folder: RunFolder, resume: bool) -> None:
        try:
            opened = store(folder, resume=resume)
            self._opened.set()
            try:
                done = opened.already(self._names) if resume else set()
                while (numbers := self._next_batch()) is not None:
                    fresh = [number for number in numbers if (number.name, number.step) not in done]
                    done |= {(number.name, number.step) for number in fresh} if resume else set()
                    if fresh:
                        opened.write(fresh)
            finally:
                opened.close(finished=self._finished)
        except Exception as error:  # noqa: BLE001 - told to the writer at the next line; the training goes on
            self._error = error
        finally:
            self._opened.set()

    def _next_batch(self) -> list[Number] | None:
        """What came in the last seconds; None when there is nothing more to come."""
        first = self._waiting.get()
        if first is None:
            return None
        batch, until = list(first), time.monotonic() + FLUSH_SECONDS
        while (left := until - time.monotonic()) > 0:
            try:
                more = self._waiting.get(timeout=left)
            except queue.Empty:
                break
            if more is None:
                self._waiting.put(None)
                break
            batch += more
        return batch
