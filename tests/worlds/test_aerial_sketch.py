"""Shapes and sketches: frames, bands, hulls, shadows, what is a thing's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull

from veritrain.worlds.aerial_sketch import Sketch, band, ellipse, hull, oblong, rectangle


def area(points):
    x, y = np.asarray(points).T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


@given(st.integers(0, 2**32 - 1), st.integers(3, 60))
def test_the_hull_is_scipys(seed, count):
    points = np.random.default_rng(seed).normal(size=(count, 2))
    ours, theirs = hull(points), ConvexHull(points)
    assert area(ours) == pytest.approx(theirs.volume)
    assert {tuple(point) for point in ours} == {tuple(point) for point in points[theirs.vertices]}


def test_shapes_have_the_area_that_they_should():
    assert area(rectangle((3, 4), (6, 2), 0.7)) == pytest.approx(12)
    assert area(ellipse((1, 1), (4, 2), 400)) == pytest.approx(8 * np.pi, rel=1e-3)
    assert area(oblong(10, 4, 200)) == pytest.approx(6 * 4 + 4 * np.pi, rel=1e-3)
    assert area(band([(0, 0), (3, 4)], 2)) == pytest.approx(10)


def test_a_thing_is_turned_and_moved_as_a_whole():
    sketch = Sketch((10, 20), np.pi / 2)
    sketch.rectangle((0, 0), (6, 2), (1, 2, 3))
    np.testing.assert_allclose(sketch.extent(), (9, 17, 11, 23), atol=1e-9)
    np.testing.assert_allclose(sketch.to_scene([(3, 0)]), [(10, 23)], atol=1e-9)
    assert area(sketch.foot(1.0)) == pytest.approx(8 * 4)


def test_foam_and_shadows_do_not_belong_to_a_thing():
    sketch = Sketch((0, 0), 0.3, sun=(1, 0))
    sketch.ellipse((0, 0), (2, 2), (1, 1, 1))
    before = sketch.extent()
    sketch.rectangle((0, 0), (40, 40), (1, 1, 1), own=False)
    sketch.shadow(rectangle((0, 0), (40, 40)), 9)
    sketch.puff(rectangle((0, 0), (40, 40)))
    assert sketch.extent() == before and len(sketch.shadows) == len(sketch.smoke) == 1


def test_a_block_throws_its_shadow_along_the_sun_and_leans_with_the_camera():
    sketch = Sketch((0, 0), 1.1, sun=(2, 0), lean=(0, -1))
    sketch.block(rectangle((0, 0), (2, 2), -1.1), 3, (9, 9, 9), (5, 5, 5))
    np.testing.assert_allclose([sketch.shadows[0].min(axis=0), sketch.shadows[0].max(axis=0)], [(-1, -1), (7, 1)])
    np.testing.assert_allclose(sketch.extent(), (-1, -4, 1, 1), atol=1e-9)
    np.testing.assert_allclose(sketch.to_scene([sketch.raised((0, 0), 3)]), [(0, -3)], atol=1e-9)
    np.testing.assert_allclose(sketch.to_scene([sketch.shaded((0, 0), 3)]), [(6, 0)], atol=1e-9)
