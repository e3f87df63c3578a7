"""Which columns of a table say ``nan`` where they mean "not measured in this row".

pandas and several loggers write one row per step or epoch with every column in it, and ``nan`` where a quantity was not
asked for. A loss that diverged looks different: once it is NaN it stays NaN, or is lost at no particular moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

EMPTY, FINITE, NAN, INFINITE = 0, 1, 2, 3
"""What a cell holds."""
LEAST_MEASURED = 2
"""A rhythm, or a turn, needs to be seen more than once."""


def unmeasured(columns: Mapping[str, bytes | bytearray]) -> frozenset[str]:
    """Names of the columns whose ``nan`` means "not measured".

    Args:
        columns: name to one of EMPTY, FINITE, NAN, INFINITE for each row, oldest first; all of one length.

    Returns:
        Columns without an infinity, with at least two finite cells, whose NaN cells either leave a rhythm (a finite
        cell in every k-th row, k > 1, and fewer than k rows after the last) or fill exactly the rows in which another
        column takes its turn (finite there, and nowhere where this one is).
    """
    partial = {name: cells for name, cells in columns.items() if NAN in cells and _is_measured(cells)}
    return frozenset(name for name, cells in partial.items() if _has_rhythm(cells) or _takes_turns(name, columns))


def _is_measured(cells: bytes | bytearray) -> bool:
    return INFINITE not in cells and cells.count(FINITE) >= LEAST_MEASURED


def _has_rhythm(cells: bytes | bytearray) -> bool:
    """Empty cells are rows of something else: they do not count."""
    told = [cell for cell in cells if cell != EMPTY]
    places = [place for place, cell in enumerate(told) if cell == FINITE]
    steps = {after - before for before, after in pairwise(places)}
    if len(steps) != 1:
        return False
    step = steps.pop()
    return step > 1 and places[0] < step and len(told) - 1 - places[-1] < step


def _takes_turns(name: str, columns: Mapping[str, bytes | bytearray]) -> bool:
    own = columns[name]
    return any(other != name and _complements(own, cells) for other, cells in columns.items())


def _complements(own: bytes | bytearray, other: bytes | bytearray) -> bool:
    """Where one is NaN the other is finite, where one is finite the other is not, and the turn changes three times."""
    if other.count(FINITE) < LEAST_MEASURED:
        return False
    if any((a == NAN and b != FINITE) or (a == FINITE and b == FINITE) for a, b in zip(own, other, strict=True)):
        return False
    turns = [cell for cell in own if cell != EMPTY]
    changes = sum(before != after for before, after in pairwise(turns))
    return changes >= 3
