"""One image: boxes are where the picture changes when a thing is left out, and corners fit around turned things."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from veritrain.worlds.aerial_land import Thing
from veritrain.worlds.aerial_render import Light, Window, developed, draw_things, labels_of
from veritrain.worlds.aerial_scene import ScenePlan, lay_out
from veritrain.worlds.aerial_sketch import Sketch
from veritrain.worlds.options import AerialOptions

SHADE = (130, 130, 140)


def plain(middle, turn, size, kind="ship", host=-1, colour=(250, 0, 0)):
    sketch = Sketch(middle, turn)
    sketch.rectangle((0, 0), size, colour)
    return Thing(kind=kind, sketch=sketch, turn=turn, extent=sketch.extent(), breadth=min(size), host=host)


def drawn(things, unit=1.0, size=(60, 80), left=0, top=0):
    window = Window(left=left, top=top, width=size[1], height=size[0], things=tuple(range(len(things))))
    ground = np.full((200, 200, 3), 90, np.uint8)
    picture, owners, finer = draw_things(ground, things, unit, window, SHADE)
    return picture, owners, finer, window


def test_a_box_by_hand():
    things = [plain((20.5, 30.0), 0.0, (21, 10))]
    _, owners, finer, window = drawn(things)
    (label,) = labels_of(owners, finer, things, window)
    assert label.box == (11, 26, 31, 35) and label.angle == 0
    assert label.corners == ((11, 26), (31, 26), (31, 35), (11, 35))


def test_a_box_counts_from_the_windows_corner_and_stops_at_its_edge():
    things = [plain((20.5, 30.0), 0.0, (21, 10))]
    _, owners, finer, window = drawn(things, left=15, top=28)
    assert labels_of(owners, finer, things, window)[0].box == (1, 1, 16, 7)


@pytest.mark.parametrize("degrees", [-40, -10, 5, 30, 44, 60, 100, 181, 300])
def test_corners_fit_around_a_turned_thing(degrees):
    turn = np.radians(degrees)
    things = [plain((40, 30), turn, (36, 12))]
    _, owners, finer, window = drawn(things)
    (label,) = labels_of(owners, finer, things, window)
    assert label.angle == pytest.approx((degrees + 45) % 90 - 45) and -45 <= label.angle < 45
    corners = np.array(label.corners, float)
    sides = np.hypot(*np.diff(np.vstack([corners, corners[:1]]), axis=0).T)
    np.testing.assert_allclose(sorted(sides), [11, 11, 35, 35], atol=1.6)
    np.testing.assert_allclose(corners.mean(axis=0), (40.5, 30.5), atol=1)
    top = corners[1] - corners[0]
    assert np.degrees(np.arctan2(top[1], top[0])) == pytest.approx(label.angle, abs=3), "left top to right top"


def test_what_stands_on_another_is_painted_later_and_towers_last():
    airplane = plain((30, 30), 0, (10, 10), "airplane", host=1, colour=(0, 250, 0))
    things = [
        airplane,
        plain((30, 30), 0, (40, 30), "airport"),
        plain((36, 30), 0, (4, 4), "chimney", colour=(0, 0, 250)),
    ]
    picture, owners, finer, window = drawn(things)
    assert tuple(picture[30, 28]) == (0, 250, 0) and tuple(picture[30, 36]) == (0, 0, 250)
    assert [label.name for label in labels_of(owners, finer, things, window)] == ["airplane", "airport", "chimney"]


def test_a_thing_that_is_not_seen_is_an_error():
    things = [plain((30, 30), 0, (10, 10)), plain((30, 30), 0, (20, 20))]
    _, owners, finer, window = drawn(things)
    with pytest.raises(ValueError, match="not seen"):
        labels_of(owners, finer, things, window)


@pytest.mark.parametrize("site", ["airport", "port", "campus", "wind", "toll"])
def test_a_box_is_where_the_picture_changes_without_the_thing(site):
    """The thing is left out, its shadow stays: the pixels that change are those of its box."""
    scene = lay_out(ScenePlan(number=3, site=site, cover="desert", images=1), AerialOptions(seed=4))
    ground = np.random.default_rng(0).integers(0, 256, (*scene.size, 3), np.uint8)
    window, things = scene.windows[0], scene.land.things
    whole, owners, finer = draw_things(ground, things, scene.unit, window, scene.shade)
    labels = labels_of(owners, finer, things, window)
    seen = 0
    for order in range(0, len(labels), max(len(labels) // 12, 1)):
        gone = things[window.things[order]]
        empty = Sketch((0, 0), 0)
        empty.shadows, empty.smoke = gone.sketch.shadows, gone.sketch.smoke
        empty.strokes = [stroke for stroke in gone.sketch.strokes if not stroke.own]
        others = list(things)
        others[window.things[order]] = replace(gone, sketch=empty)
        without, *_ = draw_things(ground, others, scene.unit, window, scene.shade)
        rows, columns = np.nonzero((whole != without).any(axis=2))
        box = (columns.min() + 1, rows.min() + 1, columns.max() + 1, rows.max() + 1)
        # A pixel of which the thing covers less than half may change without being in the box.
        assert np.abs(np.subtract(box, labels[order].box)).max() <= 1, labels[order]
        seen += 1
    assert seen


def test_the_camera_changes_light_and_adds_grain():
    picture = np.full((64, 64, 3), 110, np.uint8)
    still = Light(gain=(1, 1, 1), contrast=1.3, haze=0, grain=0)
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(developed(picture, still, rng), picture)
    assert developed(picture, replace(still, gain=(1.2, 1, 1)), rng)[0, 0].tolist() == [132, 110, 110]
    assert developed(picture, replace(still, haze=0.5), rng)[0, 0].tolist() == [158, 161, 165]
    assert developed(picture, replace(still, grain=4), rng).std() == pytest.approx(4, abs=0.3)
