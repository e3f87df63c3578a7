"""From printed numbers to rows: which run, which split, which unit."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from veritrain.readers.names import PERCENTABLE, SCORES, UNBOUNDED_RATES
from veritrain.readers.numbers import Number
from veritrain.record import Remark, Row

PERCENT_ABOVE = 1.5
"""A score column whose largest number is above this was printed in percent."""
FEW, NEAR = 0.2, 0.05
"""So few percent numbers in a column of fractions, and so near to them, are the same score printed once more."""

DETECTION = frozenset({"map", "map_50", "map_75"})
"""Detectors are scored on held-out images by every tool that prints these."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One printed number with everything the file says about it.

    Attributes:
        order: position in the file, to keep the order after thinning.
        place: "best" (best so far), "first" (initial) or None (the value of its epoch).
        counted: ``epoch`` comes from a header or an epoch column, so it counts the run (not from a remark in prose).
        run: a run that the file itself names; None lets the epoch counter tell.
    """

    line: int
    raw: str
    name: str
    number: Number
    order: int = 0
    split: str | None = None
    place: str | None = None
    epoch: float | None = None
    step: int | None = None
    counted: bool = True
    run: str | None = None


class Collector:
    """Keeps readings in bounded memory: beyond ``limit`` per series and epoch every second one goes, the last stays."""

    def __init__(self, limit: int = 400) -> None:
        self._limit = limit
        self._kept: dict[tuple[object, ...], list[Reading]] = defaultdict(list)
        self._stride: dict[tuple[object, ...], int] = defaultdict(lambda: 1)
        self._seen: dict[tuple[object, ...], int] = defaultdict(int)
        self._last: dict[tuple[object, ...], Reading] = {}
        self._count = 0

    def add(self, reading: Reading) -> None:
        self._count += 1
        numbered = replace(reading, order=self._count)
        key = (reading.name, reading.split, reading.place, reading.run, reading.epoch, reading.number.nonfinite)
        self._last[key] = numbered
        self._seen[key] += 1
        if (self._seen[key] - 1) % self._stride[key]:
            return
        kept = self._kept[key]
        kept.append(numbered)
        if len(kept) > self._limit:
            self._kept[key] = kept[::2]
            self._stride[key] *= 2

    def readings(self) -> list[Reading]:
        found = {reading.order: reading for kept in self._kept.values() for reading in kept}
        found.update({reading.order: reading for reading in self._last.values()})
        return [found[order] for order in sorted(found)]


def rows_of(readings: Sequence[Reading], file: str) -> tuple[tuple[Row, ...], tuple[Remark, ...]]:
    """Rows in canonical units, with run and split, and a remark for every restart of the epoch counter."""
    counted, restarts = _with_runs(_without_lonely_letters(readings))
    placed = _with_splits(_as_fractions(counted))
    remarks = tuple(Remark(file=file, line=line, kind="epoch_restart", text=text) for line, text in restarts)
    return tuple(_row(reading, file) for reading in placed), remarks


_LETTER = re.compile(r"(?i)(?<![A-Za-z])(?:r|p|rec)\s*$")
_PARTNER = {"recall": "precision", "precision": "recall"}


def _without_lonely_letters(readings: Sequence[Reading]) -> Sequence[Reading]:
    """``r``, ``p`` and ``rec`` are recall and precision only side by side; alone they mean a dozen other things."""
    names = {reading.name for reading in readings}
    lonely = {name for name, partner in _PARTNER.items() if name in names and partner not in names}
    if not lonely:
        return readings
    return [reading for reading in readings if not (reading.name in lonely and _LETTER.search(reading.raw))]


def _row(reading: Reading, file: str) -> Row:
    name = reading.name if reading.place is None else f"{reading.place}/{reading.name}"
    return Row(
        file=file,
        line=reading.line,
        name=name,
        raw=reading.raw,
        value=reading.number.value,
        run=reading.run or "1",
        split=reading.split,
        step=reading.step,
        epoch=reading.epoch,
        nonfinite=reading.number.nonfinite,
        half_ulp=reading.number.half_ulp,
    )


def _with_runs(readings: Sequence[Reading]) -> tuple[list[Reading], list[tuple[int, str]]]:
    """A new run begins where the epoch counter falls back to where the run began."""
    out, restarts = [], []
    run, first, previous = 1, None, None
    for reading in readings:
        if reading.run is not None:
            out.append(reading)
            continue
        if reading.epoch is not None and reading.counted and reading.place is None:
            epoch = reading.epoch
            if previous is not None and first is not None and epoch < previous and epoch <= first:
                run += 1
                first = epoch
                restarts.append((reading.line, f"the epoch counter falls from {previous:g} to {epoch:g}"))
            first = epoch if first is None else first
            previous = epoch
        out.append(replace(reading, run=str(run)))
    return out, restarts


def _as_fractions(readings: Sequence[Reading]) -> list[Reading]:
    """Percent becomes a fraction, per printed column: a column is in percent when its numbers must be."""
    columns: dict[tuple[str, str | None, str | None], list[float]] = defaultdict(list)
    for reading in readings:
        if reading.number.value is not None and not reading.number.percent:
            columns[_column(reading)].append(reading.number.value)
    above = {key: _percent_above(key[0].partition("/")[0], values) for key, values in columns.items()}
    return [_as_fraction(reading, above.get(_column(reading), math.inf)) for reading in readings]


def _column(reading: Reading) -> tuple[str, str | None, str | None]:
    return reading.name, reading.split, reading.place


def _percent_above(base: str, values: Sequence[float]) -> float:
    """Above which number a column is in percent: infinity for a column of fractions, minus infinity for all of it."""
    if base in UNBOUNDED_RATES:
        return -math.inf if min(values) > PERCENT_ABOVE else math.inf
    if base not in PERCENTABLE or max(values) <= PERCENT_ABOVE:
        return math.inf
    large = [value for value in values if value > PERCENT_ABOVE]
    small = [value for value in values if value <= PERCENT_ABOVE]
    few = len(large) <= max(1, FEW * len(values))
    if few and small and max(small) <= 1 and all(_same_in_percent(value, small) for value in large):
        return PERCENT_ABOVE
    return -math.inf


def _same_in_percent(value: float, fractions: Sequence[float]) -> bool:
    """93.1 beside fractions that reach 0.931: the same score, printed once more in percent."""
    return min(fractions) - NEAR <= value / 100.0 <= max(fractions) + NEAR and value / 100.0 >= max(fractions) / 2


def _as_fraction(reading: Reading, above: float) -> Reading:
    value = reading.number.value
    if reading.number.percent or (value is not None and value > above):
        return replace(reading, number=reading.number.as_fraction())
    return reading


def _with_splits(readings: Sequence[Reading]) -> list[Reading]:
    told: dict[str, set[str]] = defaultdict(set)
    best = {reading.name for reading in readings if reading.place == "best"}
    for reading in readings:
        if reading.split is not None:
            told[reading.name].add(reading.split)
    return [
        reading if reading.split is not None else replace(reading, split=_guess(reading.name, told, best))
        for reading in readings
    ]


def _guess(name: str, told: dict[str, set[str]], best: Iterable[str]) -> str | None:
    """What an unlabelled number is, by the conventions of the tools; None when none applies."""
    held = told[name] & {"val", "test"}
    if held and "train" not in told[name]:
        return "train"
    if "train" in told[name] and not held:
        return "val"
    base = name.partition("/")[0]
    if base in DETECTION:
        return "val"
    both_losses = "train" in told["loss"] and bool(told["loss"] & {"val", "test"})
    if base in SCORES and not told[name] and (both_losses or (base == "miou" and name in best)):
        return "val"
    return None
