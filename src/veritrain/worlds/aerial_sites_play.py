"""Sites in and around towns: courts, a campus, ball parks, a stadium, golf, car parks."""

from __future__ import annotations

import numpy as np

from veritrain.worlds.aerial_cover import lot, yard
from veritrain.worlds.aerial_land import BUILT, KEPT, ON_SITE, TAKEN, Land, at
from veritrain.worlds.aerial_palette import pick
from veritrain.worlds.aerial_sketch import Point, rectangle


def tennis_club(land: Land) -> None:
    """Rows of tennis courts of one make, and a car park."""
    turn = land.uniform(-0.8, 0.8)
    size = court_size(land, 0.50)
    rows, columns = int(land.rng.integers(1, 4)), int(land.rng.integers(2, 6))
    court_rows(land, "tenniscourt", land.near_middle(40), turn, size, (rows, columns))
    if land.chance(0.5):
        spot = land.search((size[0] * 2 + 14, size[1] * 2 + 14), turn)
        if spot:
            court_rows(land, "tenniscourt", spot, turn, size, (1, 2))
    if land.chance(0.35):
        park_somewhere(land, turn)


def courts(land: Land) -> None:
    """Basketball courts beside tennis courts."""
    turn = land.uniform(-0.8, 0.8)
    middle = land.near_middle(30)
    ball, tennis = (land.uniform(40, 50), land.uniform(23, 27)), court_size(land, 0.50)
    rows, columns = int(land.rng.integers(1, 3)), int(land.rng.integers(2, 4))
    high = rows * (ball[1] + 6)
    court_rows(land, "basketballcourt", middle, turn, ball, (rows, columns))
    below = at(middle, turn, (land.uniform(-20, 20), high / 2 + tennis[1] + 24))
    court_rows(land, "tenniscourt", below, turn, tennis, (1, int(land.rng.integers(1, 4))))
    if land.chance(0.6):
        spot = land.search((ball[0] + 14, ball[1] + 14), turn)
        if spot:
            court_rows(land, "basketballcourt", spot, turn, ball, (1, 1))
    if land.chance(0.35):
        park_somewhere(land, turn)


def campus(land: Land) -> None:
    """A running track with school buildings, mostly with basketball courts."""
    turn = land.uniform(-0.8, 0.8)
    middle = land.near_middle(40)
    size = (land.uniform(92, 132), land.uniform(52, 70))
    yard(land, rectangle(middle, (size[0] + 18, size[1] + 18), turn))
    land.place("groundtrackfield", middle, turn, size, avoid=ON_SITE)
    side = 1 if land.chance(0.5) else -1
    away = side * (size[1] / 2 + 34)
    if land.chance(0.7):
        ball = (land.uniform(38, 46), land.uniform(22, 25))
        court_rows(
            land,
            "basketballcourt",
            at(middle, turn, (-size[0] * 0.2, away)),
            turn,
            ball,
            (1, int(land.rng.integers(1, 4))),
        )
    school = at(middle, turn, (0, -side * (size[1] / 2 + 36)))
    yard(land, rectangle(school, (130, 44), turn), paved=land.chance(0.5))
    roof = pick(land.palette.roof, land.rng)
    for x in (-44, 0, 44):
        wing = rectangle(at(school, turn, (x, 0)), (34, land.uniform(12, 26)), turn)
        land.build(wing, 6.0, roof, pick(land.palette.wall, land.rng), avoid=TAKEN | BUILT)
    if land.chance(0.3):
        spot = land.search((120, 70), turn)
        if spot:
            yard(land, rectangle(spot, (112, 64), turn))
            land.place("groundtrackfield", spot, turn, (land.uniform(88, 104), land.uniform(48, 58)), avoid=ON_SITE)


