"""Sites of travel by air, road and rail: airports, aprons, interchanges, service areas, tolls, stations."""

from __future__ import annotations

import numpy as np

from veritrain.worlds.aerial_cover import HIGHWAY, STREET, across, lot, park, road, yard
from veritrain.worlds.aerial_land import BUILT, KEPT, ON_SITE, PAVED, ROAD, TAKEN, WET, Land, at, outline
from veritrain.worlds.aerial_palette import lighter, pick
from veritrain.worlds.aerial_sketch import Point, rectangle
from veritrain.worlds.aerial_ways import PAINT, bays_of_service_area, stands_of_airport


def airport(land: Land) -> None:
    """An airport with airplanes at its stands, tanks or a small apron beside it."""
    turn = land.uniform(-0.6, 0.6) + (np.pi / 2 if land.chance(0.4) else 0.0)
    fits = land.window * 0.93
    size = (land.uniform(0.80, 0.92) * fits, land.uniform(0.36, 0.42) * fits)
    reach = max(
        size[0] * abs(np.cos(turn)) + size[1] * abs(np.sin(turn)),
        size[0] * abs(np.sin(turn)) + size[1] * abs(np.cos(turn)),
    )
    size = (size[0] * min(fits / reach, 1.0), size[1] * min(fits / reach, 1.0))
    middle = land.near_middle(30)
    yard(land, rectangle(middle, (size[0] + 14, size[1] + 14), turn))
    host = land.place("airport", middle, turn, size, avoid=ON_SITE)
    for place, nose in stands_of_airport(*size):
        if land.chance(0.72):
            span = land.uniform(10.5, 12.5) * size[0] / 190
            land.place(
                "airplane", at(middle, turn, place), turn + nose, (span * 1.06, span), host=host, avoid=0, gap=0.0
            )
    away = at(middle, turn, (0, size[1] / 2 + 24))
    lot(land, away, turn, (land.uniform(70, 120), 26), filled=land.uniform(0.1, 0.6))
    for _ in range(2):
        parked(land, land.search((96, 46), turn), turn, (2, 4), 20)


def apron(land: Land) -> None:
    """Large airplanes in rows before hangars."""
    turn = land.uniform(-0.8, 0.8)
    cell = land.uniform(36, 54)
    parked(land, land.near_middle(20), turn, (max(int(140 / cell), 2), max(int(230 / cell), 3)), cell)
    parked(land, land.search((110, 60), turn), turn, (2, 4), 25)


def parked(land: Land, middle: Point | None, turn: float, grid: tuple[int, int], cell: float) -> None:
    """Airplanes of one size in a grid on concrete, hangars along one side."""
    rows, columns = grid
    if middle is None:
        return
    size = (columns * cell + 10, rows * cell + 10)
    if land.under(rectangle(middle, size, turn))[0] & (TAKEN | KEPT):
        return
    yard(land, rectangle(middle, size, turn), paved=True)
    ground = lighter(land.patches[-1].colour, 0.94)
    for x in np.arange(-size[0] / 2, size[0] / 2, 15.0):
        land.fill(rectangle(at(middle, turn, (float(x), 0)), (0.6, size[1]), turn), ground, PAVED)
    for y in np.arange(-size[1] / 2, size[1] / 2, 15.0):
        land.fill(rectangle(at(middle, turn, (0, float(y))), (size[0], 0.6), turn), ground, PAVED)
    filled, nose = land.uniform(0.5, 0.9), turn + np.pi / 2
    for row in range(rows):
        for column in range(columns):
            x, y = (column - (columns - 1) / 2) * cell, (row - (rows - 1) / 2) * cell
            if land.chance(filled):
                long = cell * land.uniform(0.78, 0.88)
                place = at(middle, turn, (x + land.uniform(-1, 1), y + land.uniform(-1, 1)))
                land.place("airplane", place, nose, (long, long * land.uniform(0.90, 0.98)), avoid=ON_SITE, gap=0.5)
    roof = pick(land.palette.hall, land.rng)
    for x in np.arange(-size[0] / 2 + 20, size[0] / 2 - 12, 40.0):
        hangar = rectangle(at(middle, turn, (float(x), size[1] / 2 + 18)), (32, 24), turn)
        land.build(hangar, 5.0, roof, lighter(roof, 0.6), avoid=TAKEN | BUILT | ROAD | WET)
        if land.chance(0.5):
            park(land, at(middle, turn, (float(x) + 20, size[1] / 2 - 2)), turn)


