"""Laying out: the plan knows what is where, and nothing is put where something is."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.worlds.aerial_land import ANYTHING, BUILT, GRASS, ROAD, TAKEN, WATER, WET, Land, at, outline
from veritrain.worlds.aerial_palette import STANDARD
from veritrain.worlds.aerial_sites import LOOKS
from veritrain.worlds.aerial_sketch import rectangle


@pytest.fixture
def land():
    return Land((200, 150), 100, np.random.default_rng(0), STANDARD, LOOKS, (0.6, 0.3), (0.2, -0.3))


def test_a_plan_knows_what_is_marked_somewhere_and_everywhere(land):
    land.fill(rectangle((50, 50), (40, 40)), (1, 2, 3), WATER, mark=WET)
    assert land.under(rectangle((50, 50), (20, 20), 0.4)) == (WET, WET)
    assert land.under(rectangle((70, 50), (20, 20))) == (WET, 0)
    assert land.under(rectangle((120, 50), (20, 20))) == (0, 0) == land.under(rectangle((-90, 0), (9, 9)))
    land.mark(rectangle((50, 50), (10, 10)), ROAD)
    assert land.under(rectangle((50, 50), (30, 30))) == (WET | ROAD, WET)
    land.fill(rectangle((50, 50), (60, 60)), (1, 2, 3), GRASS, clear=True)
    assert land.under(rectangle((50, 50), (50, 50)))[0] == 0


def test_two_things_never_take_the_same_place(land):
    rng = np.random.default_rng(1)
    placed = [
        land.place(kind, tuple(rng.uniform((0, 0), (200, 150))), float(rng.uniform(0, 6)), (20, 10))
        for kind in ("tenniscourt", "ship", "storagetank", "chimney", "windmill") * 60
    ]
    kept = [place for place in placed if place >= 0]
    assert kept == list(range(len(land.things))) and 10 < len(kept) < 60
    canvas = np.zeros((150, 200), int)
    for thing in land.things:
        cut, inside = land._raster(thing.sketch.outline())
        canvas[cut][inside] += 1
    assert canvas.max() == 1


def test_a_thing_may_need_its_ground(land):
    land.fill(rectangle((50, 50), (60, 40)), (1, 2, 3), WATER, mark=WET)
    assert land.place("ship", (50, 50), 0.2, (20, 6)) == -1, "in its way is water"
    assert land.place("ship", (78, 50), 0.2, (20, 6), avoid=TAKEN, needs=WET) == -1, "half on land"
    assert land.place("ship", (50, 50), 0.2, (20, 6), avoid=TAKEN, needs=WET) == 0
    assert land.place("vehicle", (198, 50), 0.2, (12, 6)) == -1, "over the edge of the land"


def test_a_building_stands_only_on_free_ground(land):
    house = rectangle((100, 100), (12, 8))
    assert land.build(house, 3, (9, 9, 9), (5, 5, 5), ridge=True)
    assert not land.build(house, 3, (9, 9, 9), (5, 5, 5)) and land.under(house)[1] == BUILT
    assert land.place("tenniscourt", (104, 100), 0, (30, 15)) == -1


def test_a_search_finds_free_places_or_nothing(land):
    spot = land.search((40, 30), 0.3)
    assert spot is not None and land.holds(rectangle(spot, (40, 30), 0.3))
    land.mark(rectangle((100, 75), (220, 170)), TAKEN)
    assert land.search((4, 3), 0.3) is None and land.under(rectangle((9, 9), (4, 4)))[0] & ANYTHING


def test_frames():
    assert at((10, 20), np.pi / 2, (3, 0)) == pytest.approx((10, 23))
    np.testing.assert_allclose(outline((1, 1), 0.0, [(0, 0), (2, 3)]), [(1, 1), (3, 4)])
