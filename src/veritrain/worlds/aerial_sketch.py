"""What one thing looks like from above, as polygons: drawn once in its own frame, painted where it is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Colour = tuple[int, int, int]
Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A filled polygon.

    Attributes:
        points: (n, 2) in scene units.
        colour: RGB.
        own: whether its pixels belong to the thing; foam, wakes and aprons do not.
    """

    points: Points
    colour: Colour
    own: bool = True


class Sketch:
    """Records polygons in a thing's own frame (x along it, y across, its centre at 0, 0) as places of the scene.

    Args:
        centre: of the thing in the scene.
        turn: radians from the scene's x axis towards its y axis (clockwise in the picture).
        sun: how far, in scene units, the shadow of a point falls for each unit of height.
        lean: how far a point is seen from its foot for each unit of height, for the camera is not right above.

    Attributes:
        strokes: what is painted, first things first.
        shadows: polygons that lie in shadow.
        smoke: polygons that are half seen through.
    """

    def __init__(self, centre: Point, turn: float, sun: Point = (0.0, 0.0), lean: Point = (0.0, 0.0)) -> None:
        cos, sin = np.cos(turn), np.sin(turn)
        self._centre, self._axes = np.array(centre, float), np.array([[cos, sin], [-sin, cos]])
        self._sun, self._lean = np.array(sun, float), np.array(lean, float)
        self.strokes: list[Stroke] = []
        self.shadows: list[Points] = []
        self.smoke: list[Points] = []

    def to_scene(self, points: Points | Sequence[Point]) -> Points:
        """(n, 2) places in the scene of points in the thing's frame."""
        turned: Points = np.asarray(points, float) @ self._axes + self._centre
        return turned

    def polygon(
        self, points: Points | Sequence[Point], colour: Colour, *, height: float = 0.0, own: bool = True
    ) -> None:
        """A polygon that lies ``height`` units above the ground."""
        self.strokes.append(Stroke(self.to_scene(points) + height * self._lean, colour, own))

    def rectangle(
        self,
        middle: Point,
        size: Point,
        colour: Colour,
        *,
        turn: float = 0.0,
        height: float = 0.0,
        own: bool = True,
    ) -> None:
        """A rectangle around ``middle``, ``size`` along x and y before it is turned."""
        self.polygon(rectangle(middle, size, turn), colour, height=height, own=own)

    def ellipse(
        self, middle: Point, half: Point, colour: Colour, *, height: float = 0.0, own: bool = True, corners: int = 20
    ) -> None:
        """An ellipse around ``middle`` with its half axes along x and y."""
        self.polygon(ellipse(middle, half, corners), colour, height=height, own=own)

    def line(
        self, points: Points | Sequence[Point], width: float, colour: Colour, *, height: float = 0.0, own: bool = True
    ) -> None:
        """A band of ``width`` along a chain of points."""
        self.polygon(band(points, width), colour, height=height, own=own)

    def block(self, points: Points | Sequence[Point], height: float, roof: Colour, wall: Colour) -> None:
        """A prism over a convex outline: its walls as far as the camera sees them, its roof, its shadow."""
        foot = self.to_scene(points)
        self.strokes.append(Stroke(hull(np.concatenate([foot, foot + height * self._lean])), wall))
        self.strokes.append(Stroke(foot + height * self._lean, roof))
        self.shadows.append(hull(np.concatenate([foot, foot + height * self._sun])))

    def shadow(self, points: Points | Sequence[Point], height: float, *, floats: bool = False) -> None:
        """The shadow of a convex outline that reaches from the ground to ``height``, or that ``floats`` there."""
        foot = self.to_scene(points)
        moved = foot + height * self._sun
        self.shadows.append(moved if floats else hull(np.concatenate([foot, moved])))

    def raised(self, point: Point, height: float) -> Point:
        """Where the point ``height`` above ``point`` is seen, in the thing's own frame."""
        x, y = np.asarray(point) + height * (self._axes @ self._lean)
        return float(x), float(y)

    def shaded(self, point: Point, height: float) -> Point:
        """Where the shadow of the point ``height`` above ``point`` falls, in the thing's own frame."""
        x, y = np.asarray(point) + height * (self._axes @ self._sun)
        return float(x), float(y)

    def puff(self, points: Points | Sequence[Point]) -> None:
        """Smoke or spray inside a polygon."""
        self.smoke.append(self.to_scene(points))

    def foot(self, gap: float = 0.0) -> Points:
        """(4, 2) corners in the scene of the rectangle around the thing's own polygons, turned as it is, and a gap."""
        own = np.concatenate([stroke.points for stroke in self.strokes if stroke.own]) - self._centre
        turned = own @ self._axes.T
        low, high = turned.min(axis=0) - gap, turned.max(axis=0) + gap
        return self.to_scene([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])])

    def outline(self) -> Points:
        """(n, 2) convex outline in the scene of the thing's own polygons."""
        return hull(np.concatenate([stroke.points for stroke in self.strokes if stroke.own]))

    def extent(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the thing's own polygons in the scene."""
        own = np.concatenate([stroke.points for stroke in self.strokes if stroke.own])
        (left, top), (right, bottom) = own.min(axis=0), own.max(axis=0)
        return float(left), float(top), float(right), float(bottom)


def rectangle(middle: Point, size: Point, turn: float = 0.0) -> Points:
    """(4, 2) corners of a rectangle around ``middle``."""
    half = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]]) * size
    cos, sin = np.cos(turn), np.sin(turn)
    turned: Points = half @ np.array([[cos, sin], [-sin, cos]]) + middle
    return turned


