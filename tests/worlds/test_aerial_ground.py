"""The ground: materials keep their colour and get their texture; noise has the size and spread that it says."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.worlds.aerial_cover import bend_at, cover, finish, lot, river, road, whole
from veritrain.worlds.aerial_ground import clouds, draw_ground
from veritrain.worlds.aerial_land import GRASS, PAVED, ROAD, WATER, WET, WOOD, Land
from veritrain.worlds.aerial_palette import STANDARD
from veritrain.worlds.aerial_sites import LOOKS
from veritrain.worlds.aerial_sketch import rectangle

SHADE = (130, 130, 140)


def new_land(seed=0):
    return Land((200, 200), 128, np.random.default_rng(seed), STANDARD, LOOKS, (0.6, 0.3), (0.2, -0.3))


@pytest.mark.parametrize("cell", [3.0, 12.0, 40.0])
def test_clouds_have_the_spread_and_the_size_that_was_asked_for(cell):
    field = np.stack([clouds((160, 200), cell, np.random.default_rng(seed)) for seed in range(6)])
    assert abs(field.mean()) < 0.4 and 0.6 < field.std() < 1.3
    step = int(cell)
    near = np.corrcoef(field[:, :, 1:].ravel(), field[:, :, :-1].ravel())[0, 1]
    far = np.corrcoef(field[:, :, 2 * step :].ravel(), field[:, :, : -2 * step].ravel())[0, 1]
    assert near > 0.7 and abs(far) < 0.4


def test_each_material_has_its_own_texture():
    spreads = {}
    for material in (PAVED, GRASS, WOOD, WATER):
        land = new_land()
        land.fill(whole(land), (100, 110, 90), material)
        picture = draw_ground(land, (200, 200), 1.0, SHADE, np.random.default_rng(1)).astype(float)
        np.testing.assert_allclose(picture.mean(axis=(0, 1)), (100, 110, 90), atol=7)
        spreads[material] = np.abs(np.diff(picture, axis=1)).mean()
    assert spreads[PAVED] < spreads[WATER] < spreads[GRASS] < spreads[WOOD]


def test_buildings_throw_shadows_on_the_ground():
    land = new_land()
    land.fill(whole(land), (200, 200, 200), PAVED)
    land.build(rectangle((100, 100), (20, 20)), 20, (90, 20, 20), (60, 20, 20))
    picture = draw_ground(land, (200, 200), 1.0, SHADE, np.random.default_rng(1)).astype(int)
    assert picture[103, 118, 1] == pytest.approx(200 * 130 / 255, abs=12) and picture[40, 40, 1] > 180
    assert picture[92, 104, 0] > 70 > picture[92, 104, 1], "the roof, shifted by the camera's lean"


@pytest.mark.parametrize("kind", ["farmland", "grassland", "forest", "desert", "town"])
def test_every_cover_covers_all_of_the_land(kind):
    land = new_land(3)
    cover(land, kind)
    finish(land, kind, busy=True)
    picture = draw_ground(land, (200, 200), 1.0, SHADE, np.random.default_rng(1))
    assert (picture.max(axis=2) > 0).all()
    assert bool(land.roads) == (kind == "town") == bool(land.structures and land.blocks)
    vehicles = [thing for thing in land.things if thing.kind == "vehicle"]
    assert bool(vehicles) == (kind == "town") and len(vehicles) == len(land.things)


def test_a_river_covers_roads_and_vehicles_stay_on_them():
    land = new_land(5)
    road(land, (100, -20), (100, 220), 14.0)
    river(land, (100, 100), 0.0, 50, 20)
    assert land.under(rectangle((100, 100), (10, 10))) == (WET, WET)
    assert land.under(rectangle((100, 30), (10, 10)))[1] == ROAD
    finish(land, "grassland", busy=True)
    assert land.things
    for thing in land.things:
        assert thing.kind == "vehicle" and abs(thing.extent[1] + thing.extent[3] - 200) > 50
    assert bend_at(0, 20) == 0 and bend_at(50, 20) == bend_at(-50, 20) > 0


def test_a_car_park_takes_free_ground_and_fills_as_asked():
    land = new_land(5)
    assert lot(land, (100, 100), 0.3, (80, 44), filled=1.0)
    full = len(land.things)
    assert full > 20 and not lot(land, (110, 100), 0.3, (80, 44), filled=1.0) and len(land.things) == full
    empty = new_land(5)
    assert lot(empty, (100, 100), 0.3, (80, 44), filled=0.0) and not empty.things
