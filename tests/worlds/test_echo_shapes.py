"""Signed distances of the two shapes against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.worlds.echo_shapes import Ellipse, Tube, leaflet

RNG = np.random.default_rng(1)
POINTS = RNG.uniform(-60, 60, (2, 400)).astype(np.float32)


def outline(shape, count=4000):
    angle = np.linspace(0, 2 * np.pi, count)
    along, across = shape.half[0] * np.cos(angle), shape.half[1] * np.sin(angle)
    cos, sin = np.cos(shape.turn), np.sin(shape.turn)
    return np.array([shape.centre[0] + cos * along - sin * across, shape.centre[1] + sin * along + cos * across])


@pytest.mark.parametrize("shape", [Ellipse((3, -8), (30, 30)), Ellipse((-5, 10), (34, 20), 0.4)])
def test_an_ellipse_is_nought_on_its_outline_and_right_near_it(shape):
    edge = outline(shape)
    assert np.abs(shape.distance(*edge.astype(np.float32))).max() < 0.01
    true = np.min(np.hypot(POINTS[0][:, None] - edge[0], POINTS[1][:, None] - edge[1]), axis=1)
    found = shape.distance(*POINTS)
    near = true < 4
    assert near.sum() > 10 and np.abs(np.abs(found[near]) - true[near]).max() < 0.8
    inside = (((edge - np.array([shape.centre]).T) ** 2).sum(0).min()) ** 0.5
    close = np.hypot(POINTS[0] - shape.centre[0], POINTS[1] - shape.centre[1]) < inside
    assert (found[close] < 0).all() and (found[true > 30][~close[true > 30]] > 0).all()


def test_a_tube_is_the_nearest_disc():
    tube = Tube(((-20.0, 0.0), (10.0, 12.0), (30.0, -5.0)), (4.0, 9.0, 2.0))
    share = np.linspace(0, 1, 2001)[:, None]
    discs = []
    for start, end, first, last in zip(tube.points, tube.points[1:], tube.radii, tube.radii[1:], strict=False):
        discs.append(np.hstack([np.array(start) + share * (np.array(end) - start), first + share * (last - first)]))
    x, y, radius = np.concatenate(discs).T
    middle = np.min(np.hypot(POINTS[0][:, None] - x, POINTS[1][:, None] - y) - radius, axis=1)
    found = tube.distance(*POINTS)
    assert (found >= middle - 1e-3).all(), "never nearer than the nearest disc"
    assert np.abs(found - middle).max() < 2.5, "and about as near: the radius is that of the nearest place"


def test_a_leaflet_is_thin():
    found = leaflet((0, 0), (10, 0), thickness=2).distance(np.float32([5, 5, 5]), np.float32([0, 1, 3]))
    np.testing.assert_allclose(found, [-1, 0, 2], atol=1e-6)
