from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.data import geometry

MONO = geometry.camera_from_lidar(geometry.pose((0, 0, 1.8), (0, 0, 0)), geometry.pose((0, 0, 1.8), (0, 0, 0)))


def test_intrinsics_of_the_published_size():
    matrix = geometry.intrinsics(512, 768, 90)
    np.testing.assert_allclose(matrix, [[384, 0, 384], [0, 384, 256], [0, 0, 1]])


def test_a_depth_image_as_a_cloud_by_hand():
    """f = 1 px, centre (1, 0): pixel (row 0, column 0) at 2 m is 2 m left; what is beyond reach is dropped."""
    matrix = np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
    points, seen = geometry.cloud_from_depth(np.array([[2.0, 3.0], [4.0, 100.1]], np.float32), matrix)
    np.testing.assert_allclose(points, [[2, 2, 0], [3, 0, 0], [4, 4, -4]])
    assert seen.tolist() == [[True, True], [True, False]]


@given(st.integers(2, 9), st.integers(2, 9), st.floats(30, 120))
def test_projecting_a_depth_cloud_gives_its_pixels_back(height, width, fov):
    matrix = geometry.intrinsics(height, width, fov)
    points, seen = geometry.cloud_from_depth(np.full((height, width), 5.0), matrix)
    pixels, inside = geometry.project(points + 1e-9, matrix, MONO, (height, width))
    rows, columns = np.nonzero(seen)
    middle = (columns > 0) & (rows > 0)
    np.testing.assert_allclose(pixels[middle & inside], np.stack([columns, rows], 1)[middle & inside], atol=1e-6)


def test_the_mono_rig_turns_axes_and_moves_nothing():
    point = MONO @ np.array([5.0, 2.0, 1.0, 1.0])
    np.testing.assert_allclose(point[:3], [-2, -1, 5])


def test_a_point_ahead_is_in_the_middle_and_left_is_left():
    matrix = geometry.intrinsics(96, 144, 90)
    pixels, seen = geometry.project(np.array([[10.0, 0, 0], [10, 2, 0], [10, 0, 2]]), matrix, MONO, (96, 144))
    assert seen.all()
    np.testing.assert_allclose(pixels, [[72, 48], [72 - 14.4, 48], [72, 48 - 14.4]])


def test_what_is_behind_or_beside_the_image_is_out_of_view():
    matrix = geometry.intrinsics(96, 144, 90)
    points = np.array([[-10.0, 0, 0], [1, 5, 0], [0.05, 0, 0], [5, 0, 9], [10, 0, 0]])
    _, seen = geometry.project(points, matrix, MONO, (96, 144))
    assert seen.tolist() == [False, False, False, False, True]


def test_projection_inverts_a_depth_image():
    matrix = geometry.intrinsics(24, 36, 90)
    rows, columns = np.mgrid[0:24, 0:36] + 0.5
    depth = np.random.default_rng(0).uniform(1, 50, rows.shape)
    camera = np.stack([(columns - 18) / 18 * depth, (rows - 12) / 18 * depth, depth], -1).reshape(-1, 3)
    points = camera @ geometry.CAMERA_AXES
    pixels, seen = geometry.project(points, matrix, MONO, (24, 36))
    assert seen.all()
    np.testing.assert_allclose(pixels, np.stack([columns.ravel(), rows.ravel()], 1), atol=1e-9)


@given(st.tuples(*[st.floats(-180, 180)] * 3), st.tuples(*[st.floats(-5, 5)] * 3))
def test_poses_are_rigid(rotation, location):
    matrix = geometry.pose(location, rotation)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-9)
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1.0)


def test_carla_angles_turn_the_other_way_after_mirroring_y():
    """CARLA's yaw of 90 degrees looks right; right is -y in a right-handed frame. Pitch up looks up."""
    np.testing.assert_allclose(geometry.rotation_from_carla((0, 0, 90)) @ [1, 0, 0], [0, -1, 0], atol=1e-12)
    np.testing.assert_allclose(geometry.rotation_from_carla((0, 90, 0)) @ [1, 0, 0], [0, 0, 1], atol=1e-12)


def test_a_camera_left_of_the_lidar_sees_points_further_right():
    left = geometry.camera_from_lidar(geometry.pose((0, -1, 1.8), (0, 0, 0)), geometry.pose((0, 0, 1.8), (0, 0, 0)))
    assert (left @ np.array([10.0, 0, 0, 1]))[0] == pytest.approx(1.0)


def test_range_view_cells_look_ahead_in_the_middle():
    points = np.array([[10.0, 0, 0], [-10, 1e-6, 0], [0, 10, 0], [0, -10, 0]])
    cells = geometry.range_view_cells(points, 64, 180)
    assert cells[:, 1].tolist() == [90, 0, 45, 135]
    assert set(cells[:, 0]) == {24}


def test_rows_run_from_the_upper_to_the_lower_edge():
    slopes = np.tan(np.radians([15.0, -25.0, 40.0, -80.0]))
    points = np.stack([np.ones(4), np.zeros(4), slopes], axis=1)
    assert geometry.range_view_cells(points, 64, 180)[:, 0].tolist() == [0, 63, 0, 63]


@given(st.lists(st.tuples(*[st.floats(-90, 90)] * 3), min_size=1, max_size=30))
def test_every_point_has_a_cell_inside(points):
    cells = geometry.range_view_cells(np.array(points), 16, 90)
    assert (cells >= 0).all() and (cells < [16, 90]).all()