def ball_park(land: Land) -> None:
    """One baseball field or several whose home plates meet, with car parks."""
    turn = land.uniform(0, 2 * np.pi)
    middle = land.near_middle(30)
    count = int(land.rng.choice([1, 2, 3, 4], p=(0.25, 0.3, 0.15, 0.3)))
    long = land.uniform(56, 72) if count > 1 else land.uniform(66, 96)
    half = long + 26 if count > 1 else long * 0.75
    yard(land, rectangle(middle, (2 * half, 2 * half), turn))
    for number in range(count):
        out = turn + number * np.pi / 2
        far = long / 2 + long * 0.30 if count > 1 else 0.0
        land.place("baseballfield", at(middle, out, (far, 0)), out, (long, long * 1.05), avoid=ON_SITE, gap=1.0)
    if count == 1 and land.chance(0.5):
        spot = land.search((90, 90), turn)
        if spot:
            yard(land, rectangle(spot, (84, 84), turn))
            land.place("baseballfield", spot, turn, (land.uniform(56, 66), 66), avoid=ON_SITE)
    if land.chance(0.5):
        park_somewhere(land, turn)


def arena(land: Land) -> None:
    """A stadium among car parks; sometimes a training ground beside it."""
    turn = land.uniform(-0.8, 0.8)
    middle = land.near_middle(45)
    size = (land.uniform(96, 138), land.uniform(80, 108))
    yard(land, rectangle(middle, (size[0] + 40, size[1] + 40), turn), paved=land.chance(0.6))
    land.place("stadium", middle, turn, size, avoid=ON_SITE)
    for side in (-1, 1):
        place = at(middle, turn, (0, side * (size[1] / 2 + 46)))
        lot(land, place, turn, (land.uniform(80, 150), 42), filled=land.uniform(0.05, 0.5), avoid=TAKEN | BUILT | KEPT)
    if land.chance(0.45):
        kind, ground = ("baseballfield", (62.0, 62.0)) if land.chance(0.6) else ("groundtrackfield", (96.0, 54.0))
        spot = land.search((ground[0] + 16, ground[1] + 16), turn)
        if spot:
            yard(land, rectangle(spot, (ground[0] + 14, ground[1] + 14), turn))
            land.place(kind, spot, turn, ground, avoid=ON_SITE)


def golf(land: Land) -> None:
    """A golf course or two with a club house."""
    turn = land.uniform(0, np.pi)
    size = (land.uniform(150, 205), land.uniform(110, 150))
    middle = land.near_middle(40)
    if land.place("golffield", middle, turn, size) >= 0:
        place = at(middle, turn, (size[0] / 2 + 16, 0))
        house = rectangle(place, (18, 12), turn)
        if land.holds(house):
            land.build(house, 4.0, pick(land.palette.roof, land.rng), pick(land.palette.wall, land.rng))
    if land.chance(0.5):
        small = (land.uniform(90, 120), land.uniform(70, 90))
        spot = land.search(small, turn)
        if spot:
            land.place("golffield", spot, turn, small)
    if land.chance(0.35):
        park_somewhere(land, turn)


def streets(land: Land) -> None:
    """Nothing but streets and car parks full of vehicles."""
    for _ in range(int(land.rng.integers(2, 5))):
        park_somewhere(land, land.uniform(-0.8, 0.8), filled=land.uniform(0.2, 0.8))


def court_size(land: Land, ratio: float) -> Point:
    long = land.uniform(36, 46)
    return long, long * ratio


def court_rows(land: Land, kind: str, middle: Point, turn: float, size: Point, grid: tuple[int, int]) -> None:
    """A grid of equal courts on one yard; long sides lie side by side."""
    rows, columns = grid
    step = (size[1] + 5.0, size[0] + 7.0)
    whole = (columns * step[0] + 6, rows * step[1] + 6)
    if land.under(rectangle(middle, whole, turn))[0] & (TAKEN | KEPT):
        return
    yard(land, rectangle(middle, whole, turn), paved=land.chance(0.3))
    state = land.rng.bit_generator.state
    for row in range(rows):
        for column in range(columns):
            x, y = (column - (columns - 1) / 2) * step[0], (row - (rows - 1) / 2) * step[1]
            if land.chance(0.7):
                # Courts of one club look alike: each is drawn with the first one's random numbers.
                land.rng.bit_generator.state = state
            land.place(kind, at(middle, turn, (x, y)), turn + np.pi / 2, size, avoid=ON_SITE, gap=1.0)


def park_somewhere(land: Land, turn: float, *, filled: float | None = None) -> None:
    size = (land.uniform(50, 90), 44.0)
    spot = land.search(size, turn)
    if spot:
        lot(land, spot, turn, size, filled=land.uniform(0.05, 0.6) if filled is None else filled)
