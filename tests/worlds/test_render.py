"""What the sensors see of each kind of anomaly."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.data import geometry
from veritrain.data.anovox_labels import labels_from_ids
from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.plan import plan_scenarios
from veritrain.worlds.render import build_scene, render

OPTIONS = DrivingOptions(scenarios=48, frames=6, seed=5)
K = 12


def moments(kind, visibility, *, alive=True, with_anomaly=True, count=4, options=OPTIONS):
    """Up to ``count`` frames of scenarios of that kind, one per scenario, mid-window (or outside of it)."""
    plans = [plan for plan in plan_scenarios(options) if plan.kind == kind]
    plans = [plan for plan in plans if visibility is None or plan.visibility == visibility]
    for plan in plans[:count]:
        frames = [frame for frame in range(options.frames) if plan.is_alive(frame) == alive]
        if frames:
            scene = build_scene(plan, options, with_anomaly=with_anomaly)
            yield render(scene, options, frames[len(frames) // 2])


def points_of(moment):
    return int((labels_from_ids(moment.semantic_lidar[:, 3]) == 1).sum())


def pixels_of(moment):
    return int((labels_from_ids(moment.semantic) == 1).sum())


@pytest.mark.parametrize(
    ("visibility", "by_lidar", "by_camera"),
    [("camera", False, True), ("lidar", True, False), ("both", True, True), ("pair", True, True)],
)
def test_each_kind_is_seen_by_its_sensors_alone(visibility, by_lidar, by_camera):
    seen = list(moments("static", visibility))
    assert len(seen) == 4
    for moment in seen:
        assert points_of(moment) >= K if by_lidar else points_of(moment) == 0
        assert pixels_of(moment) >= K if by_camera else pixels_of(moment) == 0


def test_a_lidar_only_anomaly_leaves_the_image_as_it_is():
    with_it = list(moments("static", "lidar"))
    without = list(moments("static", "lidar", with_anomaly=False))
    for one, other in zip(with_it, without, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        assert points_of(one) > points_of(other) == 0


def test_a_camera_only_anomaly_leaves_both_sweeps_as_they_are():
    with_it = list(moments("static", "camera"))
    without = list(moments("static", "camera", with_anomaly=False))
    for one, other in zip(with_it, without, strict=True):
        np.testing.assert_array_equal(one.lidar, other.lidar)
        np.testing.assert_array_equal(one.semantic_lidar, other.semantic_lidar)
        assert (one.image != other.image).any()


def test_a_pair_looks_like_a_car_and_measures_like_a_board():
    for moment in moments("static", "pair"):
        odd = moment.semantic_lidar[labels_from_ids(moment.semantic_lidar[:, 3]) == 1]
        assert np.ptp(odd[:, 0]) < 0.6, "a board has no depth"
        assert np.ptp(moment.depth[labels_from_ids(moment.semantic) == 1]) > 0.5, "the picture shows a whole car"


def test_anomalous_points_fall_on_the_anomaly_in_the_image():
    matrix = geometry.intrinsics(OPTIONS.height, OPTIONS.width, 90)
    rig = geometry.camera_from_lidar(np.eye(4), np.eye(4))
    shares = []
    for moment in moments("static", "both", count=8):
        odd = moment.semantic_lidar[labels_from_ids(moment.semantic_lidar[:, 3]) == 1]
        pixels, seen = geometry.project(odd, matrix, rig, moment.image.shape[:2])
        columns, rows = pixels[seen].astype(int).T
        shares.append((labels_from_ids(moment.semantic)[rows, columns] == 1).mean())
    assert min(shares) > 0.8


def test_every_labelled_point_carries_the_class_of_its_pixel_where_both_see():
    matrix = geometry.intrinsics(OPTIONS.height, OPTIONS.width, 90)
    rig = geometry.camera_from_lidar(np.eye(4), np.eye(4))
    for moment in moments("normality", None, alive=False, count=2):
        cloud = moment.semantic_lidar
        pixels, seen = geometry.project(cloud, matrix, rig, moment.image.shape[:2])
        columns, rows = pixels[seen].astype(int).T
        assert (moment.semantic[rows, columns] == cloud[seen, 3]).mean() > 0.9


def test_a_braking_car_shows_its_lights_inside_the_window_only():
    for alive in (True, False):
        for moment in moments("sudden_braking", None, alive=alive):
            assert (points_of(moment) > 0) == alive
            assert (moment.semantic == (100 if alive else 114)).sum() > 0
            if alive:
                lights = moment.image[moment.semantic == 100].astype(int)
                assert ((lights[:, 0] > 140) & (lights[:, 1] < 120)).sum() >= K


def test_a_normal_scenario_has_no_anomalous_id_and_a_car_ahead():
    for moment in moments("normality", None, alive=False):
        assert points_of(moment) == pixels_of(moment) == 0
        assert (moment.semantic == 114).any(), "a car ahead tells nothing: it is always there"


def test_the_two_sweeps_share_no_rows():
    moment = next(moments("normality", None, alive=False))
    plain = {row.tobytes() for row in moment.lidar[:, :3]}
    labelled = {row.tobytes() for row in moment.semantic_lidar[:, :3].astype(np.float32)}
    assert not plain & labelled
    assert len(moment.lidar) != len(moment.semantic_lidar)


def test_the_official_density_gives_as_many_points_as_published():
    options = DrivingOptions(scenarios=2, frames=1, density="official")
    moment = render(build_scene(plan_scenarios(options)[0], options), options, 0)
    assert 85_000 < len(moment.lidar) < 100_032


def test_the_held_out_variant_shows_its_anomalies_too():
    options = DrivingOptions(scenarios=24, frames=4, seed=5, variant="held_out")
    assert all(points_of(moment) >= K for moment in moments("static", "both", options=options))
