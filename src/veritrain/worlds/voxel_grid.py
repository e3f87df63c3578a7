"""Voxels as AnoVox's generator makes them, step by step; its slips included.

Written from the description of ``voxelize_separate.py`` alone and apart from :mod:`veritrain.data.voxels`, so that
writer and reader check each other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRID = (1000, 1000, 64)
RESOLUTION = 0.5
SENSOR_HEIGHT = 1.8
ROAD_LINE = 24


def voxel_grid(clouds: list[NDArray[np.float64]]) -> NDArray[np.uint16]:
    """(M, 4) uint16 occupied cells and ids of one or more (N, 4) clouds of x, y, z, id in the sensor's frame.

    Per point: subtract the sensor's place (z - 1.8), add half the grid, divide by the cell and floor. Per cell: the
    id with the least sum of squared remainders; any road line in the cell wins.
    """
    points = np.concatenate(clouds, axis=0)
    x = (points[:, 0] + GRID[0] * RESOLUTION / 2) / RESOLUTION
    y = (points[:, 1] + GRID[1] * RESOLUTION / 2) / RESOLUTION
    z = (points[:, 2] - SENSOR_HEIGHT + GRID[2] * RESOLUTION / 2) / RESOLUTION
    inside = (x >= 0) & (x < GRID[0]) & (y >= 0) & (y < GRID[1]) & (z >= 0) & (z < GRID[2])
    x, y, z, ids = x[inside], y[inside], z[inside], points[inside, 3].astype(np.int64)
    cell = (x.astype(np.int64) * GRID[1] + y.astype(np.int64)) * GRID[2] + z.astype(np.int64)
    remainder = (x % 1.0) ** 2 + (y % 1.0) ** 2 + (z % 1.0) ** 2
    occupied, place = np.unique(cell, return_inverse=True)
    label = _nearest_ids(place, remainder, ids, len(occupied))
    label[place[ids == ROAD_LINE]] = ROAD_LINE
    vz, rest = occupied % GRID[2], occupied // GRID[2]
    return np.stack([rest // GRID[1], rest % GRID[1], vz, label], axis=1).astype(np.uint16)


def depth_cloud(depth: NDArray[np.float64], semantic: NDArray[np.uint8], focal: float) -> NDArray[np.float64]:
    """(N, 4) x, y, z, id of a depth image: x = (u - cx) z / f, points beyond 100 m dropped, then turned so that
    (right, down, forward) becomes (forward, left, up)."""
    height, width = depth.shape
    v, u = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    right, down = (u - width / 2) * depth / focal, (v - height / 2) * depth / focal
    near = np.sqrt(right**2 + down**2 + depth**2) <= 100.0
    return np.stack([depth[near], -right[near], -down[near], semantic[near].astype(np.float64)], axis=1)


def _nearest_ids(
    place: NDArray[np.int64], remainder: NDArray[np.float64], ids: NDArray[np.int64], cells: int
) -> NDArray[np.int64]:
    least = np.full(cells, np.inf)
    np.minimum.at(least, place, remainder)
    label = np.zeros(cells, dtype=np.int64)
    winners = np.flatnonzero(remainder == least[place])[::-1]  # the first point of equals is assigned last
    label[place[winners]] = ids[winners]
    return label
