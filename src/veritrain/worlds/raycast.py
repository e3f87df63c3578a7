"""Rays against upright boxes and the ground, in NumPy.

Each box is tested only against the part of the ray grid that can see it (its window), so the cost follows
the boxes' apparent sizes. No matrix products: their sum order may depend on the number of threads, and a
world must not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veritrain.worlds.scene import GROUND_Z, Boxes

SKY = -2
"""Index of a ray that meets nothing."""
GROUND = -1
"""Index of a ray that ends on the ground."""

Window = tuple[NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True)
class RayGrid:
    """Rays from the origin, ordered as a grid.

    Attributes:
        directions: (R, C, 3) float64. For a camera x = 1, so that ray length is depth; unit vectors for a LiDAR.
        reach: the greatest ray parameter that returns.
        camera: whether this grid is a pinhole camera's (perspective windows) or a LiDAR's (angular windows).
        scale: camera: (focal length, centre row, centre column) in pixels; LiDAR: (elevation of row 0,
            elevation step, azimuth step) in radians, azimuth falling with the column from ``start``.
        start: azimuth of column 0 in radians (LiDAR).
    """

    directions: NDArray[np.float64]
    reach: float
    camera: bool
    scale: tuple[float, float, float]
    start: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Hits:
    """What each ray meets first.

    Attributes:
        distance: (R, C) float64 ray parameter, inf for the sky.
        box: (R, C) int64 box index, GROUND or SKY.
    """

    distance: NDArray[np.float64]
    box: NDArray[np.int64]


def camera_grid(height: int, width: int, field_of_view: float = 90.0, reach: float = 1000.0) -> RayGrid:
    """Rays through the pixel centres of a pinhole camera that looks along +x."""
    focal = width / (2 * np.tan(np.radians(field_of_view) / 2))
    right = (np.arange(width) + 0.5 - width / 2) / focal
    down = (np.arange(height) + 0.5 - height / 2) / focal
    rows, columns = np.meshgrid(down, right, indexing="ij")
    directions = np.stack([np.ones_like(rows), -columns, -rows], axis=-1)
    return RayGrid(directions=directions, reach=reach, camera=True, scale=(focal, height / 2, width / 2))


def lidar_grid(
    channels: int, steps: int, *, upper: float, lower: float, start: float = 0.0, reach: float = 100.0
) -> RayGrid:
    """Rays of a spinning LiDAR; ``upper``/``lower`` in degrees, ``start`` azimuth in radians, clockwise."""
    elevation = np.radians(np.linspace(upper, lower, channels))
    azimuth = start - np.arange(steps) * (2 * np.pi / steps)
    flat, turn = np.meshgrid(elevation, azimuth, indexing="ij")
    directions = np.stack([np.cos(flat) * np.cos(turn), np.cos(flat) * np.sin(turn), np.sin(flat)], axis=-1)
    scale = (float(elevation[0]), float(np.radians(upper - lower) / max(channels - 1, 1)), 2 * np.pi / steps)
    return RayGrid(directions=directions, reach=reach, camera=False, scale=scale, start=start)


def cast(grid: RayGrid, boxes: Boxes) -> Hits:
    """The first thing each ray of ``grid`` meets among ``boxes`` and the ground."""
    distance, box = _ground(grid)
    for index in range(len(boxes)):
        window = _camera_window(grid, boxes, index) if grid.camera else _lidar_window(grid, boxes, index)
        if window is not None:
            _hit_box(grid, boxes, index, window, distance, box)
    missed = distance > grid.reach
    distance[missed] = np.inf
    box[missed] = SKY
    return Hits(distance=distance, box=box)


def _ground(grid: RayGrid) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    down = grid.directions[..., 2]
    falls = down < -1e-9
    distance = np.where(falls, GROUND_Z / np.where(falls, down, -1.0), np.inf)
    return distance, np.where(falls, GROUND, SKY)


def _hit_box(
    grid: RayGrid,
    boxes: Boxes,
    index: int,
    window: Window,
    distance: NDArray[np.float64],
    box: NDArray[np.int64],
) -> None:
    cells = np.ix_(*window)
    rays = grid.directions[cells]
    cosine, sine = np.cos(boxes.yaw[index]), np.sin(boxes.yaw[index])
    x, y, z = boxes.centre[index]
    near = np.zeros(rays.shape[:2])
    far = np.full(rays.shape[:2], np.inf)
    local_rays = (
        cosine * rays[..., 0] + sine * rays[..., 1],
        cosine * rays[..., 1] - sine * rays[..., 0],
        rays[..., 2],
    )
    local_origin = (-(cosine * x + sine * y), sine * x - cosine * y, -z)
    for ray, origin, half in zip(local_rays, local_origin, boxes.half[index], strict=True):
        inverse = 1.0 / np.where(np.abs(ray) < 1e-12, 1e-12, ray)
        first, second = (-half - origin) * inverse, (half - origin) * inverse
        np.maximum(near, np.minimum(first, second), out=near)
        np.minimum(far, np.maximum(first, second), out=far)
    closer = (near < far) & (near > 0) & (near < distance[cells])
    distance[cells] = np.where(closer, near, distance[cells])
    box[cells] = np.where(closer, index, box[cells])


def _corners(boxes: Boxes, index: int) -> NDArray[np.float64]:
    cosine, sine = np.cos(boxes.yaw[index]), np.sin(boxes.yaw[index])
    hx, hy, hz = boxes.half[index]
    local = np.array([(sx * hx, sy * hy, sz * hz) for sx in (-1, 1) for sy in (-1, 1) for sz in (-1, 1)])
    x = cosine * local[:, 0] - sine * local[:, 1]
    y = sine * local[:, 0] + cosine * local[:, 1]
    return np.stack([x, y, local[:, 2]], axis=1) + boxes.centre[index]


def _camera_window(grid: RayGrid, boxes: Boxes, index: int) -> Window | None:
    corners = _corners(boxes, index)
    height, width = grid.directions.shape[:2]
    if corners[:, 0].max() < 0.05:
        return None
    if corners[:, 0].min() < 0.05:  # crosses the image plane: its projection has no bounds
        return np.arange(height), np.arange(width)
    focal, row, column = grid.scale
    columns = column - focal * corners[:, 1] / corners[:, 0]
    rows = row - focal * corners[:, 2] / corners[:, 0]
    inside = _clipped(rows, height), _clipped(columns, width)
    return inside if len(inside[0]) and len(inside[1]) else None


def _clipped(positions: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    first = int(np.clip(np.floor(positions.min()) - 1, 0, size))
    last = int(np.clip(np.ceil(positions.max()) + 1, 0, size))
    return np.arange(first, last)


def _lidar_window(grid: RayGrid, boxes: Boxes, index: int) -> Window | None:
    corners = _corners(boxes, index)
    channels, steps = grid.directions.shape[:2]
    nearest, farthest = _ground_distances(boxes, index, corners)
    if nearest > grid.reach:
        return None
    rows = _elevation_rows(grid, corners, nearest, farthest, channels)
    if len(rows) == 0:
        return None
    if nearest < 0.3:  # around the sensor: any azimuth may meet it
        return rows, np.arange(steps)
    azimuths = np.arctan2(corners[:, 1], corners[:, 0])
    middle = np.arctan2(boxes.centre[index, 1], boxes.centre[index, 0])
    spread = (azimuths - middle + np.pi) % (2 * np.pi) - np.pi
    if spread.max() - spread.min() > np.pi:
        return rows, np.arange(steps)
    first = np.floor((grid.start - middle - spread.max()) / grid.scale[2]) - 1
    last = np.ceil((grid.start - middle - spread.min()) / grid.scale[2]) + 1
    columns = np.arange(int(first), int(last) + 1)
    return rows, (columns % steps if len(columns) < steps else np.arange(steps))


def _ground_distances(boxes: Boxes, index: int, corners: NDArray[np.float64]) -> tuple[float, float]:
    cosine, sine = np.cos(boxes.yaw[index]), np.sin(boxes.yaw[index])
    x, y, _ = boxes.centre[index]
    local = np.array([cosine * x + sine * y, cosine * y - sine * x])
    outside = np.maximum(np.abs(local) - boxes.half[index, :2], 0.0)
    return float(np.hypot(*outside)), float(np.hypot(corners[:, 0], corners[:, 1]).max())


def _elevation_rows(
    grid: RayGrid, corners: NDArray[np.float64], nearest: float, farthest: float, channels: int
) -> NDArray[np.int64]:
    top, bottom = corners[:, 2].max(), corners[:, 2].min()
    highest = np.arctan2(top, max(nearest, 1e-6) if top > 0 else farthest)
    lowest = np.arctan2(bottom, max(nearest, 1e-6) if bottom < 0 else farthest)
    upper, step, _ = grid.scale
    return _clipped(np.array([(upper - highest) / step, (upper - lowest) / step]), channels)
