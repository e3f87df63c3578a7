"""Sites on water: ports, the open sea, rivers with bridges, reservoirs with dams."""

from __future__ import annotations

from functools import partial

import numpy as np

from veritrain.worlds.aerial_cover import HIGHWAY, STREET, across, bend_at, river, road, sea, whole
from veritrain.worlds.aerial_land import BUILT, GRASS, KEPT, PAVED, ROAD, SAND, TAKEN, WATER, WET, Land, at, outline
from veritrain.worlds.aerial_palette import lighter, pick
from veritrain.worlds.aerial_sites_work import tank_rows
from veritrain.worlds.aerial_sketch import Point, Sketch, rectangle
from veritrain.worlds.aerial_sport import blob
from veritrain.worlds.aerial_vehicles import wake
from veritrain.worlds.aerial_ways import piers_of_harbor


def port(land: Land) -> None:
    """A coast with quays, ships at their berths and at sea, containers and tanks behind."""
    turn = land.uniform(0, 2 * np.pi)
    coast = at(land.middle, turn, (0, land.uniform(-20, 20)))
    far = float(np.hypot(land.width, land.height))
    ys = np.cumsum(land.rng.normal(0, 1.2, 41))
    ys -= ys[20]
    edge = [(float(x), float(y)) for x, y in zip(np.linspace(-far, far, 41), ys, strict=True)]
    land.fill(
        outline(coast, turn, [*[(x, y + 7) for x, y in edge], (far, -30), (-far, -30)]),
        pick(land.palette.sand, land.rng),
        SAND,
    )
    sea(land, outline(coast, turn, [*edge, (far, far), (-far, far)]))
    drive = at(coast, turn, (0, -42))
    road(land, *across(land, drive, turn), STREET)
    for x in (-land.uniform(78, 90), land.uniform(58, 84)):
        _quay(land, coast, turn, x)
    for x in np.arange(-far / 2, far / 2, 26.0):
        place = at(coast, turn, (float(x), -20))
        if land.chance(0.6):
            _containers(land, place, turn)
    tank_rows(land, (land.search((90, 60), turn), turn), (2, 3), land.uniform(16, 24))
    sailing(land, int(land.rng.integers(8, 24)), (10, 46))


def _quay(land: Land, coast: Point, turn: float, x: float) -> None:
    long, wide = land.uniform(90, 124), land.uniform(50, 68)
    middle = at(coast, turn, (x, wide / 2 - 4))
    host = land.place("harbor", middle, turn, (long, wide), avoid=TAKEN)
    if host < 0:
        return
    top = -wide / 2 + wide * 0.26
    for pier, reach, thick in piers_of_harbor(long, wide):
        for side in (-1, 1):
            berth = land.uniform(0.5, 0.92) * (reach - wide * 0.26)
            beam = min(berth * land.uniform(0.2, 0.26), 9.0)
            where = (pier + side * (thick / 2 + beam / 2 + 1.4), top + berth / 2 + 2)
            if land.chance(0.75):
                nose = turn + (np.pi / 2 if land.chance(0.5) else -np.pi / 2)
                land.place("ship", at(middle, turn, where), nose, (berth, beam), host=host, avoid=0, needs=WET, gap=0.0)


def _containers(land: Land, middle: Point, turn: float) -> None:
    land.fill(rectangle(middle, (24, 22), turn), pick(land.palette.concrete, land.rng), PAVED)
    for y in (-7.5, -2.5, 2.5, 7.5):
        for x in (-8.0, 0.0, 8.0):
            if land.chance(0.75):
                box = rectangle(at(middle, turn, (x, y)), (7, 3.6), turn)
                colour = pick(land.palette.cars, land.rng, 14)
                land.build(box, 1.6, colour, lighter(colour, 0.6), avoid=ROAD | WET | TAKEN | BUILT)


def open_sea(land: Land) -> None:
    """Water with an island or two and ships of all sizes, single and in swarms."""
    sea(land, whole(land))
    for _ in range(int(land.rng.integers(0, 3))):
        place, half = (land.uniform(0, land.width), land.uniform(0, land.height)), land.uniform(24, 60)
        shape = blob(place, (half * 1.4, half), land.rng, rough=0.2)
        land.fill((shape - place) * 1.14 + place, pick(land.palette.sand, land.rng), SAND, mark=BUILT, clear=True)
        land.fill(shape, pick(land.palette.wood, land.rng), GRASS)
    for _ in range(int(land.rng.integers(1, 5))):
        middle, nose = land.near_middle(120), land.uniform(0, 2 * np.pi)
        for x, y in land.rng.normal(0, 34, (int(land.rng.integers(12, 44)), 2)):
            long = land.uniform(9, 14)
            spot = (middle[0] + float(x), middle[1] + float(y))
            land.place("ship", spot, nose + land.uniform(-0.3, 0.3), (long, long * 0.34), avoid=TAKEN, needs=WET)
    sailing(land, int(land.rng.integers(10, 30)), (12, 70))


