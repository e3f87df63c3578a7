"""The voxel grid against a reading of the description, point by point (Must show 2)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from veritrain.data.voxels import compare, round_trip, voxelise
from veritrain.worlds.plan import plan_scenarios
from veritrain.worlds.render import build_scene, render
from veritrain.worlds.voxel_grid import depth_cloud, voxel_grid


def point_by_point(points, labels):
    """Section 1.3 of the format notes as one loop: nearest to the lower corner, but road lines win."""
    cells: dict[tuple[int, int, int], tuple[float, int]] = {}
    lines = set()
    for (x, y, z), label in zip(points[:, :3], labels, strict=True):
        place = [(x + 250) / 0.5, (y + 250) / 0.5, (z - 1.8 + 16) / 0.5]
        cell = tuple(int(np.floor(value)) for value in place)
        if not all(0 <= index < size for index, size in zip(cell, (1000, 1000, 64), strict=True)):
            continue
        rest = sum((value - index) ** 2 for value, index in zip(place, cell, strict=True))
        if cell not in cells or rest < cells[cell][0]:
            cells[cell] = (rest, int(label))
        if label == 24:
            lines.add(cell)
    rows = [(*cell, 24 if cell in lines else label) for cell, (_, label) in sorted(cells.items())]
    return np.array(rows, dtype=np.uint16).reshape(-1, 4)


def test_stored_clouds_give_the_stored_voxels(small_world):
    trips = [trip for setup in small_world.rglob("sensor_setup.json") for trip in round_trip(setup.parent)]
    assert len(trips) == 48
    assert min(trip.iou for trip in trips) >= 0.99
    assert min(trip.label_agreement for trip in trips) >= 0.99
    assert min(trip.common for trip in trips) > 1000


def test_writer_and_reader_agree_with_a_reading_of_the_description(small_world):
    file = sorted(small_world.rglob("SEMANTIC-LIDAR*.npy"))[0]
    cloud = np.load(file)[::7]
    expected = point_by_point(cloud, cloud[:, 3])
    np.testing.assert_array_equal(voxelise(cloud, cloud[:, 3]), expected)
    np.testing.assert_array_equal(voxel_grid([cloud]), expected)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float64, (60, 3), elements=st.floats(-2, 2, width=32)),
    arrays(np.int64, 60, elements=st.sampled_from([1, 2, 24, 29])),
)
def test_crowded_cells_give_the_nearest_label_or_the_road_line(points, labels):
    made = voxelise(points, labels)
    expected = point_by_point(points, labels)
    np.testing.assert_array_equal(made[:, :3], expected[:, :3])
    tied = _cells_with_ties(points)
    free = np.array([tuple(row) not in tied for row in made[:, :3]], dtype=bool)
    np.testing.assert_array_equal(made[free, 3], expected[free, 3])


def _cells_with_ties(points):
    place = (points - [0, 0, 1.8] + [250, 250, 16]) / 0.5
    cells = np.floor(place).astype(int)
    seen: dict[tuple[int, ...], set[float]] = {}
    tied = set()
    for cell, rest in zip(map(tuple, cells), ((place - cells) ** 2).sum(1).round(9), strict=True):
        if rest in seen.setdefault(cell, set()):
            tied.add(cell)
        seen[cell].add(rest)
    return tied


def test_the_ego_stands_in_the_middle_and_the_height_is_subtracted():
    made = voxelise(np.array([[0.1, 0.1, 1.9], [0.1, 0.1, -3.64]]), np.array([1, 2]))
    np.testing.assert_array_equal(made, [[500, 500, 21, 2], [500, 500, 32, 1]])


def test_points_outside_the_grid_are_dropped():
    far = np.array([[260.0, 0, 0], [0, -251, 0], [0, 0, 90], [1, 1, 1]])
    assert len(voxelise(far, np.array([1, 1, 1, 1]))) == 1


def test_disagreement_is_measured():
    made = np.array([[1, 1, 1, 5], [2, 2, 2, 5]], dtype=np.uint16)
    stored = np.array([[1, 1, 1, 6], [3, 3, 3, 5]], dtype=np.uint16)
    trip = compare(made, stored)
    assert (trip.iou, trip.label_agreement, trip.common) == (pytest.approx(1 / 3), 0.0, 1)
    empty = compare(made[:0], stored[:0])
    assert (empty.iou, empty.label_agreement) == (0.0, 0.0)


def test_the_union_adds_the_depth_image(small_options):
    options = replace(small_options, scenarios=1)
    moment = render(build_scene(plan_scenarios(options)[0], options), options, 0)
    depth = depth_cloud(moment.depth, moment.semantic, options.width / 2)
    union, alone = voxel_grid([moment.semantic_lidar, depth]), voxel_grid([moment.semantic_lidar])
    assert len(union) > len(alone)
    assert np.linalg.norm(depth[:, :3], axis=1).max() <= 100.001
    assert compare(alone, union).common == len(alone)