def interchange(land: Land) -> None:
    """Two expressways, one led over the other; sometimes a street crosses over as well."""
    turn = land.uniform(0, np.pi)
    cross = turn + land.uniform(1.42, 1.72)
    middle = land.near_middle(40)
    road(land, *across(land, middle, cross), HIGHWAY)
    road(land, *across(land, middle, turn), HIGHWAY)
    size = (land.uniform(94, 126), HIGHWAY + 4)
    _over(land, middle, turn, size)
    if land.chance(0.6):
        far = land.uniform(110, 140) * (1 if land.chance(0.5) else -1)
        place = at(middle, cross, (far, 0))
        over = cross + np.pi / 2
        road(land, at(place, over, (-84, 0)), at(place, over, (84, 0)), STREET)
        _over(land, place, over, (land.uniform(70, 86), STREET + 4))


def _over(land: Land, middle: Point, turn: float, size: Point) -> None:
    host = land.place("overpass", middle, turn, size, avoid=TAKEN)
    lanes = land.roads[-1].lanes
    for offset, way in lanes if host >= 0 else ():
        if land.chance(0.5):
            spot = at(middle, turn, (land.uniform(-0.4, 0.4) * size[0], offset))
            nose = turn if way > 0 else turn + np.pi
            land.place("vehicle", spot, nose, (land.uniform(9, 12), land.uniform(4.6, 5.4)), host=host, avoid=0)


def rest_stop(land: Land) -> None:
    """An expressway with a service area on each side, or on one."""
    turn = land.uniform(0, np.pi)
    middle = land.near_middle(40)
    road(land, *across(land, middle, turn), HIGHWAY)
    size = (land.uniform(112, 146), land.uniform(52, 66))
    for side in (-1, 1) if land.chance(0.75) else (1,):
        out = turn if side > 0 else turn + np.pi
        place = at(middle, out, (land.uniform(-24, 24), HIGHWAY / 2 + size[1] / 2 + 1.5))
        host = land.place("Expressway-Service-area", place, out, size, avoid=TAKEN)
        if host < 0:
            continue
        filled = land.uniform(0.25, 0.8)
        for number, (bay, nose) in enumerate(bays_of_service_area(*size)):
            if land.chance(filled):
                lorry = number >= len(bays_of_service_area(*size)) // 2 and land.chance(0.4)
                long, wide = (15.0, 5.0) if lorry else (land.uniform(8.8, 10.4), land.uniform(4.3, 4.9))
                spot = at(place, out, bay)
                land.place("vehicle", spot, out + nose, (long, wide), host=host, avoid=0, gap=0.0)
    if land.chance(0.3):
        far = at(middle, turn, (land.uniform(185, 205) * (1 if land.chance(0.5) else -1), 0))
        plaza(land, far, turn)


def toll(land: Land) -> None:
    """An expressway that widens before a toll station; sometimes an overpass further on."""
    turn = land.uniform(0, np.pi)
    middle = land.near_middle(40)
    road(land, *across(land, middle, turn), HIGHWAY)
    plaza(land, middle, turn)
    if land.chance(0.35):
        place = at(middle, turn, (land.uniform(130, 160) * (1 if land.chance(0.5) else -1), 0))
        over = turn + np.pi / 2
        road(land, at(place, over, (-84, 0)), at(place, over, (84, 0)), STREET)
        _over(land, place, over, (land.uniform(70, 86), STREET + 4))


