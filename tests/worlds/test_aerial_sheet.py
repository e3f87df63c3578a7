"""The sheet: what is painted where, who owns it, and that ground without things comes back bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.worlds.aerial_sheet import Sheet
from veritrain.worlds.aerial_sketch import rectangle


def ground(height=12, width=16):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("finer", [1, 2, 3])
def test_ground_alone_comes_back_as_it_was(finer):
    picture = ground()
    np.testing.assert_array_equal(Sheet(picture, 1.3, (0, 0), finer).picture(), picture)


@given(st.floats(-3, 12), st.floats(-3, 12), st.floats(1, 6), st.floats(1, 6), st.sampled_from([0.7, 1.0, 2.2]))
def test_a_polygon_covers_the_points_that_it_touches(x, y, wide, high, unit):
    finer = 3
    sheet = Sheet(ground(40, 40), unit, (2.0, 1.0), finer)
    sheet.paint(rectangle((x + wide / 2, y + high / 2), (wide, high)), (255, 0, 0), 7)
    owners = np.zeros((120, 120), int)
    rows = np.floor((np.array([y, y + high]) * unit - 1.0) * finer).astype(int)
    columns = np.floor((np.array([x, x + wide]) * unit - 2.0) * finer).astype(int)
    owners[max(rows[0], 0) : max(rows[1] + 1, 0), max(columns[0], 0) : max(columns[1] + 1, 0)] = 7
    found = sheet.owners()
    assert (found != owners).sum() <= found.shape[0], (
        "at most a row or a column, where a corner falls on a point's edge"
    )


@pytest.mark.parametrize("place", [(-0.6, 5), (16.6, 5), (5, -0.6), (5, 12.6)])
def test_what_lies_just_outside_is_not_painted(place):
    sheet = Sheet(ground(), 1.0, (0, 0), 3)
    sheet.paint(rectangle(place, (1, 1)), (0, 0, 0), 1)
    assert not sheet.owners().any()


def test_the_last_to_paint_owns_and_decoration_owns_nothing():
    sheet = Sheet(ground(), 1.0, (0, 0), 2)
    sheet.paint(rectangle((6, 6), (8, 8)), (10, 10, 10), 1)
    sheet.paint(rectangle((8, 6), (4, 4)), (20, 20, 20), 2)
    sheet.decorate(rectangle((3, 6), (2, 2)), (30, 30, 30))
    owners = sheet.owners()
    assert owners[12, 16] == 2 and owners[12, 6] == 1 and sheet.picture()[6, 3, 0] == 30


def test_shadow_darkens_once_and_smoke_lightens_each_time():
    picture = np.full((8, 8, 3), 200, np.uint8)
    dark, light = Sheet(picture, 1.0, (0, 0), 1), Sheet(picture, 1.0, (0, 0), 1)
    square = rectangle((4, 4), (4, 4))
    dark.darken([square, square], (128, 128, 128))
    assert dark.picture()[4, 4, 0] == 200 * 128 // 255 and dark.picture()[0, 0, 0] == 200
    light.veil([square, square], (255, 255, 255), 128)
    once = 200 + 55 * 128 / 255
    assert light.picture()[4, 4, 0] == pytest.approx(once + (255 - once) * 128 / 255, abs=2)
    assert (dark.owners() == 0).all() and (light.owners() == 0).all()