def ellipse(middle: Point, half: Point, corners: int = 20, start: float = 0.0, end: float = 2 * np.pi) -> Points:
    """(corners, 2) points of an ellipse, or of its part from angle ``start`` to ``end``, both included."""
    whole = abs(end - start) >= 2 * np.pi - 1e-9
    angles = np.linspace(start, end, corners, endpoint=not whole)
    return np.stack([np.cos(angles) * half[0], np.sin(angles) * half[1]], axis=1) + middle


def oblong(length: float, width: float, corners: int = 10) -> Points:
    """The outline of a running track: a rectangle with half discs at both ends, around 0, 0."""
    radius = width / 2
    straight = length / 2 - radius
    right = ellipse((straight, 0), (radius, radius), corners, -np.pi / 2, np.pi / 2)
    left = ellipse((-straight, 0), (radius, radius), corners, np.pi / 2, 1.5 * np.pi)
    return np.concatenate([right, left])


def band(points: Points | Sequence[Point], width: float) -> Points:
    """(2n, 2) outline of a band of ``width`` along n points."""
    line = np.asarray(points, float)
    way = np.gradient(line, axis=0)
    across = np.stack([-way[:, 1], way[:, 0]], axis=1) / np.maximum(np.hypot(*way.T), 1e-9)[:, None]
    return np.concatenate([line + across * (width / 2), (line - across * (width / 2))[::-1]])


def hull(points: Points) -> Points:
    """The convex hull of (n, 2) points, going round (Andrew's monotone chain)."""
    ordered = sorted(set(map(tuple, points.tolist())))
    if len(ordered) < 3:
        return np.array(ordered)
    return np.array(_chain(ordered)[:-1] + _chain(ordered[::-1])[:-1])


def _chain(points: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    kept: list[tuple[float, ...]] = []
    for point in points:
        while len(kept) > 1 and _left_turn(kept[-2], kept[-1], point) <= 0:
            kept.pop()
        kept.append(point)
    return kept


def _left_turn(one: tuple[float, ...], two: tuple[float, ...], three: tuple[float, ...]) -> float:
    return (two[0] - one[0]) * (three[1] - one[1]) - (two[1] - one[1]) * (three[0] - one[0])
