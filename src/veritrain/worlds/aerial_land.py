"""A piece of land while it is laid out: what covers the ground, what stands where, and what is still free."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from veritrain.worlds.aerial_palette import Palette
from veritrain.worlds.aerial_sketch import Colour, Point, Points, Sketch, rectangle

PAVED, GRASS, WOOD, SAND, WATER, FURROWED = 0, 1, 2, 3, 4, 16
"""Materials: what texture the ground gets. FURROWED + n is the n-th field."""
ROAD, WET, TAKEN, BUILT, KEPT = 1, 2, 4, 8, 16
"""Marks of the plan: a road, water, a labelled thing, something without a label, kept free for a site."""
ANYTHING = ROAD | WET | TAKEN | BUILT | KEPT
ON_SITE = ANYTHING & ~KEPT
"""What must not lie below a thing that stands on the ground of its site."""

Look = Callable[[Sketch, float, float, np.random.Generator, Palette], None]


@dataclass(frozen=True)
class Patch:
    """A polygon of ground."""

    points: Points
    colour: Colour
    material: int


@dataclass(frozen=True)
class Furrows:
    """Rows of a field: radians, units from row to row, and how strongly they show (share of the light)."""

    turn: float
    period: float
    strength: float


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something that is labelled.

    Attributes:
        kind: its class.
        sketch: how it looks.
        turn: radians of its long side or its nose; 0 for what is as long as wide.
        extent: (left, top, right, bottom) of its own polygons in scene units.
        breadth: the shorter side of the rectangle around them that is turned with it.
        host: the thing that it stands on, by its place in the list; -1 where it stands on the ground.
    """

    kind: str
    sketch: Sketch
    turn: float
    extent: tuple[float, float, float, float]
    breadth: float
    host: int


@dataclass(frozen=True)
class Road:
    """A straight road that vehicles drive on: ends, and for each lane its offset and direction (1 or -1)."""

    start: Point
    end: Point
    lanes: tuple[tuple[float, int], ...]


