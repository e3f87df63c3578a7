"""Where the labels of marked points go: beside the point, off the lines, off the other marks and their labels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

LINE = 15.0
"""Height of a line of words, pixels."""
RING = 7.0
"""From the middle of a mark to its outer edge, pixels."""
STEP = 3.0
"""Between the places of a line that a label is held against, pixels."""
FAR, DASH = 0.1, 0.3
"""What a pixel of distance, and a place of a dashed reference, weigh beside a place of a line that a label covers."""
NEAR = ((-7.0, 16.0), (-12.0, 22.0), (-22.0, 32.0), (-40.0, 50.0), (-58.0, 68.0), (-76.0, 86.0))
"""Base lines above (of a label's last line) and below a mark (of its first), the nearest first, pixels."""


@dataclass(frozen=True)
class Box:
    """Left, top, right, bottom in pixels of the drawing."""

    left: float
    top: float
    right: float
    bottom: float

    def holds(self, x: float, y: float) -> bool:
        return self.left < x < self.right and self.top < y < self.bottom

    def meets(self, other: Box) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


@dataclass(frozen=True)
class Spot:
    """Place of a label: x, base line of its first line, and the end of the words that x is."""

    x: float
    y: float
    anchor: Anchor

    def box(self, width: float, lines: int) -> Box:
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return Box(left, self.y - 11, left + width, self.y + 4 + (lines - 1) * LINE)


@dataclass
class LabelPlaces:
    """Finds room for labels one after another; what is placed is taken.

    Args:
        inside: where labels may stand. lines: polylines in pixels. marks: middles of all marked points.
        rules: polylines that a label may rather cover: dashed references.
    """

    inside: Box
    lines: Sequence[Sequence[Point]]
    marks: Sequence[Point]
    rules: Sequence[Sequence[Point]] = ()
    _taken: list[Box] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dots = [dot for line in self.lines for dot in _dots(line)]
        self._dashes = [dot for rule in self.rules for dot in _dots(rule)]

    def place(self, mark: Point, width: float, lines: int) -> Spot:
        """The first of the wanted places that touches nothing; that which touches least where there is none."""
        best = min(_wanted(mark, self.inside, lines), key=lambda spot: self._cost(spot, spot.box(width, lines), mark))
        self._taken.append(best.box(width, lines))
        return best

    def _cost(self, spot: Spot, box: Box, mark: Point) -> float:
        """Low for a free place near by; words over words weigh most, then the edge, marks, lines and the way there."""
        over = sum(box.meets(other) for other in self._taken)
        rings = sum(box.meets(Box(x - RING, y - RING, x + RING, y + RING)) for x, y in self.marks if (x, y) != mark)
        edge = self.inside
        out = max(edge.left - box.left, box.right - edge.right, edge.top - box.top, box.bottom - edge.bottom, 0.0)
        lines = sum(box.holds(x, y) for x, y in self._dots) + DASH * sum(box.holds(x, y) for x, y in self._dashes)
        return 1e6 * over + 1e3 * out + 50 * rings + lines + abs(spot.y - mark[1]) * FAR


def _wanted(mark: Point, inside: Box, lines: int) -> Iterator[Spot]:
    """Beside the mark, towards the wider side first; then above and below, near to far."""
    x, y = mark
    right = x < (inside.left + inside.right) / 2
    sides: list[tuple[float, Anchor]] = [(9.0, "start"), (-9.0, "end")]
    for above, below in NEAR:
        for rise in (above - (lines - 1) * LINE, below):
            for shift, anchor in sides if right else sides[::-1]:
                yield Spot(x + shift, y + rise, anchor)
            if (above, below) != NEAR[0]:
                yield Spot(x, y + rise, "middle")


def _dots(line: Sequence[Point]) -> Iterator[Point]:
    """The line's own points and, between them, more: so near to each other that no word slips through."""
    for (x1, y1), (x2, y2) in pairwise(line):
        count = max(1, math.ceil(math.hypot(x2 - x1, y2 - y1) / STEP))
        for i in range(count):
            yield x1 + (x2 - x1) * i / count, y1 + (y2 - y1) * i / count
    yield from line[-1:]
