"""Rays against upright boxes and the ground, in NumPy.

Each box is tested only against the part of the ray grid that can see it (its window), so the cost follows
the boxes' apparent sizes. No matrix products: their sum order may depend on the number of threads, and a
world must not.
"""

from __future__ import annotations

from collections.abc import Iterator
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
    windows = _camera_windows(grid, boxes) if grid.camera else _lidar_windows(grid, boxes)
    for index, window in windows:
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


def _corners(boxes: Boxes) -> NDArray[np.float64]:
    """(B, 8, 3) corners in metres."""
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    local = boxes.half[:, None, :] * signs
    cosine, sine = np.cos(boxes.yaw)[:, None], np.sin(boxes.yaw)[:, None]
    x = cosine * local[..., 0] - sine * local[..., 1]
    y = sine * local[..., 0] + cosine * local[..., 1]
    return np.stack([x, y, local[..., 2]], axis=-1) + boxes.centre[:, None, :]


def _camera_windows(grid: RayGrid, boxes: Boxes) -> Iterator[tuple[int, Window]]:
    """The pixels that each box can cover; boxes behind the camera have none."""
    corners = _corners(boxes)
    height, width = grid.directions.shape[:2]
    focal, middle_row, middle_column = grid.scale
    ahead = corners[..., 0].min(axis=1) >= 0.05
    behind = corners[..., 0].max(axis=1) < 0.05
    depth = np.where(ahead[:, None], corners[..., 0], 1.0)
    rows = _bounds(middle_row - focal * corners[..., 2] / depth, height)
    columns = _bounds(middle_column - focal * corners[..., 1] / depth, width)
    rows[~ahead], columns[~ahead] = (0, height), (0, width)  # crosses the image plane: no bounds
    seen = ~behind & (rows[:, 0] < rows[:, 1]) & (columns[:, 0] < columns[:, 1])
    for index in np.flatnonzero(seen):
        yield int(index), (np.arange(*rows[index]), np.arange(*columns[index]))


def _lidar_windows(grid: RayGrid, boxes: Boxes) -> Iterator[tuple[int, Window]]:
    """The rays that can meet each box: its rows by elevation, its columns by azimuth."""
    corners = _corners(boxes)
    channels, steps = grid.directions.shape[:2]
    nearest = _nearest_on_ground(boxes)
    rows = _elevation_rows(grid, corners, nearest, channels)
    first, last = _azimuth_columns(grid, boxes, corners, nearest, steps)
    seen = (nearest <= grid.reach) & (rows[:, 0] < rows[:, 1])
    for index in np.flatnonzero(seen):
        columns = np.arange(first[index], last[index] + 1) % steps
        yield int(index), (np.arange(*rows[index]), columns)


def _azimuth_columns(
    grid: RayGrid, boxes: Boxes, corners: NDArray[np.float64], nearest: NDArray[np.float64], steps: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(B,) first and last column, not yet wrapped; all columns where the box stands around the sensor."""
    middle = np.arctan2(boxes.centre[:, 1], boxes.centre[:, 0])
    azimuths = np.arctan2(corners[..., 1], corners[..., 0])
    spread = (azimuths - middle[:, None] + np.pi) % (2 * np.pi) - np.pi
    first = np.floor((grid.start - middle - spread.max(axis=1)) / grid.scale[2]) - 1
    last = np.ceil((grid.start - middle - spread.min(axis=1)) / grid.scale[2]) + 1
    around = (nearest < 0.3) | (spread.max(axis=1) - spread.min(axis=1) > np.pi) | (last - first >= steps - 1)
    return np.where(around, 0, first).astype(np.int64), np.where(around, steps - 1, last).astype(np.int64)


def _nearest_on_ground(boxes: Boxes) -> NDArray[np.float64]:
    """(B,) least horizontal distance from the sensor to each box."""
    cosine, sine = np.cos(boxes.yaw), np.sin(boxes.yaw)
    x, y = boxes.centre[:, 0], boxes.centre[:, 1]
    local = np.stack([cosine * x + sine * y, cosine * y - sine * x], axis=1)
    outside = np.maximum(np.abs(local) - boxes.half[:, :2], 0.0)
    return np.hypot(outside[:, 0], outside[:, 1])


def _elevation_rows(
    grid: RayGrid, corners: NDArray[np.float64], nearest: NDArray[np.float64], channels: int
) -> NDArray[np.int64]:
    """(B, 2) first row and the row after the last: an edge above the sensor looks highest where it is nearest."""
    farthest = np.hypot(corners[..., 0], corners[..., 1]).max(axis=1)
    close = np.maximum(nearest, 1e-6)
    top, bottom = corners[..., 2].max(axis=1), corners[..., 2].min(axis=1)
    highest = np.arctan2(top, np.where(top > 0, close, farthest))
    lowest = np.arctan2(bottom, np.where(bottom < 0, close, farthest))
    upper, step, _ = grid.scale
    return _bounds(np.stack([(upper - highest) / step, (upper - lowest) / step], axis=1), channels)


def _bounds(positions: NDArray[np.float64], size: int) -> NDArray[np.int64]:
    """(B, 2) first cell and the cell after the last that (B, P) positions span, a cell wider on each side."""
    first = np.floor(positions.min(axis=1)) - 1
    last = np.ceil(positions.max(axis=1)) + 1
    return np.clip(np.stack([first, last], axis=1), 0, size).astype(np.int64)
