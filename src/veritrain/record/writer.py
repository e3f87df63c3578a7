"""The one writer of a run folder."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import math
import os
import re
import shutil
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TextIO

from veritrain.errors import RecordError, RunInUseError, StorageError
from veritrain.record.folder import RunFolder, cannot_write, nulled, write_json
from veritrain.record.rows import Evidence

SCHEMA = 1
"""Version of the record and of the files beside it."""

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
"""Made once: ``json.dumps`` with options builds an encoder for every line."""

EVENTS = frozenset(
    [
        "start",
        "plan",
        "term",
        "metric",
        "grad",
        "balance",
        "look",
        "throughput",
        "checkpoint",
        "resume",
        "signal",
        "nonfinite",
        "overflow",
        "stop",
        "end",
        "note",
    ]
)
"""Every event a record may hold, one JSON line each: ``{v, t_utc, t_mono, event, step, epoch, ...}``."""


LOCK_TRIES = 5
LOCK_PAUSE_SECONDS = 0.05
"""A watcher may hold a shared lock for an instant while it looks whether a writer lives: try again before refusing."""


class Mirror(Protocol):
    """Told each line of the record after it was written, to show it elsewhere; whatever it raises ends only itself."""

    name: str

    def line(self, line: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


class RecordWriter:
    """The one writer of a run folder; a second one is refused while it lives.

    Args:
        folder: the run folder, made if it does not exist.
        flush_seconds: lines reach the disk at least this often; checkpoint, stop and end events at once.

    Raises:
        RunInUseError: another process holds the folder.
        StorageError: from any method, when the disk is full.
    """

    def __init__(self, folder: RunFolder, *, flush_seconds: float = 0.5) -> None:
        self.folder = folder
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            self._lock = folder.lock.open("w")
        except OSError as error:
            raise cannot_write(folder.path, error) from error
        try:
            _take(self._lock)
        except OSError as error:
            self._lock.close()
            raise RunInUseError(
                "the run is in use",
                expected="no other process writing this folder",
                found=f"a lock on {folder.lock}",
                fix="wait for it to end, stop it, or choose another --run",
                file=folder.path,
            ) from error
        _OPEN.add(self)
        _cut_torn_line(folder.record)
        self._lines: TextIO = folder.record.open("a", encoding="utf-8")
        self._log: TextIO = folder.train_log.open("a", encoding="utf-8")
        fresh = not folder.metrics_csv.exists()
        self._table: TextIO = folder.metrics_csv.open("a", encoding="utf-8", newline="")
        self._csv = csv.writer(self._table)
        if fresh:
            self._csv.writerow(["step", "epoch", "split", "name", "value", "n"])
        self._flush_seconds = flush_seconds
        self._flushed = time.monotonic()
        self._mirrors: list[Mirror] = []

    def mirror_to(self, mirror: Mirror) -> None:
        """From now on, tell ``mirror`` each line. When it fails it is dropped, and a note says so once."""
        self._mirrors.append(mirror)

    def event(self, event: str, *, step: int | None = None, epoch: int | None = None, **fields: Any) -> None:
        """Append one line. A number that is not finite becomes null and adds a nonfinite event."""
        if event not in EVENTS:
            raise RecordError(f"no event '{event}'", expected=", ".join(sorted(EVENTS)), found=event)
        broken = {key: number for key, number in fields.items() if _is_broken(number)}
        fields.update(dict.fromkeys(broken))
        line = {
            "v": SCHEMA,
            "t_utc": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "t_mono": round(time.monotonic(), 4),
            "event": event,
            "step": step,
            "epoch": epoch,
            **fields,
        }
        with self._told_when_full():
            self._lines.write(_encode(line) + "\n")
            if event == "metric":
                name, split, number = fields.get("name"), fields.get("split"), fields.get("n")
                self._csv.writerow([step, epoch, split, name, fields.get("value"), number])
        for mirror in list(self._mirrors):
            self._show(mirror, lambda to=mirror: to.line(line))  # type: ignore[misc]
        for key, number in broken.items():
            name = fields.get("name") if key == "value" else f"{event} {key}"
            self.event("nonfinite", step=step, epoch=epoch, name=name, found=str(number))
        urgent = event not in ("term", "grad", "balance")
        if urgent or time.monotonic() - self._flushed > self._flush_seconds:
            self.flush()

    def _show(self, mirror: Mirror, act: Callable[[], None]) -> None:
        """What a mirror does must never end or change the training: an error in it ends the mirror."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - whatever breaks in a logger, the record and the training go on
            self._mirrors.remove(mirror)
            text = _without_passwords(f"the logger {mirror.name} stopped: {type(error).__name__}: {error}")
            self.event("note", kind="logger", name=mirror.name, text=text)
            self.say(text)

    def say(self, text: str) -> None:
        """A line for people, into ``train.log``."""
        with self._told_when_full():
            self._log.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {text}\n")

    def flush(self) -> None:
        with self._told_when_full():
            for file in (self._lines, self._log, self._table):
                file.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush, close and let go of the folder; the lock goes even when the disk is full."""
        with contextlib.ExitStack() as closing:
            closing.callback(self._lock.close)
            closing.callback(_OPEN.discard, self)
            for mirror in list(self._mirrors):
                self._show(mirror, mirror.close)
            with self._told_when_full(), contextlib.ExitStack() as files:
                for file in (self._lines, self._log, self._table):
                    files.callback(file.close)
                self.flush()
                os.fsync(self._lines.fileno())

    @contextlib.contextmanager
    def _told_when_full(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageError(
                "the record cannot be written",
                expected="room for a line",
                found=f"{shutil.disk_usage(self.folder.path).free:,} bytes free; {os.strerror(error.errno or 0)}",
                fix="make room and go on with --resume; a torn last line is tolerated",
                file=self.folder.record,
            ) from error

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        try:
            self.close()
        except StorageError as full:
            if error is None:
                raise
            error.add_note(str(full))


def discard_unstarted(folder: RunFolder, made: Sequence[Path]) -> None:
    """Remove a run folder in which nothing began: its data could not be read, say. Anything else stays as it is.

    Args:
        folder: of the run; touched only if it is among ``made``, has no event and holds only what a writer opens.
        made: the folders that the failed command made, the deepest first; those that are empty then go too.
    """
    opened = [folder.record, folder.train_log, folder.metrics_csv, folder.lock]
    if folder.path not in made or not folder.path.is_dir() or set(folder.path.iterdir()) - set(opened):
        return
    with folder.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return  # somebody else began a run here in the meantime
        if folder.record.exists() and folder.record.stat().st_size:
            return
        for file in opened:
            file.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for path in made:
            path.rmdir()


def _take(lock: TextIO) -> None:
    """The lock of the one writer; raises OSError when another holds it for longer than a glance."""
    for tries_left in reversed(range(LOCK_TRIES)):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not tries_left:
                raise
            time.sleep(LOCK_PAUSE_SECONDS)


def _without_passwords(text: str) -> str:
    """``https://user:password@host`` without what stands before the @: a tracking server's errors quote its address."""
    return re.sub(r"(?<=://)[^/\s@]+@", "***@", text)


def _is_broken(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


_OPEN: weakref.WeakSet[RecordWriter] = weakref.WeakSet()


def _let_go_in_child() -> None:
    """A forked worker shares the lock with its parent and would hold the run after the parent was killed."""
    for writer in _OPEN:
        writer._lock.close()


os.register_at_fork(after_in_child=_let_go_in_child)


def _cut_torn_line(path: Path) -> None:
    """A killed writer may leave half a line: cut it, so that the next line is whole."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def write_evidence(folder: RunFolder, evidence: Evidence) -> None:
    """Store what a probe found; what it could not compute is null."""
    write_json(folder.evidence / f"{evidence.probe}.json", nulled(asdict(evidence)))