def sailing(land: Land, count: int, lengths: Point) -> None:
    """Ships under way or at anchor, wherever there is water."""
    for _ in range(count):
        long = float(np.exp(land.rng.uniform(*np.log(lengths))))
        size = (long, long * (0.30 if long < 18 else land.uniform(0.16, 0.23)))
        turn = land.uniform(0, 2 * np.pi)
        spot = land.search((long + 4, size[1] + 4), turn, tries=12, avoid=TAKEN | BUILT | KEPT | ROAD)
        if spot is not None:
            before = partial(_trail, land, size) if land.chance(0.55) else None
            land.place("ship", spot, turn, size, avoid=TAKEN | BUILT, needs=WET, before=before)


def _trail(land: Land, size: Point, sketch: Sketch) -> None:
    wake(sketch, *size, land.rng, land.water)


def river_bridges(land: Land) -> None:
    """A river that roads cross on bridges, with ships on it."""
    turn = land.uniform(0, 2 * np.pi)
    width = land.uniform(44, 84)
    middle = land.near_middle(30)
    apart = land.uniform(95, 130)
    crossings = (0.0, apart) if land.chance(0.5) else (-apart, 0.0, apart) if land.chance(0.4) else (0.0,)
    big = land.chance(0.35)
    wide = HIGHWAY if big else STREET
    for x in crossings:
        road(land, *across(land, at(middle, turn, (x, 0)), turn + np.pi / 2), wide)
    bend = land.uniform(-34, 34)
    river(land, middle, turn, width, bend)
    for number, x in enumerate(crossings):
        place = at(middle, turn, (x, bend_at(x, bend)))
        size = (width + 18, (wide + 4) * 1.12)
        host = land.place("bridge", place, turn + np.pi / 2, size, avoid=TAKEN)
        for offset, way in land.roads[number - len(crossings)].lanes:
            spot = at(place, turn + np.pi / 2, (land.uniform(-0.35, 0.35) * width, offset))
            if host >= 0 and land.chance(0.5):
                nose = turn + (np.pi / 2 if way > 0 else -np.pi / 2)
                land.place("vehicle", spot, nose, (land.uniform(9, 12), land.uniform(4.6, 5.4)), host=host, avoid=0)
    sailing(land, int(land.rng.integers(2, 7)), (12, 40))


def dam(land: Land) -> None:
    """A reservoir held by a dam, the river below it, sometimes with a bridge."""
    turn = land.uniform(0, 2 * np.pi)
    long, thick = land.uniform(96, 140), land.uniform(19, 27)
    middle = land.near_middle(40)
    far = float(np.hypot(land.width, land.height)) * 0.8
    spread = land.uniform(0.10, 0.32)
    steps = np.linspace(0, far, 16)
    sides = [long * 0.46 + spread * steps + np.cumsum(land.rng.normal(0, 5, 16)) * (steps > 20) for _ in range(2)]
    left = [(-max(float(w), 20), -float(s)) for w, s in zip(sides[0], steps, strict=True)]
    right = [(max(float(w), 20), -float(s)) for w, s in zip(sides[1], steps, strict=True)]
    stream = land.uniform(20, 34)
    xs = np.linspace(0, far, 30)
    path = [(float(14 * np.sin(x / 60) * min(x / 40, 1)), float(x)) for x in xs]
    bank = [*[(x - stream * 0.7, y) for x, y in path], *[(x + stream * 0.7, y) for x, y in path[::-1]]]
    crossing = land.uniform(84, 120)
    bridged = land.chance(0.4)
    if bridged:
        road(land, *across(land, at(middle, turn, (0, crossing)), turn), STREET)
    land.fill(outline(middle, turn, bank), pick(land.palette.soil, land.rng), GRASS)
    bed = [*[(x - stream / 2, y) for x, y in path], *[(x + stream / 2, y) for x, y in path[::-1]]]
    shore = [*[(x * 1.03 - 3, y) for x, y in left], *[(x * 1.03 + 3, y) for x, y in right[::-1]]]
    land.fill(outline(middle, turn, shore), pick(land.palette.soil, land.rng), GRASS)
    sea(land, outline(middle, turn, [*left, *right[::-1]]))
    land.fill(outline(middle, turn, bed), land.water, WATER, mark=WET, clear=True)
    land.place("dam", middle, turn, (long, thick), avoid=TAKEN)
    if bridged:
        place = at(middle, turn, (float(np.interp(crossing, xs, [x for x, _ in path])), crossing))
        land.place("bridge", place, turn, (stream + 18, STREET + 4), avoid=TAKEN)
