"""Looks of what people play on: courts, fields, tracks, stadiums, golf."""

from __future__ import annotations

import numpy as np

from veritrain.worlds.aerial_palette import Palette, lighter, pick
from veritrain.worlds.aerial_sketch import Colour, Point, Points, Sketch, ellipse, oblong

WHITE = (236, 236, 232)


def tennis_court(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A court inside a surround of another colour; side, service and middle lines, a net with its shadow."""
    surround, inner = palette.courts[int(rng.integers(len(palette.courts)))]
    line = length * 0.016
    long, wide = length * 0.68, width * 0.66
    sketch.rectangle((0, 0), (length, width), pick((surround,), rng))
    sketch.rectangle((0, 0), (long, wide), pick((inner,), rng))
    _frame(sketch, (long, wide), line)
    for side in (-1, 1):
        sketch.rectangle((0, side * wide * 0.375), (long, line), WHITE)
        sketch.rectangle((side * long * 0.27, 0), (line, wide * 0.75), WHITE)
    sketch.rectangle((0, 0), (long * 0.54, line), WHITE)
    sketch.rectangle((length * 0.014, 0), (length * 0.014, wide * 1.12), lighter(inner, 0.55))
    sketch.rectangle((0, 0), (length * 0.018, wide * 1.12), (222, 222, 222))


def basketball_court(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """One field with a middle circle, painted keys and three-point arcs at both ends, and two boards."""
    base, key = palette.wooden[int(rng.integers(len(palette.wooden)))]
    base, key = pick((base,), rng), pick((key,), rng)
    line = length * 0.018
    sketch.rectangle((0, 0), (length, width), lighter(base, 0.86))
    long, wide = length * 0.92, width * 0.88
    sketch.rectangle((0, 0), (long, wide), base)
    for side in (-1, 1):
        edge = side * long / 2
        arc = ellipse((edge - side * long * 0.05, 0), (wide * 0.44, wide * 0.44), 13, -np.pi / 2, np.pi / 2)
        arc[:, 0] = edge - side * (np.abs(arc[:, 0] - edge + side * long * 0.05) + long * 0.05)
        ends = [(edge, -wide * 0.44), *map(tuple, arc), (edge, wide * 0.44)]
        sketch.polygon(ends, lighter(base, 1.12))
        sketch.line(ends, line, WHITE)
        sketch.rectangle((edge - side * long * 0.105, 0), (long * 0.21, wide * 0.34), key)
        sketch.ellipse((edge - side * long * 0.21, 0), (wide * 0.13, wide * 0.17), key, corners=12)
        sketch.rectangle((edge - side * long * 0.04, 0), (long * 0.016, wide * 0.16), (240, 240, 240))
    sketch.ellipse((0, 0), (wide * 0.17, wide * 0.17), WHITE, corners=14)
    sketch.ellipse((0, 0), (wide * 0.13, wide * 0.13), key, corners=14)
    sketch.rectangle((0, 0), (line, wide), WHITE)
    _frame(sketch, (long, wide), line)


def baseball_field(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A quarter disc that opens along x from the home plate: clay infield with a grass diamond, bases, outfield."""
    home = -length / 2
    grass, clay = pick(palette.turf, rng), pick(palette.clay, rng)
    wide = np.arctan2(width / 2, length * 0.74)
    sketch.polygon(_wedge(home, length, wide), lighter(clay, 0.96))
    sketch.polygon(_wedge(home + length * 0.02, length * 0.93, wide), grass)
    for ring in np.arange(0.55, 0.9, 0.14):
        outer, inner = _wedge(home, length * (ring + 0.05), wide)[1:], _wedge(home, length * ring, wide)[:0:-1]
        sketch.polygon(np.concatenate([outer, inner]), lighter(grass, 1.07))
    reach = length * float(rng.uniform(0.42, 0.48))
    sketch.polygon(_wedge(home, reach, wide), clay)
    sketch.ellipse((home + length * 0.05, 0), (length * 0.065, length * 0.065), clay, corners=14)
    base = reach * 0.54
    corner = (home + base * 0.72 + length * 0.02, base * 0.72)
    diamond = [(home + length * 0.06, 0), (corner[0], -corner[1]), (home + base * 1.42, 0), corner]
    sketch.polygon(diamond, grass if rng.random() < 0.75 else lighter(clay, 1.08))
    sketch.ellipse((home + base * 0.76, 0), (length * 0.028, length * 0.028), clay, corners=10)
    for place in diamond:
        sketch.rectangle(place, (length * 0.024, length * 0.024), WHITE, turn=np.pi / 4)
    for side in (-1, 1):
        end = (home + length * 0.93 * np.cos(wide), side * length * 0.93 * np.sin(wide))
        sketch.line([(home, 0), end], length * 0.01, WHITE)


def track_field(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A running track with lane lines around a pitch."""
    red, grass = pick(palette.tracks, rng), pick(palette.turf, rng)
    lanes = width * 0.15
    sketch.polygon(oblong(length, width), lighter(red, 0.92))
    for share in (0.02, 0.34, 0.66):
        shrink = 2 * lanes * share
        sketch.polygon(oblong(length - shrink, width - shrink), (214, 196, 186))
        sketch.polygon(oblong(length - shrink - width * 0.02, width - shrink - width * 0.02), red)
    sketch.polygon(oblong(length - 2 * lanes, width - 2 * lanes), lighter(red, 1.06) if rng.random() < 0.5 else grass)
    long, wide = length - width * 0.86, width - 2.5 * lanes
    striped(sketch, (long, wide), grass, stripes=int(rng.integers(5, 9)))
    line = width * 0.014
    _frame(sketch, (long * 0.94, wide * 0.9), line)
    sketch.rectangle((0, 0), (line, wide * 0.9), WHITE)
    sketch.ellipse((0, 0), (wide * 0.15, wide * 0.15), WHITE, corners=14)
    sketch.ellipse((0, 0), (wide * 0.12, wide * 0.12), grass, corners=14)


def stadium(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """A bowl of seats under a ring of roof, with a pitch in the middle; its wall throws a wide shadow."""
    roof, seats = pick(palette.domes, rng), pick(palette.seats, rng)
    power = float(rng.uniform(3.2, 4.5) if palette.held_out else rng.uniform(2.0, 2.9))
    height = width * 0.16

    def ring(share: float) -> Points:
        return _rounded((length / 2 * share, width / 2 * share), power)

    sketch.block(ring(0.96), height, lighter(roof, 0.9), lighter(roof, 0.62))
    sketch.polygon(ring(0.96), roof, height=height)
    ribs = int(rng.integers(20, 30))
    for angle in np.arange(ribs) * 2 * np.pi / ribs:
        way = np.array([np.cos(angle), np.sin(angle)])
        reach = 0.95 / (np.abs(way / (length / 2, width / 2)) ** power).sum() ** (1 / power)
        sketch.line([tuple(way * reach * 0.72), tuple(way * reach)], width * 0.012, lighter(roof, 0.8), height=height)
    inner = float(rng.uniform(0.70, 0.78))
    sketch.polygon(ring(inner), lighter(seats, 0.72), height=height)
    sketch.polygon(ring(inner - 0.07), seats)
    sketch.polygon(ring(inner - 0.17), lighter(seats, 1.14))
    sketch.polygon(ring(inner - 0.24), lighter(seats, 0.88))
    turf = pick(palette.turf, rng)
    sketch.polygon(ring(inner - 0.29), lighter(turf, 0.85))
    long, wide = length * (inner - 0.30) * 0.74, width * (inner - 0.30) * 0.70
    striped(sketch, (long, wide), turf, stripes=7)
    _frame(sketch, (long * 0.94, wide * 0.92), width * 0.012)
    sketch.rectangle((0, 0), (width * 0.012, wide * 0.92), WHITE)


def golf_field(sketch: Sketch, length: float, width: float, rng: np.random.Generator, palette: Palette) -> None:
    """Rough with long light fairways, pale greens among bunkers, ponds and trees."""
    rough = lighter(pick(palette.turf, rng), 0.80)
    sketch.polygon(blob((0, 0), (length / 2, width / 2), rng, rough=0.05, corners=36), rough)
    fair, pale = lighter(rough, 1.28), lighter(rough, 1.52)
    rows = max(round(width / 38), 2)
    step = width * 0.80 / rows
    for row in range(rows):
        y = -width * 0.40 + (row + 0.5) * step
        reach = length * 0.40 * np.sqrt(max(1 - (2 * y / width) ** 2, 0.15))
        bend = rng.uniform(-0.28, 0.28, 2) * step
        way = [(-reach, y), (-reach * 0.35, y + bend[0]), (reach * 0.35, y + bend[1]), (reach, y)]
        fairway = _smooth(np.array(way), 14)
        sketch.line(fairway, step * 0.46, fair)
        for end in (fairway[0], fairway[-1]):
            sketch.ellipse((end[0], end[1]), (step * 0.23, step * 0.23), fair, corners=14)
        green = fairway[-1] if row % 2 else fairway[0]
        for _ in range(int(rng.integers(2, 4))):
            angle, far = rng.uniform(0, 2 * np.pi), step * 0.33
            place = (green[0] + far * np.cos(angle), np.clip(green[1] + far * np.sin(angle), y - far, y + far))
            size = float(rng.uniform(0.09, 0.15)) * step
            sketch.polygon(blob(place, (size * 1.5, size), rng, rough=0.16, corners=12), pick(_BUNKERS, rng))
        sketch.ellipse((green[0], green[1]), (step * 0.18, step * 0.16), pale, corners=14)
        if rng.random() < 0.55:
            place = (float(rng.uniform(-0.5, 0.5)) * reach, y + step * 0.38)
            pond = (step * float(rng.uniform(0.2, 0.4)), step * 0.16)
            sketch.polygon(blob(place, pond, rng, rough=0.15, corners=16), pick(palette.river, rng))
        for x in rng.uniform(-reach, reach, int(rng.integers(5, 10))):
            tree = (float(x), y + step * float(rng.uniform(0.40, 0.52)))
            radius = float(rng.uniform(1.6, 3.0))
            sketch.shadow(ellipse(tree, (radius, radius), 8), 2.5, floats=True)
            sketch.ellipse(tree, (radius, radius), pick(palette.wood, rng), corners=8)


_BUNKERS = ((222, 208, 170), (230, 218, 186))


def striped(sketch: Sketch, size: Point, grass: Colour, *, stripes: int) -> None:
    """A mown pitch around 0, 0."""
    sketch.rectangle((0, 0), size, grass)
    for index in range(0, stripes, 2):
        x = size[0] * ((index + 0.5) / stripes - 0.5)
        sketch.rectangle((x, 0), (size[0] / stripes, size[1]), lighter(grass, 1.10))


def blob(
    middle: Point, half: Point, rng: np.random.Generator, *, rough: float = 0.12, corners: int = 24, waves: int = 4
) -> Points:
    """(corners, 2) outline of something that grew: an ellipse with a few waves."""
    angles = np.arange(corners) * 2 * np.pi / corners
    radius = np.ones(corners)
    for wave in range(2, 2 + waves):
        radius += rng.normal(0, rough) / np.sqrt(wave - 1) * np.cos(wave * angles + rng.uniform(0, 2 * np.pi))
    radius = np.clip(radius, 0.4, 1.6)
    return np.stack([np.cos(angles) * half[0], np.sin(angles) * half[1]], axis=1) * radius[:, None] + middle


def _frame(sketch: Sketch, size: Point, line: float) -> None:
    """The four white lines of a field around 0, 0."""
    for side in (-1, 1):
        sketch.rectangle((0, side * (size[1] - line) / 2), (size[0], line), WHITE)
        sketch.rectangle((side * (size[0] - line) / 2, 0), (line, size[1]), WHITE)


def _wedge(home: float, reach: float, wide: float) -> Points:
    arc = ellipse((home, 0), (reach, reach), 15, -wide, wide)
    return np.concatenate([[(home, 0.0)], arc])


def _rounded(half: Point, power: float, corners: int = 40) -> Points:
    """A superellipse: an ellipse at power 2, nearly a rectangle at 5."""
    angles = np.arange(corners) * 2 * np.pi / corners
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack(
        [
            np.sign(cos) * np.abs(cos) ** (2 / power) * half[0],
            np.sign(sin) * np.abs(sin) ** (2 / power) * half[1],
        ],
        axis=1,
    )


def _smooth(points: Points, count: int) -> Points:
    """(count, 2) points of a curve through control points (quadratic between their middles)."""
    places = np.linspace(0, len(points) - 1, count)
    spread = np.arange(len(points))
    weights = np.exp(-((places[:, None] - spread) ** 2) / 0.5)
    weights[0], weights[-1] = np.eye(len(points))[[0, -1]]
    smooth: Points = weights @ points / weights.sum(axis=1, keepdims=True)
    return smooth