class Land:
    """What a scene is made of; sites lay it out.

    Args:
        size: (width, height) in scene units.
        window: side of the smaller side of an image, scene units.
        rng: of all that is random in it.
        palette: colours. looks: class -> how it is drawn.
        sun, lean: as in ``Sketch``; what stands tall leans by ``lean``, what is flat not at all.
    """

    def __init__(
        self,
        size: Point,
        window: float,
        rng: np.random.Generator,
        palette: Palette,
        looks: dict[str, Look],
        sun: Point,
        lean: Point,
    ) -> None:
        self.width, self.height, self.window = size[0], size[1], window
        self.rng, self.palette, self.sun, self.lean = rng, palette, sun, lean
        self._looks = looks
        self.patches: list[Patch] = []
        self.furrows: list[Furrows] = []
        self.structures: list[Sketch] = []
        self.things: list[Thing] = []
        self.roads: list[Road] = []
        self.blocks: list[Points] = []
        self.water: Colour = palette.sea[0]
        self._plan: NDArray[np.uint8] = np.zeros((int(np.ceil(self.height)), int(np.ceil(self.width))), np.uint8)

    @property
    def middle(self) -> Point:
        """The centre of the land."""
        return self.width / 2, self.height / 2

    def near_middle(self, reach: float) -> Point:
        """A place at most ``reach`` from the centre along each axis."""
        x, y = self.rng.uniform(-reach, reach, 2)
        return self.width / 2 + float(x), self.height / 2 + float(y)

    def uniform(self, low: float, high: float) -> float:
        """A number between two."""
        return float(self.rng.uniform(low, high))

    def chance(self, share: float) -> bool:
        """True so often."""
        return bool(self.rng.random() < share)

    def fill(self, points: Points, colour: Colour, material: int, *, mark: int = 0, clear: bool = False) -> None:
        """Covers the ground; ``mark`` enters it in the plan, ``clear`` forgets what was marked there."""
        self.patches.append(Patch(points, colour, material))
        if mark or clear:
            self.mark(points, mark, clear=clear)

    def mark(self, points: Points, code: int, *, clear: bool = False) -> None:
        """Enters a polygon in the plan."""
        cut, inside = self._raster(points)
        part = self._plan[cut]
        if clear:
            part[inside] = 0
        part[inside] |= code

    def under(self, points: Points) -> tuple[int, int]:
        """Marks that are somewhere below a polygon, and marks that are everywhere below it."""
        cut, inside = self._raster(points)
        found = self._plan[cut][inside]
        if not found.size:
            return 0, 0
        return int(np.bitwise_or.reduce(found)), int(np.bitwise_and.reduce(found))

    def holds(self, points: Points) -> bool:
        """Whether a polygon lies on the land with all of its corners."""
        low, high = points.min(axis=0), points.max(axis=0)
        return bool((low >= 0).all() and (high <= (self.width, self.height)).all())

    def place(
        self,
        kind: str,
        middle: Point,
        turn: float,
        size: Point,
        *,
        host: int = -1,
        avoid: int = ANYTHING,
        needs: int = 0,
        gap: float = 2.0,
        before: Callable[[Sketch], None] | None = None,
    ) -> int:
        """Puts a labelled thing there if there is room.

        Args:
            kind: its class. middle: where. turn: radians. size: length and width.
            host: the thing that it stands on.
            avoid: marks that must not lie below it. needs: a mark that must lie everywhere below it.
            gap: units that stay free around it.
            before: draws what lies under it and is not part of it.

        Returns:
            Its place in the list of things, or -1 where it does not fit.
        """
        tall = kind in TALL
        sketch = Sketch(middle, turn, self.sun, self.lean if tall else (0.0, 0.0))
        own = np.random.default_rng(int(self.rng.integers(2**63)))
        if before is not None:
            before(sketch)
        self._looks[kind](sketch, size[0], size[1], own, self.palette)
        extent = sketch.extent()
        foot = _grown(sketch.outline(), gap) if tall else sketch.foot(gap)
        somewhere, everywhere = self.under(foot)
        if not self.holds(np.reshape(extent, (2, 2))) or somewhere & avoid or everywhere & needs != needs:
            return -1
        self.mark(sketch.outline() if tall else sketch.foot(), TAKEN)
        sides = np.hypot(*np.diff(sketch.foot()[:3], axis=0).T)
        self.things.append(
            Thing(
                kind=kind,
                sketch=sketch,
                turn=0.0 if kind in ROUND else turn,
                extent=extent,
                breadth=float(sides.min()),
                host=host,
            )
        )
        return len(self.things) - 1

    def build(
        self, points: Points, height: float, roof: Colour, wall: Colour, *, avoid: int = ANYTHING, ridge: bool = False
    ) -> bool:
        """A building without a label, if there is room; ``ridge`` gives it a roof of two slopes."""
        if self.under(points)[0] & avoid:
            return False
        sketch = Sketch((0.0, 0.0), 0.0, self.sun, self.lean)
        sketch.block(points, height, roof, wall)
        if ridge:
            red, green, blue = (int(part * 0.82) for part in roof)
            (one, two), (three, four) = points[:2], points[2:]
            sketch.polygon(
                [tuple((one + four) / 2), tuple((two + three) / 2), tuple(three), tuple(four)],
                (red, green, blue),
                height=height,
            )
        self.structures.append(sketch)
        self.mark(points, BUILT)
        return True

    def decorate(self, middle: Point = (0.0, 0.0), turn: float = 0.0) -> Sketch:
        """A sketch that is part of the ground: the caller draws on it."""
        sketch = Sketch(middle, turn, self.sun, self.lean)
        self.structures.append(sketch)
        return sketch

    def search(self, size: Point, turn: float, *, tries: int = 30, avoid: int = ANYTHING) -> Point | None:
        """A place where a rectangle of that size is free, or None where none was found."""
        for _ in range(tries):
            middle = (self.uniform(0, self.width), self.uniform(0, self.height))
            points = rectangle(middle, size, turn)
            if self.holds(points) and not self.under(points)[0] & avoid:
                return middle
        return None

    def _raster(self, points: Points) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
        """The part of the plan around a polygon, and which of its cells lie inside."""
        rows, columns = self._plan.shape
        (low_x, low_y), (high_x, high_y) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        left, top = min(max(int(low_x), 0), columns), min(max(int(low_y), 0), rows)
        right, bottom = min(max(int(high_x) + 2, left), columns), min(max(int(high_y) + 2, top), rows)
        cut = (slice(top, bottom), slice(left, right))
        if right == left or bottom == top:
            return cut, np.zeros((bottom - top, right - left), bool)
        picture = Image.new("L", (right - left, bottom - top), 0)
        ImageDraw.Draw(picture).polygon((points - (left, top)).ravel().tolist(), fill=1)
        return cut, np.asarray(picture, bool)


TALL = frozenset({"chimney", "windmill", "storagetank", "stadium"})
"""Kinds that are seen leaning; the room that they take is all that they are seen to cover."""
ROUND = frozenset({"chimney", "windmill", "storagetank", "golffield", "stadium", "baseballfield"})
"""Kinds whose oriented box is upright, as it mostly is in the real set."""


def at(origin: Point, turn: float, place: Point) -> Point:
    """A place given in a frame at ``origin`` turned by ``turn``, in the scene."""
    cos, sin = np.cos(turn), np.sin(turn)
    return float(origin[0] + cos * place[0] - sin * place[1]), float(origin[1] + sin * place[0] + cos * place[1])


def outline(origin: Point, turn: float, places: Sequence[Point]) -> Points:
    """(n, 2) such places."""
    cos, sin = np.cos(turn), np.sin(turn)
    turned: Points = np.asarray(places, float) @ np.array([[cos, sin], [-sin, cos]]) + origin
    return turned


def _grown(points: Points, gap: float) -> Points:
    """A convex outline whose corners lie ``gap`` further from its middle."""
    away = points - points.mean(axis=0)
    further: Points = points + away / np.maximum(np.hypot(*away.T), 1e-9)[:, None] * gap
    return further
