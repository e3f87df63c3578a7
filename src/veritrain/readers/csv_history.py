"""CSV histories: Lightning, YOLOv5, Ultralytics, Keras, W&B exports, our own metrics.csv and home-made ones."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from veritrain.errors import ArtefactError
from veritrain.readers.blank_nans import EMPTY, FINITE, INFINITE, NAN, unmeasured
from veritrain.readers.decoding import head_of
from veritrain.readers.names import Name, canonical, counter, is_rouge
from veritrain.readers.numbers import Number, parse_number
from veritrain.readers.readings import Collector, Reading, rows_of
from veritrain.record import Remark, RunRecord

_DELIMITERS = (",", ";", "\t", "|")
_EMPTY = frozenset({"", "na", "n/a", "none", "null", "-"})
_WANDB = re.compile(r"^(?P<run>.+?) - (?P<name>[^-]+?)(?P<side>__MIN|__MAX)?$")
_RAGGED_SHOWN = 20


@dataclass(frozen=True, kw_only=True)
class Column:
    """What one column holds: a counter (epoch, step), a metric, or something else (None)."""

    raw: str
    counts: str | None = None
    metric: Name | None = None
    run: str | None = None


@dataclass
class _State:
    columns: list[Column]
    is_series: bool = False
    collector: Collector = field(default_factory=Collector)
    remarks: list[Remark] = field(default_factory=list)
    segment: int = 1
    rows: int = 0
    contents: dict[str, bytearray] = field(default_factory=dict)
    """What each row holds in each metric column (``blank_nans``); of columns with one name, in the first."""


class CsvHistoryReader:
    """CSV histories of Lightning, YOLOv5, Ultralytics, Keras and others."""

    name = "csv_history"

    def recognises(self, path: Path, head: str) -> bool:
        lines = [line for line in head.splitlines() if line.strip() and not line.startswith("#")]
        if not lines:
            return False
        delimiter = _delimiter(lines[0])
        if delimiter is None or lines[0].lstrip().startswith(("|", "{", "[")):
            return False
        names = _cells(lines[0], delimiter)
        if len(names) < 2 or any(parse_number(name) is not None for name in names):
            return False
        if _is_header(names) and all(line.count(delimiter) == lines[0].count(delimiter) for line in lines[1:6]):
            return True
        widths = [len(_cells(line, delimiter)) for line in lines[1:6]]
        return any(width == len(names) for width in widths) and any(
            parse_number(cell) is not None for line in lines[1:6] for cell in _cells(line, delimiter)
        )

    def read(self, path: Path) -> RunRecord:
        with path.open(encoding=head_of(path)[1], errors="replace", newline="") as file:
            state = _read(_rows(file, path), str(path))
        if state.rows == 0:
            raise ArtefactError("the table has no row of numbers", expected="a row per epoch or step", file=path)
        blank = unmeasured(state.contents)
        readings = [one for one in state.collector.readings() if not (one.number.nonfinite and one.raw in blank)]
        rows, restarts = rows_of(readings, str(path))
        told = [Remark(file=str(path), line=1, kind="not_measured", text=f"nan in {raw}") for raw in sorted(blank)]
        return RunRecord(path=path, kind=self.name, rows=rows, remarks=(*state.remarks, *told, *restarts))


def _is_header(names: Sequence[str]) -> bool:
    """A counter beside a metric, and nothing but short names: a history even when no row of numbers follows."""
    short = all(0 < len(name) <= 40 and ":" not in name.replace("0.5:0.95", "") for name in names)
    return (
        short and any(counter(name) for name in names) and any(canonical(name) for name in names if not counter(name))
    )


def _delimiter(header: str) -> str | None:
    best = max(_DELIMITERS, key=header.count)
    return best if header.count(best) else None


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])]


def _rows(lines: Iterator[str], path: Path) -> Iterator[tuple[int, list[str], bool]]:
    """Line number, cells, and whether the line ended with a line break (a torn last line does not)."""
    delimiter: str | None = None
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        if delimiter is None:
            delimiter = _delimiter(line)
            if delimiter is None:
                raise ArtefactError(
                    "one column only", expected="a header with commas", found=line[:80], file=path, line=number
                )
        yield number, _cells(line.lstrip("\ufeff").replace("\x00", ""), delimiter), line.endswith(("\n", "\r"))


def _read(rows: Iterator[tuple[int, list[str], bool]], file: str) -> _State:
    _, header, _ = next(rows)
    state = _State(columns=columns_of(header))
    if not any(column.metric for column in state.columns) and not _is_long(header):
        raise ArtefactError(
            "no column is a loss or a score",
            expected="names such as loss, val_accuracy, mAP50",
            found=", ".join(header[:8]),
            file=file,
        )
    for number, cells, whole in rows:
        if state.rows == 0:
            # Without a counter, a row that starts with a word describes a variant, not a moment of training.
            state.is_series = (
                not any(column.counts in ("epoch", "step") for column in state.columns)
                and parse_number(cells[0]) is not None
            )
        if [cell.lower() for cell in cells] == [cell.lower() for cell in header]:
            state.segment += 1
            state.remarks.append(Remark(file=file, line=number, kind="epoch_restart", text="the header is repeated"))
            continue
        if len(cells) != len(header):
            _remark_ragged(state, file, number, cells, header, whole)
        if _is_long(header):
            _take_long(state, number, dict(zip(header, cells, strict=False)))
        else:
            _take(state, number, cells)
    return state


def _remark_ragged(
    state: _State, file: str, number: int, cells: Sequence[str], header: Sequence[str], whole: bool
) -> None:
    kind = "ragged" if whole else "torn"
    if sum(remark.kind == kind for remark in state.remarks) < _RAGGED_SHOWN:
        text = f"{len(cells)} cells where the header has {len(header)}"
        state.remarks.append(Remark(file=file, line=number, kind=kind, text=text))


def columns_of(header: Sequence[str]) -> list[Column]:
    """What each column of a header is; the prefix ``metrics/`` of YOLO means validation."""
    columns = []
    rouge = any(is_rouge(raw) for raw in header)
    for raw in header:
        text, run = raw, None
        export = _WANDB.match(raw)
        if export:
            text, run = ("", None) if export["side"] else (export["name"], export["run"])
        counts = counter(text)
        metric = None if counts else canonical(text)
        if rouge and metric is not None and metric.name == "r2":
            metric = None
        columns.append(Column(raw=raw, counts=counts, metric=metric, run=run))
    return columns


def _is_long(header: Sequence[str]) -> bool:
    """One number a row, its name in a column: the layout of our own metrics.csv."""
    low = {name.lower() for name in header}
    return "value" in low and bool(low & {"name", "metric", "key", "tag"})


def _take(state: _State, number: int, cells: Sequence[str]) -> None:
    missing = [""] * (len(state.columns) - len(cells))
    pairs = list(zip(state.columns, (*cells, *missing), strict=False))
    epoch = _count(pairs, "epoch")
    step = _count(pairs, "step")
    run = next((cell for column, cell in pairs if column.counts == "run"), None)
    if step is None and state.is_series:
        step = state.rows
    took = False
    contents: dict[str, int] = {}
    for column, cell in pairs:
        if column.metric is None:
            continue
        value = None if cell.lower() in _EMPTY else parse_number(cell)
        contents.setdefault(column.raw, _content(value))
        if value is None:
            continue
        took = True
        state.collector.add(
            Reading(
                line=number,
                raw=column.raw,
                name=column.metric.name,
                number=value,
                split=column.metric.split,
                place=column.metric.place,
                epoch=epoch,
                step=None if step is None else int(step),
                run=column.run or run,
            )
        )
    state.rows += took
    for raw, content in contents.items():
        state.contents.setdefault(raw, bytearray()).append(content)


def _content(value: Number | None) -> int:
    if value is None:
        return EMPTY
    if value.nonfinite is None:
        return FINITE
    return NAN if value.nonfinite == "nan" else INFINITE


def _take_long(state: _State, number: int, cells: dict[str, str]) -> None:
    low = {key.lower(): cell for key, cell in cells.items()}
    raw = next(low[key] for key in ("name", "metric", "key", "tag") if key in low)
    metric, value = canonical(raw), parse_number(low.get("value", ""))
    if metric is None or value is None:
        return
    epoch, step = parse_number(low.get("epoch", "")), parse_number(low.get("step", ""))
    state.rows += 1
    state.collector.add(
        Reading(
            line=number,
            raw=raw,
            name=metric.name,
            number=value,
            split=low.get("split") or metric.split,
            epoch=None if epoch is None else epoch.value,
            step=None if step is None or step.value is None else int(step.value),
        )
    )


def _count(pairs: Sequence[tuple[Column, str]], kind: str) -> float | None:
    for column, cell in pairs:
        if column.counts == kind:
            value = parse_number(cell)
            if value is not None and value.value is not None:
                return value.value
    return None