def plaza(land: Land, middle: Point, turn: float) -> None:
    """The widened part of an expressway with the toll station across it, and vehicles before its lanes."""
    wide, deep = land.uniform(66, 96), land.uniform(28, 38)
    half, near, far = HIGHWAY / 2, deep * 0.8, deep * 0.8 + 52
    corners = [(-far, half), (-near, wide / 2 + 3), (near, wide / 2 + 3), (far, half)]
    ground = outline(middle, turn, [*corners, *[(x, -y) for x, y in corners[::-1]]])
    if land.under(rectangle(middle, (deep, wide), turn))[0] & TAKEN:
        return
    land.fill(ground, lighter(pick(land.palette.concrete, land.rng), 0.92), PAVED, mark=KEPT, clear=True)
    host = land.place("Expressway-toll-station", middle, turn + np.pi / 2, (wide, deep), avoid=TAKEN)
    lanes = max(round(wide / 9), 4)
    edges = np.linspace(-wide / 2 + 1.5, wide / 2 - 1.5, lanes + 1)
    for y in (edges[1:] + edges[:-1]) / 2:
        for side in (-1, 1):
            land.fill(rectangle(at(middle, turn, (side * (near + 16), float(y) - 4.4)), (16, 0.6), turn), PAINT, PAVED)
            if land.chance(0.5):
                spot = at(middle, turn, (side * (deep / 2 + land.uniform(8, 26)), float(y)))
                nose = turn if y < 0 else turn + np.pi
                land.place("vehicle", spot, nose, (land.uniform(9, 12), 5.0), host=host, avoid=TAKEN, gap=0.5)


def station(land: Land) -> None:
    """Railway tracks through a town with a station on them."""
    turn = land.uniform(0, np.pi)
    middle = land.near_middle(30)
    size = (land.uniform(130, 176), land.uniform(54, 74))
    wide = size[1] * 0.70
    start, end = across(land, middle, turn)
    bed = at(middle, turn, (0, size[1] * 0.15))
    far = float(np.hypot(start[0] - end[0], start[1] - end[1]))
    land.fill(rectangle(bed, (far, wide), turn), (122, 112, 104), PAVED, mark=BUILT, clear=True)
    rails = max(round(wide / 10), 2) * 3
    for number in range(rails):
        y = (number + 0.5) * wide / rails - wide / 2
        land.fill(rectangle(at(bed, turn, (0, y)), (far, 0.7), turn), (74, 70, 68), PAVED)
    land.mark(rectangle(middle, (size[0] + 8, size[1] + 30), turn), 0, clear=True)
    square = at(middle, turn, (0, -size[1] / 2 - 7))
    land.fill(rectangle(square, (size[0] * 0.7, 18), turn), pick(land.palette.concrete, land.rng), PAVED, mark=KEPT)
    land.place("trainstation", middle, turn, size, avoid=TAKEN)
    for side in (-1, 1):
        for step in np.arange(size[0] * 0.5 + 30, land.window * 0.8, 40):
            if land.chance(0.4):
                _train(land, at(bed, turn, (side * float(step), land.uniform(-0.3, 0.3) * wide)), turn)
    spot = at(middle, turn, (0, -size[1] / 2 - 42))
    lot(land, spot, turn, (land.uniform(60, 110), 44), filled=land.uniform(0.1, 0.6), avoid=TAKEN | BUILT)


def _train(land: Land, middle: Point, turn: float) -> None:
    paint = pick(land.palette.hall, land.rng)
    sketch = land.decorate(middle, turn)
    for wagon in range(3):
        sketch.rectangle((wagon * 12.5 - 12.5, 0), (11.6, 3.4), paint)
        sketch.rectangle((wagon * 12.5 - 12.5, 0), (10.4, 1.0), lighter(paint, 1.2))
