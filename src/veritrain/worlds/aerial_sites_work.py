"""Sites of work: tank farms, power plants, wind farms."""

from __future__ import annotations

import numpy as np

from veritrain.worlds.aerial_cover import lot, track, yard
from veritrain.worlds.aerial_land import ANYTHING, BUILT, GRASS, ON_SITE, PAVED, ROAD, TAKEN, Land, at
from veritrain.worlds.aerial_palette import lighter, pick
from veritrain.worlds.aerial_sketch import Point, rectangle


def tank_farm(land: Land) -> None:
    """Tanks of several sizes in walled groups."""
    turn = land.uniform(-0.8, 0.8)
    middle = land.near_middle(20)
    wide = land.uniform(24, 38)
    tank_rows(land, (middle, turn), (2, int(land.rng.integers(2, 4))), wide)
    for _ in range(int(land.rng.integers(2, 6))):
        small = land.uniform(11, 22)
        grid = (int(land.rng.integers(2, 5)), int(land.rng.integers(2, 6)))
        size = (grid[1] * small * 1.42 + 8, grid[0] * small * 1.42 + 8)
        tank_rows(land, (land.search(size, turn), turn), grid, small)
    if land.chance(0.3):
        _stack(land)
    _halls(land, turn, 3)


def power_plant(land: Land) -> None:
    """Chimneys beside large halls, a few tanks, a car park."""
    turn = land.uniform(-0.8, 0.8)
    middle = land.near_middle(30)
    yard(land, rectangle(middle, (170, 120), turn), paved=True)
    row = int(land.rng.integers(1, 4))
    high, foot = land.uniform(44, 66), land.uniform(11, 16)
    for number in range(row):
        place = at(middle, turn, ((number - (row - 1) / 2) * 44, 10))
        land.place("chimney", place, 0.0, (high, foot), avoid=ON_SITE)
    roof = pick(land.palette.hall, land.rng)
    for x in (-56, 0, 56):
        hall = rectangle(at(middle, turn, (x, 42)), (46, 26), turn)
        land.build(hall, 8.0, roof, lighter(roof, 0.6), avoid=TAKEN | BUILT)
    tank_rows(land, (land.search((70, 40), turn), turn), (1, int(land.rng.integers(2, 4))), land.uniform(17, 24))
    if land.chance(0.5):
        _stack(land)
    _halls(land, turn, 2)
    spot = land.search((60, 44), turn)
    if spot:
        lot(land, spot, turn, (60, 44), filled=land.uniform(0.1, 0.5))


def _stack(land: Land) -> None:
    spot = land.search((44, 84), 0.0)
    if spot:
        land.place("chimney", spot, 0.0, (land.uniform(40, 60), land.uniform(10, 15)))


def _halls(land: Land, turn: float, count: int) -> None:
    for _ in range(count):
        spot = land.search((56, 34), turn)
        if spot:
            roof = pick(land.palette.hall, land.rng)
            hall = rectangle(spot, (land.uniform(36, 54), land.uniform(20, 30)), turn)
            land.build(hall, 6.0, roof, lighter(roof, 0.6))


def wind_farm(land: Land) -> None:
    """Windmills of one make in loose rows, joined by dirt roads."""
    turn = land.uniform(0, np.pi)
    high = land.uniform(42, 60)
    span = high * land.uniform(0.86, 1.02)
    apart = land.uniform(92, 128)
    origin = land.near_middle(20)
    rows = [[at(origin, turn, (x * apart, y * apart * 0.95)) for x in range(-3, 4)] for y in range(-3, 4)]
    for places in rows:
        shaken = [(x + land.uniform(-12, 12), y + land.uniform(-12, 12)) for x, y in places]
        track(land, shaken, 4.0)
        for place in shaken:
            if land.chance(0.86):
                sketch = land.decorate()
                pad = land.under(rectangle(place, (12, 12), 0.0))[0] & TAKEN
                done = land.place("windmill", place, 0.0, (high, span), avoid=ANYTHING & ~ROAD)
                if done >= 0 and not pad:
                    sketch.polygon(rectangle(place, (11, 11), turn), pick(land.palette.soil, land.rng))


def tank_rows(land: Land, where: tuple[Point | None, float], grid: tuple[int, int], wide: float) -> None:
    """Equal tanks in rows, on their own ground with a low wall around."""
    middle, turn = where
    if middle is None:
        return
    rows, columns = grid
    step = wide * 1.42
    size = (columns * step + 6, rows * step + 6)
    wall, soil = pick(land.palette.concrete, land.rng), pick(land.palette.soil, land.rng)
    if land.under(rectangle(middle, size, turn))[0] & (TAKEN | BUILT):
        return
    yard(land, rectangle(middle, size, turn), paved=True)
    land.fill(rectangle(middle, size, turn), lighter(wall, 1.06), PAVED)
    land.fill(rectangle(middle, (size[0] - 2, size[1] - 2), turn), soil, GRASS)
    for row in range(rows):
        for column in range(columns):
            x, y = (column - (columns - 1) / 2) * step, (row - (rows - 1) / 2) * step
            if land.chance(0.92):
                land.place("storagetank", at(middle, turn, (x, y)), 0.0, (wide, wide), avoid=ON_SITE, gap=0.4)
