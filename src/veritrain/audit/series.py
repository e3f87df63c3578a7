"""The evaluations of one metric in one run, in order: what the rules for bare logs look at."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from veritrain.audit.check import Citation
from veritrain.record import Row, RunRecord

HELD_OUT = frozenset({"val", "test"})
NOT_SCORES = frozenset({"loss", "weight", "learning_rate", "grad_norm", "precision", "recall", "accuracy_top5"})
"""No proof of learning alone: losses have no fixed trivial level, precision and recall can be bought for each other."""


@dataclass(frozen=True, kw_only=True)
class Point:
    value: float
    line: int
    half_ulp: float = 0.0
    place: float | None = None


@dataclass(frozen=True, kw_only=True)
class Series:
    """One metric on one split in one run, one point per place in training."""

    file: str
    run: str
    split: str | None
    name: str
    points: tuple[Point, ...]

    @property
    def base(self) -> str:
        return self.name.partition("/")[0]

    @property
    def values(self) -> list[float]:
        return [point.value for point in self.points]

    @property
    def first(self) -> float:
        return self.points[0].value

    def settled(self) -> float:
        """Median of the last three evaluations."""
        return statistics.median(self.values[-3:])

    def cite(self, *points: Point) -> tuple[Citation, ...]:
        """Lines of the given points, of the first and the last when none is given."""
        chosen = points or (self.points[0], self.points[-1])
        return tuple(Citation(file=self.file, line=line) for line in dict.fromkeys(point.line for point in chosen))

    def place_name(self) -> str:
        """How people would name it: ``val accuracy``."""
        return f"{self.split} {self.name}" if self.split else self.name


def series_of(record: RunRecord) -> list[Series]:
    """Every placed series of the record; the last value at a place counts, best-so-far values do not."""
    groups: dict[tuple[str, str | None, str], dict[float, Row]] = defaultdict(dict)
    for row in record.rows:
        place = row.epoch if row.epoch is not None else row.step
        if place is None or row.value is None or row.name.startswith(("best/", "first/")):
            continue
        groups[(row.run, row.split, row.name)][_fine_place(row, place)] = row
    return [_series(key, places) for key, places in groups.items()]


def _fine_place(row: Row, place: float) -> float:
    return float(row.step) if row.split == "train" and row.step is not None else float(place)


def _series(key: tuple[str, str | None, str], places: dict[float, Row]) -> Series:
    run, split, name = key
    rows = sorted(places.items(), key=lambda item: item[1].line)
    points = tuple(
        Point(value=float(row.value or 0.0), line=row.line, half_ulp=row.half_ulp, place=place) for place, row in rows
    )
    return Series(file=rows[0][1].file, run=run, split=split, name=name, points=points)


def held_out(series: Iterable[Series]) -> list[Series]:
    """Series of scores on held-out data."""
    return [one for one in series if one.split in HELD_OUT and one.base not in NOT_SCORES]


def summarised(record: RunRecord) -> list[Series]:
    """Held-out series from a summary table that gives the initial, the best and the final value on one line."""
    lines: dict[tuple[int, str | None, str], dict[str, Row]] = defaultdict(dict)
    for row in record.rows:
        place, _, name = (
            row.name.rpartition("/") if row.name.startswith(("best/", "first/")) else ("final", "", row.name)
        )
        if row.split in HELD_OUT and row.value is not None and name not in NOT_SCORES:
            lines[(row.line, row.split, name)][place] = row
    found = []
    for (line, split, name), rows in lines.items():
        if set(rows) != {"first", "best", "final"} or rows["final"].epoch is not None:
            continue
        ordered = [rows["first"], rows["best"], rows["final"]]
        points = tuple(Point(value=float(row.value or 0.0), line=line, half_ulp=row.half_ulp) for row in ordered)
        found.append(Series(file=rows["final"].file, run="1", split=split, name=name, points=points))
    return found


def loss_series(record: RunRecord) -> list[Series]:
    """Total training losses: named ``loss`` and not held out."""
    return [one for one in series_of(record) if one.name == "loss" and one.split not in HELD_OUT]
