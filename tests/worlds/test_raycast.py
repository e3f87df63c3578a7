from __future__ import annotations

import numpy as np
import pytest

from veritrain.worlds.raycast import GROUND, SKY, camera_grid, cast, lidar_grid
from veritrain.worlds.scene import BoxBuilder


def random_boxes(seed, count=25):
    random = np.random.default_rng(seed)
    builder = BoxBuilder.empty()
    for _ in range(count):
        builder.add(
            centre=tuple(random.uniform([-25, -25, 0], [25, 25, 4])),
            half=tuple(random.uniform(0.1, 2.5, 3)),
            yaw=float(random.uniform(-4, 4)),
            semantic=14,
            colour=(1, 2, 3),
        )
    return builder.build()


def brute_force(directions, boxes, reach):
    """Every ray against every box and the ground by a rotation matrix per box: no windows, no shortcuts."""
    flat = directions.reshape(-1, 3)
    best = np.where(flat[:, 2] < -1e-9, -1.8 / np.minimum(flat[:, 2], -1e-9), np.inf)
    owner = np.where(np.isfinite(best), GROUND, SKY)
    for index in range(len(boxes)):
        c, s = np.cos(boxes.yaw[index]), np.sin(boxes.yaw[index])
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        rays, origin = flat @ turn.T, turn @ -boxes.centre[index]
        with np.errstate(divide="ignore", invalid="ignore"):
            sides = np.stack([(-boxes.half[index] - origin) / rays, (boxes.half[index] - origin) / rays])
        enter, leave = sides.min(0).max(1), sides.max(0).min(1)
        hit = (enter < leave) & (enter > 0) & (enter < best)
        best[hit], owner[hit] = enter[hit], index
    missed = best > reach
    best[missed], owner[missed] = np.inf, SKY
    return best.reshape(directions.shape[:2]), owner.reshape(directions.shape[:2])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "grid",
    [camera_grid(40, 60), lidar_grid(16, 90, upper=15, lower=-25, start=np.pi + 0.01)],
    ids=["camera", "lidar"],
)
def test_windows_lose_no_hit(grid, seed):
    boxes = random_boxes(seed)
    hits = cast(grid, boxes)
    distance, owner = brute_force(grid.directions, boxes, grid.reach)
    np.testing.assert_allclose(hits.distance, distance, rtol=1e-9)
    assert (hits.box == owner).all()


def test_a_wall_ahead_is_as_far_as_it_stands():
    builder = BoxBuilder.empty()
    builder.add(centre=(10.5, 0, 1.8), half=(0.5, 5, 1), semantic=4, colour=(9, 9, 9))
    hits = cast(camera_grid(31, 31), builder.build())
    assert hits.distance[15, 15] == pytest.approx(10.0)


def test_nothing_is_met_beyond_the_reach():
    grid = lidar_grid(8, 36, upper=-0.1, lower=-9.0, reach=100.0)
    hits = cast(grid, random_boxes(0, count=0))
    assert (hits.box == SKY).any()
    assert hits.distance[np.isfinite(hits.distance)].max() <= 100.0
