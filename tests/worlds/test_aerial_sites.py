"""Looks: each class fills the room that it is given, has colours of its own, and differs from draw to draw."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.data.dior_names import DIOR_CLASSES
from veritrain.worlds.aerial_palette import PALETTES, lighter, pick
from veritrain.worlds.aerial_sites import LOOKS, SITES
from veritrain.worlds.aerial_sketch import Sketch
from veritrain.worlds.aerial_ways import bays_of_service_area, piers_of_harbor, stands_of_airport

SIZES = {
    "airplane": (34, 32),
    "airport": (190, 84),
    "baseballfield": (60, 64),
    "basketballcourt": (46, 26),
    "bridge": (100, 18),
    "chimney": (48, 13),
    "dam": (110, 22),
    "Expressway-Service-area": (120, 58),
    "Expressway-toll-station": (80, 32),
    "golffield": (170, 130),
    "groundtrackfield": (110, 62),
    "harbor": (100, 60),
    "overpass": (110, 40),
    "ship": (50, 11),
    "stadium": (110, 90),
    "storagetank": (30, 30),
    "tenniscourt": (42, 21),
    "trainstation": (150, 64),
    "vehicle": (10, 4.8),
    "windmill": (46, 44),
}
LEVEL = sorted(set(LOOKS) - {"chimney", "windmill", "overpass", "stadium", "dam", "storagetank"})


def test_the_classes_are_those_of_dior_in_its_order():
    assert tuple(LOOKS) == DIOR_CLASSES


def sketched(name, variant="standard", seed=0, turn=0.0):
    sketch = Sketch((300, 300), turn, (0.6, 0.3), (0.2, -0.35) if name not in LEVEL else (0, 0))
    LOOKS[name](sketch, *SIZES[name], np.random.default_rng(seed), PALETTES[variant])
    return sketch


def test_there_is_a_size_for_every_look():
    assert list(SIZES) == list(LOOKS)


@pytest.mark.parametrize("variant", PALETTES)
@pytest.mark.parametrize("name", LOOKS)
def test_a_look_is_its_own_each_time_and_turns_with_its_thing(name, variant):
    one, again, other = (sketched(name, variant, seed) for seed in (0, 0, 1))
    same = [
        np.array_equal(a.points, b.points) and a.colour == b.colour
        for a, b in zip(one.strokes, again.strokes, strict=True)
    ]
    assert all(same) and len(one.strokes) == len(again.strokes) and any(stroke.own for stroke in one.strokes)
    colours = [[stroke.colour for stroke in sketch.strokes] for sketch in (one, other)]
    assert colours[0] != colours[1], "no two are alike"
    assert all(0 <= part <= 255 and isinstance(part, int) for stroke in one.strokes for part in stroke.colour)
    assert len(one.shadows) > 0 or name in (
        "airport",
        "tenniscourt",
        "basketballcourt",
        "baseballfield",
        "golffield",
        "groundtrackfield",
    )


@pytest.mark.parametrize("name", LEVEL)
def test_what_lies_flat_fills_the_room_that_it_is_given(name):
    for seed in range(6):
        for turn in (0.0, 0.8):
            sides = np.hypot(*np.diff(sketched(name, seed=seed, turn=turn).foot()[:3], axis=0).T)
            np.testing.assert_allclose(sides, SIZES[name], rtol=0.2)


@pytest.mark.parametrize("variant", PALETTES)
def test_variants_look_different(variant):
    other = "held_out" if variant == "standard" else "standard"
    assert not set(PALETTES[variant].wood) & set(PALETTES[other].wood)
    shapes = [sketched("airplane", one, 3).strokes for one in (variant, other)]
    assert len(shapes[0]) != len(shapes[1]), "swept or straight wings with engines, or delta wings without"


def test_airplanes_ships_and_cars_have_room_where_they_stand():
    for places, room in (
        ([place for place, _ in stands_of_airport(190, 80)], 11.0),
        ([place for place, _ in bays_of_service_area(120, 58)], 6.0),
        ([(x, 0.0) for x, _, _ in piers_of_harbor(110, 60)], 24.0),
    ):
        apart = np.hypot(*(np.array(places)[:, None] - np.array(places)).transpose(2, 0, 1))
        assert apart[~np.eye(len(places), dtype=bool)].min() >= room


def test_colours():
    rng = np.random.default_rng(0)
    drawn = np.array([pick(((100, 150, 200),), rng) for _ in range(500)])
    np.testing.assert_allclose(drawn.mean(axis=0), (100, 150, 200), atol=2)
    assert lighter((100, 150, 200), 1.5) == (150, 225, 255) and lighter((100, 150, 200), 0.5) == (50, 75, 100)


def test_sites_are_complete():
    for site in SITES.values():
        assert set(site.mains) <= set(LOOKS) and site.covers and site.weight > 0 and site.lay.__doc__
