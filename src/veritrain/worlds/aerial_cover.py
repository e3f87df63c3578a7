"""What covers the land around a site: fields, woods, streets and houses, roads and what drives on them, water."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from veritrain.worlds.aerial_land import (
    ANYTHING,
    BUILT,
    FURROWED,
    GRASS,
    KEPT,
    PAVED,
    ROAD,
    SAND,
    TAKEN,
    WATER,
    WET,
    WOOD,
    Furrows,
    Land,
    Road,
    at,
    outline,
)
from veritrain.worlds.aerial_palette import lighter, pick
from veritrain.worlds.aerial_sketch import Point, Points, Sketch, band, ellipse, rectangle
from veritrain.worlds.aerial_sport import blob
from veritrain.worlds.aerial_ways import PAINT, carriageway

STREET, HIGHWAY = 14.0, 36.0
"""Widths of roads, scene units."""
LANES = {STREET: ((3.4, 1), (-3.4, -1)), HIGHWAY: ((4.6, -1), (12.6, -1), (-4.6, 1), (-12.6, 1))}


def cover(land: Land, kind: str) -> None:
    """Lays the ground: farmland, grassland, forest, desert or town."""
    {"farmland": _farmland, "grassland": _grassland, "forest": _forest, "desert": _desert, "town": _town}[kind](land)


def finish(land: Land, kind: str, *, busy: bool) -> None:
    """Fills what sites left free: houses in a town, farms and trees elsewhere; then traffic."""
    if kind == "town":
        for block in land.blocks:
            _fill_block(land, block)
        trees(land, int(land.rng.integers(50, 110)))
    else:
        for _ in range(int(land.rng.integers(0, 4)) if kind != "forest" else 0):
            _farm(land)
        trees(land, int(land.rng.integers(20, 70)) if kind != "desert" else int(land.rng.integers(0, 16)))
    traffic(land, busy=busy)


def whole(land: Land) -> Points:
    """The outline of the land, and a little more."""
    return rectangle(land.middle, (land.width + 8, land.height + 8))


def _farmland(land: Land) -> None:
    land.fill(whole(land), pick(land.palette.grass, land.rng), GRASS)
    turn, side = land.uniform(-0.7, 0.7), 0.75 * (land.width + land.height)
    _split(land, turn, (-side / 2, -side / 2, side / 2, side / 2), 0)
    _woods(land, int(land.rng.integers(0, 3)), 34)


def _split(land: Land, turn: float, part: tuple[float, float, float, float], depth: int) -> None:
    """A field, or two halves that are split on."""
    left, top, right, bottom = part
    wide, high = right - left, bottom - top
    if depth < 7 and (max(wide, high) > 150 or (max(wide, high) > 62 and land.chance(0.75))):
        cut = land.uniform(0.35, 0.65)
        if wide > high:
            halves = (left, top, left + cut * wide, bottom), (left + cut * wide, top, right, bottom)
        else:
            halves = (left, top, right, top + cut * high), (left, top + cut * high, right, bottom)
        for half in halves:
            _split(land, turn, half, depth + 1)
        return
    edge = 1.2
    corners = [(left + edge, top + edge), (right - edge, top + edge), (right - edge, bottom - edge)]
    points = outline(land.middle, turn, [*corners, (left + edge, bottom - edge)])
    along = turn + (np.pi / 2 if land.chance(0.5) else 0.0)
    land.furrows.append(Furrows(along, land.uniform(3.5, 9.0), land.uniform(0.01, 0.07)))
    land.fill(points, pick(land.palette.crops, land.rng), FURROWED + len(land.furrows) - 1)


def _grassland(land: Land) -> None:
    land.fill(whole(land), pick(land.palette.grass, land.rng), GRASS)
    for _ in range(7):
        place = (land.uniform(0, land.width), land.uniform(0, land.height))
        half = (land.uniform(40, 120), land.uniform(30, 90))
        land.fill(blob(place, half, land.rng), pick(land.palette.grass, land.rng, 9), GRASS)
    _woods(land, int(land.rng.integers(1, 4)), 46)


def _forest(land: Land) -> None:
    land.fill(whole(land), pick(land.palette.wood, land.rng), WOOD)
    for _ in range(int(land.rng.integers(3, 7))):
        place = (land.uniform(0, land.width), land.uniform(0, land.height))
        half = (land.uniform(20, 70), land.uniform(18, 50))
        land.fill(blob(place, half, land.rng), pick(land.palette.grass, land.rng), GRASS)


def _desert(land: Land) -> None:
    land.fill(whole(land), pick(land.palette.sand, land.rng), SAND)
    for _ in range(9):
        place = (land.uniform(0, land.width), land.uniform(0, land.height))
        half = (land.uniform(30, 140), land.uniform(12, 50))
        land.fill(blob(place, half, land.rng), pick(land.palette.sand, land.rng, 5), SAND)


def _woods(land: Land, count: int, size: float) -> None:
    for _ in range(count):
        place = (land.uniform(0, land.width), land.uniform(0, land.height))
        half = (size * land.uniform(0.5, 1.5), size * land.uniform(0.4, 1.0))
        land.fill(blob(place, half, land.rng, rough=0.2), pick(land.palette.wood, land.rng), WOOD)


def _town(land: Land) -> None:
    """A grid of streets; blocks are filled once sites have taken theirs."""
    land.fill(whole(land), lighter(pick(land.palette.grass, land.rng), 0.96), GRASS)
    turn = land.uniform(-0.6, 0.6)
    reach = 0.75 * np.hypot(land.width, land.height)
    lines = [_cuts(land, reach), _cuts(land, reach)]
    for axis, places in enumerate(lines):
        for place in places:
            ends = [(place, -reach), (place, reach)] if axis == 0 else [(-reach, place), (reach, place)]
            road(land, at(land.middle, turn, ends[0]), at(land.middle, turn, ends[1]), STREET)
    edge = STREET / 2 + 3
    for left, right in zip(lines[0], lines[0][1:], strict=False):
        for top, bottom in zip(lines[1], lines[1][1:], strict=False):
            corners = [(left + edge, top + edge), (right - edge, top + edge), (right - edge, bottom - edge)]
            block = outline(land.middle, turn, [*corners, (left + edge, bottom - edge)])
            if (block.max(axis=0) > 0).all() and (block.min(axis=0) < (land.width, land.height)).all():
                land.blocks.append(block)


def _cuts(land: Land, reach: float) -> list[float]:
    places = [-reach + land.uniform(0, 60)]
    while places[-1] < reach:
        places.append(places[-1] + land.uniform(78, 128))
    return places


def _fill_block(land: Land, block: Points) -> None:
    """Rows of houses, a few large buildings, or a car park among trees."""
    origin, along, down = block[0], block[1] - block[0], block[3] - block[0]
    wide, high = float(np.hypot(*along)), float(np.hypot(*down))
    turn = float(np.arctan2(along[1], along[0]))
    style = land.rng.random()
    if style < 0.08:
        lot(
            land,
            at(tuple(origin), turn, (wide / 2, high / 2)),
            turn,
            (min(wide - 6, 62), 40),
            filled=land.uniform(0.05, 0.5),
        )
        return
    size, step = ((9.0, 7.5), (15.0, 17.0)) if style < 0.62 else ((26.0, 17.0), (36.0, 28.0))
    roofs = pick(land.palette.roof if style < 0.8 else land.palette.hall, land.rng)
    for y in np.arange(step[1] / 2 + 2, high - step[1] / 2 + 1, step[1]):
        for x in np.arange(step[0] / 2 + 2, wide - step[0] / 2 + 1, step[0]):
            if land.chance(0.16):
                continue
            middle = at(tuple(origin), turn, (float(x), float(y)))
            own = (size[0] * land.uniform(0.75, 1.15), size[1] * land.uniform(0.75, 1.15))
            roof = pick((roofs, *land.palette.roof[:2]), land.rng, 8)
            tall = 2.6 if size[0] < 12 else land.uniform(4, 11)
            house = rectangle(middle, own, turn)
            if land.holds(house):
                land.build(house, tall, roof, pick(land.palette.wall, land.rng), ridge=size[0] < 12)


def _farm(land: Land) -> None:
    turn = land.uniform(-0.7, 0.7)
    place = land.search((46, 34), turn)
    if place is None:
        return
    land.fill(
        outline(place, turn, [(-23, -17), (23, -17), (23, 17), (-23, 17)]), pick(land.palette.soil, land.rng), GRASS
    )
    for x, y, long, wide in ((-11, -6, 18, 9), (10, -8, 11, 8), (2, 8, 24, 9)):
        house = rectangle(at(place, turn, (x, y)), (long, wide), turn)
        land.build(house, 3.0, pick(land.palette.roof, land.rng), pick(land.palette.wall, land.rng), ridge=True)


def trees(land: Land, count: int) -> None:
    """Single trees where nothing else is."""
    sketch = land.decorate()
    crowns = pick(land.palette.wood, land.rng)
    for x, y in land.rng.uniform((0, 0), (land.width, land.height), (count, 2)):
        radius = land.uniform(1.6, 3.4)
        crown = ellipse((float(x), float(y)), (radius, radius * land.uniform(0.85, 1.0)), 9)
        if not land.under(crown)[0] & ANYTHING:
            sketch.shadow(crown, radius * 1.2, floats=True)
            sketch.polygon(crown, pick((crowns,), land.rng, 7))
            sketch.polygon((crown - (x, y)) * 0.55 + (x, y) - np.array(land.sun) * radius * 0.3, lighter(crowns, 1.25))


def road(land: Land, start: Point, end: Point, width: float) -> None:
    """A straight street or highway from one place to another, with its lines."""
    dark = pick(land.palette.asphalt, land.rng, 3)
    land.fill(band([start, end], width + 2.4), lighter(pick(land.palette.concrete, land.rng), 0.94), PAVED)
    land.fill(band([start, end], width), dark, PAVED, mark=ROAD)
    length = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    turn = float(np.arctan2(end[1] - start[1], end[0] - start[0]))
    sketch = Sketch(((start[0] + end[0]) / 2, (start[1] + end[1]) / 2), turn)
    if width == HIGHWAY:
        carriageway(sketch, (length, width))
    else:
        for x in np.arange(-length / 2 + 2, length / 2 - 2, 8.0):
            sketch.rectangle((float(x), 0), (3.4, 0.6), PAINT)
    for stroke in sketch.strokes:
        low, high = stroke.points.min(axis=0), stroke.points.max(axis=0)
        if (high > 0).all() and (low < (land.width, land.height)).all():
            land.fill(stroke.points, stroke.colour, PAVED)
    land.roads.append(Road(start, end, LANES[width]))


def across(land: Land, through: Point, turn: float) -> tuple[Point, Point]:
    """The ends of a straight line through a place that reaches past the edges of the land."""
    reach = float(np.hypot(land.width, land.height))
    return at(through, turn, (-reach, 0)), at(through, turn, (reach, 0))


def track(land: Land, points: Sequence[Point], width: float = 5.0) -> None:
    """A dirt road."""
    land.fill(band(points, width), pick(land.palette.soil, land.rng), PAVED, mark=ROAD)


def lot(land: Land, middle: Point, turn: float, size: Point, *, filled: float, avoid: int = ANYTHING) -> bool:
    """A car park of double rows, so full; False where it does not fit."""
    if land.under(rectangle(middle, size, turn))[0] & avoid:
        return False
    land.fill(rectangle(middle, size, turn), lighter(pick(land.palette.asphalt, land.rng), 1.08), PAVED, mark=KEPT)
    rows = max(int(size[1] // 21), 1)
    for row in range(rows):
        y = (row + 0.5) * size[1] / rows - size[1] / 2
        land.fill(rectangle(at(middle, turn, (0, y)), (size[0] - 8, 0.7), turn), PAINT, PAVED)
        for x in np.arange(-size[0] / 2 + 5, size[0] / 2 - 4, 6.6):
            land.fill(rectangle(at(middle, turn, (float(x), y)), (0.6, 15), turn), PAINT, PAVED)
            for side in (-1, 1):
                if x + 6.6 < size[0] / 2 - 4 and land.chance(filled):
                    bay = at(middle, turn, (float(x) + 3.3, y + side * 6.4))
                    park(land, bay, turn + side * np.pi / 2)
    return True


def park(land: Land, place: Point, turn: float, *, host: int = -1, lorry: bool = False) -> None:
    """A vehicle that stands still."""
    long = land.uniform(17, 22) if lorry else land.uniform(8.8, 11.4)
    wide = land.uniform(5.0, 5.8) if lorry else long * land.uniform(0.44, 0.50)
    land.place("vehicle", place, turn, (long, wide), host=host, avoid=TAKEN | BUILT, gap=0.3)


def traffic(land: Land, *, busy: bool) -> None:
    """Vehicles on all roads: some are full, some nearly empty; around a site that is not busy, many are quite empty."""
    if not busy and land.chance(0.45):
        return
    apart = float(np.exp(land.rng.normal(4.1 if busy else 4.8, 0.55)))
    for one in land.roads:
        start, end = np.array(one.start), np.array(one.end)
        length = float(np.hypot(*(end - start)))
        turn = float(np.arctan2(end[1] - start[1], end[0] - start[0]))
        spread = apart * land.uniform(0.7, 2.2) * (1.6 if len(one.lanes) == 2 else 1.0)
        for offset, way in one.lanes:
            along = land.uniform(0, 30)
            while along < length:
                place = at(one.start, turn, (along, offset))
                if -10 < place[0] < land.width + 10 and -10 < place[1] < land.height + 10:
                    _drive(land, place, turn if way > 0 else turn + np.pi)
                along += 16 + float(land.rng.exponential(spread))


def _drive(land: Land, place: Point, turn: float) -> None:
    lorry = land.chance(0.12)
    long = land.uniform(18, 25) if lorry else land.uniform(9.0, 12.0)
    wide = land.uniform(5.2, 6.0) if lorry else long * land.uniform(0.44, 0.52)
    land.place("vehicle", place, turn, (long, wide), avoid=ANYTHING & ~ROAD, needs=ROAD, gap=0.6)


def river(land: Land, through: Point, turn: float, width: float, bend: float) -> None:
    """A river with its banks, straight where it goes ``through`` and bent away from there by ``bend`` units."""
    reach = float(np.hypot(land.width, land.height)) * 0.75
    line = outline(through, turn, [(float(x), bend_at(float(x), bend)) for x in np.linspace(-reach, reach, 41)])
    banks = land.palette.soil if land.chance(0.5) else land.palette.wood
    land.fill(band(line, width + 7), pick(banks, land.rng), GRASS)
    land.water = pick(land.palette.river, land.rng)
    land.fill(band(line, width), land.water, WATER, mark=WET, clear=True)


def bend_at(x: float, bend: float) -> float:
    """How far the middle of a river lies beside its straight line, ``x`` units along it."""
    return float(bend * (1 - np.cos(x / 110)))


def sea(land: Land, points: Points) -> None:
    """Open water."""
    land.water = pick(land.palette.sea, land.rng)
    land.fill(points, land.water, WATER, mark=WET, clear=True)


def yard(land: Land, points: Points, *, paved: bool = False) -> None:
    """The ground of a site: it covers what was there, and nothing else is built on it."""
    colour = pick(land.palette.concrete if paved else land.palette.grass, land.rng)
    land.fill(points, colour, PAVED if paved else GRASS, mark=KEPT, clear=True)
