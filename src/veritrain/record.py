"""The record of a run: the bridge between training it and judging it.

A run folder holds ``recipe.yaml``, ``record.jsonl`` (the source of truth: append-only, one writer, a torn last
line is tolerated), ``metrics.csv`` and ``train.log`` (for people, pandas and grep), ``data.json``,
``evidence/<probe>.json``, ``results.json``, ``predictions/``, ``checkpoints/``, ``figures/``, ``verdict.json``,
``report.html``, ``README.md`` and ``environment.json``. Readers of foreign artefacts fill the same
:class:`RunRecord`, so that every check judges one type.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import json
import math
import os
import shutil
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from veritrain.errors import RecordError, RunInUseError, StorageError

SCHEMA = 1

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
"""Made once: ``json.dumps`` with options builds an encoder for every line."""

EVENTS = frozenset(
    ["start", "term", "metric", "grad", "look", "checkpoint", "resume", "signal", "nonfinite", "stop", "end", "note"]
)
"""Every event a record may hold, one JSON line each: ``{v, t_utc, t_mono, event, step, epoch, ...}``."""

PLACED = frozenset({"term", "metric", "grad"})
"""Events that stand for a place in training: after a resume, a later one of the same place supersedes."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One number that somebody logged.

    Attributes:
        file: the artefact's path as given. line: 1-based line of the number.
        run: "1", "2", ... when one file holds several runs (the epoch counter restarts).
        split: "train", "val", "test" or None when the artefact does not say.
        name: canonical name ("loss", "accuracy", "auroc", "ap", "map", "map_50", "f1", "recall", "precision",
            "learning_rate", ...); loss terms keep their own name after a slash ("loss/box").
        raw: the name as it was written.
        value: a number in the canonical unit (percent becomes a fraction), None when it was not finite.
        nonfinite: "nan", "inf" or "-inf" when the number was not finite.
        half_ulp: half a unit of the last displayed place (0.00005 for "0.0000"), in the canonical unit; 0 when exact.
        step, epoch: where in training; None when the artefact does not say.
    """

    file: str
    line: int
    name: str
    raw: str
    value: float | None
    run: str = "1"
    split: str | None = None
    step: int | None = None
    epoch: float | None = None
    nonfinite: str | None = None
    half_ulp: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A sentence of a report that claims something, or admits it.

    ``kind`` is one of success, improvement, converged, no_overfitting, target, estimate, pending, best_epoch,
    architecture, labels, prevalence, loss_definition; ``values`` holds the numbers read from it.
    """

    file: str
    line: int
    kind: str
    text: str
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Remark:
    """Something a log says about its own process: crash, swallowed_exception, success_banner, epoch_restart,
    truncated, stopped_early, key_mismatch, empty_split, same_split."""

    file: str
    line: int
    kind: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a verdict is about: a metric on a split, the direction that is better, and the least gain that counts."""

    metric: str
    split: str = "test"
    higher_is_better: bool = True
    minimal_effect: float = 0.0
    subgroup: str | None = None


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one probe found. ``status`` is done, crashed or skipped; ``note`` says why when it is not done."""

    probe: str
    version: int
    inputs_hash: str
    values: Mapping[str, Any]
    seconds: float
    status: str = "done"
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """Everything a check may look at. The options of the run are not part of it.

    Attributes:
        path: the run folder or the foreign file.
        kind: "run" for our own folder, else the reader's name ("csv_history", "text_log", "report").
        task: the task's name for our own runs, else None.
        claims: the claims of the run, the headline first; empty for a foreign artefact.
        claim: the claim that is being judged (the headline unless a caller replaces it).
        events: the lines of ``record.jsonl``, each with its 1-based ``line``.
        data, results: ``data.json`` and ``results.json``, None when absent.
    """

    path: Path
    kind: str
    task: str | None = None
    claims: tuple[Claim, ...] = ()
    claim: Claim | None = None
    events: tuple[Mapping[str, Any], ...] = ()
    rows: tuple[Row, ...] = ()
    statements: tuple[Statement, ...] = ()
    remarks: tuple[Remark, ...] = ()
    data: Mapping[str, Any] | None = None
    results: Mapping[str, Any] | None = None
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    torn_line: int | None = None

    def of(self, event: str) -> list[Mapping[str, Any]]:
        """All events of one kind, in order."""
        return [line for line in self.events if line["event"] == event]

    def about(self, claim: Claim) -> RunRecord:
        """The same record, judged for another claim."""
        return replace(self, claim=claim)

    def score(self) -> Mapping[str, Any] | None:
        """The claim's entry in ``results.json``: value, ci95, n, groups, chance, baseline."""
        if self.results is None or self.claim is None:
            return None
        part = self.results if self.claim.split == "test" else self.results.get("selection", {})
        found: Mapping[str, Any] | None = part.get("metrics", {}).get(self.claim.metric)
        return found


