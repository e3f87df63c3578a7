"""Reading a run folder back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from veritrain.errors import RecordError
from veritrain.record.folder import RunFolder, sha256_of
from veritrain.record.holder import holder_of
from veritrain.record.rows import Claim, Evidence, Row, RunRecord
from veritrain.record.writer import SCHEMA

PLACED = frozenset({"term", "metric", "grad", "balance", "overflow"})
"""Events that stand for a place in training: after a resume, a later one of the same place supersedes."""

NAMED = frozenset({"term", "metric"})
"""Events that are one number of one name."""


def demand_run(path: Path | str) -> RunFolder:
    """The run folder at ``path``, however far its run came.

    Raises:
        RecordError: no ``record.jsonl`` in it, or no such folder.
    """
    folder = RunFolder(path)
    if not folder.is_run():
        raise RecordError(
            "not a run folder",
            expected="a folder with record.jsonl",
            found="a folder without it" if folder.path.is_dir() else "no such folder",
            fix="give the folder that `veritrain train --run` wrote",
            file=folder.path,
        )
    return folder


def read_run(path: Path | str) -> RunRecord:
    """Read a run folder.

    Raises:
        RecordError: no ``record.jsonl``, a line that is not JSON (other than a torn last one), another version.
    """
    folder = demand_run(path)
    holder = holder_of(folder.lock)  # before the record: a run that ends in between is not said to go on
    lines, torn = _read_lines(folder.record)
    results = _read_optional(folder.results)
    _demand_scores(results, folder.results)
    return replace(
        record_of_lines(folder, lines),
        data=_read_optional(folder.data),
        results=results,
        evidence=read_evidence(folder),
        torn_line=torn,
        checkpoint_sha256=_weights_on_disk(folder, results),
        holder=holder,
    )


def record_of_lines(folder: RunFolder, lines: Sequence[dict[str, Any]]) -> RunRecord:
    """What the lines of ``record.jsonl`` alone say, without the files beside it: the record of a run that goes on.

    Args:
        lines: events as :func:`event_of` gives them, each with its 1-based ``line``.
    """
    events = _superseded(lines)
    start: Mapping[str, Any] = next((line for line in events if line["event"] == "start"), {})
    claims = tuple(_made(Claim, claim, folder.record, start["line"]) for claim in start.get("claims", ()))
    return RunRecord(
        path=folder.path,
        kind="run",
        task=start.get("task"),
        claims=claims,
        claim=claims[0] if claims else None,
        events=tuple(events),
        rows=tuple(_rows_of(events, str(folder.record))),
    )


def _weights_on_disk(folder: RunFolder, results: Mapping[str, Any] | None) -> str | None:
    """SHA-256 of the weights of the checkpoint that the results name; None when there are none below the run."""
    name = ((results or {}).get("checkpoint") or {}).get("file")
    if not isinstance(name, str):
        return None
    weights = (folder.path / name / "model.safetensors").resolve()
    if not weights.is_relative_to(folder.path.resolve()) or not weights.is_file():
        return None
    return sha256_of(weights)


def _read_lines(path: Path) -> tuple[list[dict[str, Any]], int | None]:
    raw = path.read_text(encoding="utf-8", errors="replace").split("\n")
    events: list[dict[str, Any]] = []
    for number, text in enumerate(raw, start=1):
        if not text.strip():
            continue
        try:
            events.append(event_of(text, path, number))
        except NotJsonError:
            if number == len(raw):
                return events, number
            raise
    return events, None


class NotJsonError(RecordError):
    """A line that is no JSON: torn when it is the last one, else somebody edited the record."""


class OtherVersionError(RecordError):
    """A line of another version of the record."""


def event_of(text: str, path: Path, number: int) -> dict[str, Any]:
    """One line of ``record.jsonl`` as an event, with its 1-based ``line``.

    Raises:
        NotJsonError, OtherVersionError: as their names say. RecordError: JSON, but no event.
    """
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise NotJsonError(
            "a line of the record is not JSON",
            expected="one JSON object a line",
            found=text[:80],
            fix="the record was edited; restore it from a copy",
            file=path,
            line=number,
        ) from error
    _demand_event(line, text, path, number)
    if line["v"] != SCHEMA:
        raise OtherVersionError(
            "the record has another version",
            expected=f"v = {SCHEMA}",
            found=f"v = {line['v']}",
            fix="read it with the Veritrain that wrote it",
            file=path,
            line=number,
        )
    return {"step": None, "epoch": None, **line, "line": number}


def _demand_event(line: Any, text: str, path: Path, number: int) -> None:
    """A whole line that is JSON but no event: somebody edited the record."""
    whole = isinstance(line, dict) and "v" in line and "event" in line
    if not whole or (line["event"] in NAMED and "name" not in line):
        raise RecordError(
            "a line of the record is no event",
            expected="a JSON object with v and event (and name, for a term or a metric)",
            found=text[:80],
            fix="the record was edited; restore it from a copy",
            file=path,
            line=number,
        )


M = TypeVar("M")


def _made(kind: type[M], content: Any, file: Path, line: int | None = None) -> M:
    try:
        return kind(**content)
    except TypeError as error:
        raise RecordError(
            f"not a {kind.__name__.lower()}",
            expected=f"the fields of {kind.__name__}",
            found=str(error),
            fix="read it with the Veritrain that wrote it, or make it again",
            file=file,
            line=line,
        ) from error


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


PAIRS = ("ci95", "gain_ci95")
"""Of a score: null, or two numbers (null where an end is undefined)."""


def _demand_scores(results: Mapping[str, Any] | None, path: Path) -> None:
    """The scores of ``results.json`` are numbers or null: nothing else can be judged.

    Raises:
        RecordError: what stands there instead, by its name.
    """
    metrics = (results or {}).get("metrics", {})
    if not isinstance(metrics, Mapping):
        raise RecordError("metrics is no object", expected="name to score", found=type(metrics).__name__, file=path)
    for name, score in metrics.items():
        if not isinstance(score, Mapping) or not _is_number(score.get("value")):
            found = repr(score.get("value") if isinstance(score, Mapping) else score)[:80]
            raise RecordError(f"the score '{name}' has no number", expected="value: a number or null", found=found,
                              fix="veritrain evaluate RUN writes the file again", file=path)  # fmt: skip
        for key in PAIRS:
            ends = score.get(key)
            if ends is not None and not (isinstance(ends, list) and len(ends) == 2 and all(map(_is_number, ends))):
                raise RecordError(f"the score '{name}' has no interval", expected=f"{key}: two numbers or null",
                                  found=repr(ends)[:80], fix="veritrain evaluate RUN writes the file again",
                                  file=path)  # fmt: skip


def _is_number(value: Any) -> bool:
    """A finite number, or null: what is undefined."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value))


def _read_optional(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RecordError("not JSON", expected="a JSON object", found=str(error), file=path) from error
    if not isinstance(content, dict):
        raise RecordError("not an object", expected="a JSON object", found=type(content).__name__, file=path)
    return content


def read_evidence(folder: RunFolder) -> dict[str, Evidence]:
    found = {}
    for path in sorted(folder.evidence.glob("*.json")):
        content = _read_optional(path)
        if content is not None:
            found[path.stem] = _made(Evidence, content, path)
    return found
