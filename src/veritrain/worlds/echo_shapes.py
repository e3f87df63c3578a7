"""Two shapes that hearts are drawn from, by their signed distance: ellipses and tubes. Lengths are millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float]


@dataclass(frozen=True)
class Ellipse:
    """An ellipse.

    Attributes:
        centre: of it.
        half: half axes before it is turned.
        turn: radians, from the first axis towards the second.
    """

    centre: Point
    half: Point
    turn: float = 0.0

    def distance(self, u: Field, v: Field) -> Field:
        """About the signed distance of points, negative inside: exact on the outline, first order near it."""
        cos, sin = np.float32(np.cos(self.turn)), np.float32(np.sin(self.turn))
        x, y = u - np.float32(self.centre[0]), v - np.float32(self.centre[1])
        along = (cos * x + sin * y) / np.float32(self.half[0])
        across = (cos * y - sin * x) / np.float32(self.half[1])
        level = np.sqrt(along * along + across * across)
        steepness = np.sqrt((along / np.float32(self.half[0])) ** 2 + (across / np.float32(self.half[1])) ** 2)
        return np.asarray(level * (level - 1) / np.maximum(steepness, np.float32(1e-6)), np.float32)


@dataclass(frozen=True)
class Tube:
    """A chain of segments with a radius at each joint: a vessel, or with a small radius a leaflet.

    Attributes:
        points: at least two.
        radii: one a point.
    """

    points: tuple[Point, ...]
    radii: tuple[float, ...]

    def distance(self, u: Field, v: Field) -> Field:
        """The signed distance of points to the chain, negative inside."""
        ends = zip(self.points, self.points[1:], self.radii, self.radii[1:], strict=False)
        found = [_to_segment(u, v, *end) for end in ends]
        return np.minimum.reduce(found) if len(found) > 1 else found[0]


def leaflet(*points: Point, thickness: float = 1.6) -> Tube:
    """A thin chain: a valve's leaflet or a membrane."""
    return Tube(points, (thickness / 2,) * len(points))


def _to_segment(u: Field, v: Field, start: Point, end: Point, first: float, last: float) -> Field:
    x, y = u - np.float32(start[0]), v - np.float32(start[1])
    dx, dy = np.float32(end[0] - start[0]), np.float32(end[1] - start[1])
    share = np.clip((x * dx + y * dy) / np.float32(max(float(dx * dx + dy * dy), 1e-9)), 0, 1)
    return np.asarray(np.hypot(x - share * dx, y - share * dy) - (first + share * (last - first)), np.float32)