class RunFolder:
    """Names of the files of one run."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.record = self.path / "record.jsonl"
        self.metrics_csv = self.path / "metrics.csv"
        self.train_log = self.path / "train.log"
        self.data = self.path / "data.json"
        self.evidence = self.path / "evidence"
        self.results = self.path / "results.json"
        self.predictions = self.path / "predictions"
        self.checkpoints = self.path / "checkpoints"
        self.figures = self.path / "figures"
        self.verdict = self.path / "verdict.json"
        self.report = self.path / "report.html"
        self.card = self.path / "README.md"
        self.environment = self.path / "environment.json"

    @staticmethod
    def next_free(parent: Path, stem: str) -> RunFolder:
        """``parent/stem-1``, ``stem-2``, ...: the first that does not exist, made at once so no other takes it."""
        number = 1
        while True:
            path = parent / f"{stem}-{number}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                number += 1
                continue
            return RunFolder(path)

    def is_run(self) -> bool:
        return self.record.is_file()


def finite_or_none(value: float | None) -> float | None:
    """JSON has no NaN: what is not finite becomes None."""
    return None if value is None or not math.isfinite(value) else float(value)


def write_json(path: Path, content: Any) -> None:
    """Write beside the target, flush, rename: a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with beside.open("w", encoding="utf-8") as file:
        json.dump(content, file, ensure_ascii=False, indent=1, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        folder.path.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._lock = (folder.path / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise RunInUseError(
                "the run is in use",
                expected="no other process writing this folder",
                found=f"a lock on {folder.path / '.lock'}",
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

    def event(self, event: str, *, step: int | None = None, epoch: int | None = None, **fields: Any) -> None:
        """Append one line. A value that is not finite becomes null and adds a nonfinite event."""
        if event not in EVENTS:
            raise RecordError(f"no event '{event}'", expected=", ".join(sorted(EVENTS)), found=event)
        value = fields.get("value")
        broken = isinstance(value, float) and not math.isfinite(value)
        if broken:
            fields["value"] = None
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
        if broken:
            self.event("nonfinite", step=step, epoch=epoch, name=fields.get("name"), found=str(value))
        urgent = event not in ("term", "grad")
        if urgent or time.monotonic() - self._flushed > self._flush_seconds:
            self.flush()

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


def read_run(path: Path | str) -> RunRecord:
    """Read a run folder.

    Raises:
        RecordError: no ``record.jsonl``, a line that is not JSON (other than a torn last one), another version.
    """
    folder = RunFolder(path)
    if not folder.is_run():
        raise RecordError(
            "not a run folder",
            expected="a folder with record.jsonl",
            found="no such file",
            fix="give the folder that `veritrain train --run` wrote",
            file=folder.path,
        )
    events, torn = _read_lines(folder.record)
    events = _superseded(events)
    start: Mapping[str, Any] = next((line for line in events if line["event"] == "start"), {})
    claims = tuple(Claim(**claim) for claim in start.get("claims", ()))
    return RunRecord(
        path=folder.path,
        kind="run",
        task=start.get("task"),
        claims=claims,
        claim=claims[0] if claims else None,
        events=tuple(events),
        rows=tuple(_rows_of(events, str(folder.record))),
        data=_read_optional(folder.data),
        results=_read_optional(folder.results),
        evidence=read_evidence(folder),
        torn_line=torn,
    )


def _read_lines(path: Path) -> tuple[list[dict[str, Any]], int | None]:
    raw = path.read_text(encoding="utf-8", errors="replace").split("\n")
    events: list[dict[str, Any]] = []
    for number, text in enumerate(raw, start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except json.JSONDecodeError as error:
            if number == len(raw):
                return events, number
            raise RecordError(
                "a line of the record is not JSON",
                expected="one JSON object a line",
                found=text[:80],
                fix="the record was edited; restore it from a copy",
                file=path,
                line=number,
            ) from error
        if line.get("v") != SCHEMA:
            raise RecordError(
                "the record has another version",
                expected=f"v = {SCHEMA}",
                found=f"v = {line.get('v')}",
                fix="read it with the Veritrain that wrote it",
                file=path,
                line=number,
            )
        events.append({**line, "line": number})
    return events, None


def _superseded(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop what a later segment of a resumed run did again: same event, place and name."""
    last = {_place(line): line["line"] for line in events if line["event"] in PLACED}
    return [line for line in events if line["event"] not in PLACED or last[_place(line)] == line["line"]]


def _place(line: Mapping[str, Any]) -> tuple[Any, ...]:
    return (line["event"], line["step"], line.get("name"), line.get("split"))


def _rows_of(events: Sequence[Mapping[str, Any]], file: str) -> Iterator[Row]:
    broken = {(line["step"], line.get("name")): line for line in events if line["event"] == "nonfinite"}
    for line in events:
        if line["event"] not in ("term", "metric"):
            continue
        prefix = "loss/" if line["event"] == "term" and line["name"] != "loss" else ""
        value = line.get("value")
        bad = broken.get((line["step"], line["name"])) if value is None else None
        yield Row(
            file=file,
            line=line["line"],
            name=prefix + line["name"],
            raw=line["name"],
            value=value,
            split=line.get("split"),
            step=line["step"],
            epoch=line["epoch"],
            nonfinite=None if bad is None else str(bad["found"]),
        )


def _read_optional(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RecordError("not JSON", expected="a JSON object", found=str(error), file=path) from error
    return content


def write_evidence(folder: RunFolder, evidence: Evidence) -> None:
    write_json(folder.evidence / f"{evidence.probe}.json", asdict(evidence))


def read_evidence(folder: RunFolder) -> dict[str, Evidence]:
    found = {}
    for path in sorted(folder.evidence.glob("*.json")):
        content = _read_optional(path)
        if content is not None:
            found[path.stem] = Evidence(**content)
    return found
