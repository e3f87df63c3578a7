"""AnoVox's voxel grid: half-metre cells, occupied only, one label per cell.

Source: AnoVox (arXiv 2405.07865), ``voxelize_separate.py``, checked against published index ranges. The sensor's
location is *subtracted* there (a sign slip that the published voxels share), so z falls by another 1.8 m.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veritrain.data.anovox_labels import ROAD_LINE
from veritrain.data.sensors import GRID, read_cloud, read_voxels

CELL = 0.5
"""Edge of a voxel in metres."""
SIZE = GRID
OFFSET: NDArray[np.float64] = np.array([250.0, 250.0, 16.0])
"""Metres added before flooring: half the grid's extent, so that the ego is in cell (500, 500, 32)."""


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """How well voxelised points meet stored voxels.

    Attributes:
        iou: occupied cells in both, over cells in either; in [0, 1].
        label_agreement: share of common cells with equal labels; in [0, 1], NaN-free: 0 without common cells.
        common: number of common cells.
        made: number of cells made from the points.
        stored: number of cells stored.
    """

    iou: float
    label_agreement: float
    common: int
    made: int
    stored: int


def voxelise(
    points: NDArray[np.floating], labels: NDArray[np.number], *, location: tuple[float, float, float] = (0.0, 0.0, 1.8)
) -> NDArray[np.uint16]:
    """Occupied cells and their labels.

    Args:
        points: (N, >=3) metres as stored in SEMANTIC-LIDAR.
        labels: (N,) AnoVox ids.
        location: where the sensor sits (subtracted, as the generator does).

    Returns:
        (M, 4) uint16 vx, vy, vz, id, sorted by cell. The id is that of the point nearest to the cell's lower corner,
        unless any road-line point (24) lies in the cell: road lines win. Points outside the grid are dropped.
    """
    shifted = _grid_place(points, location)
    cells = np.floor(shifted).astype(np.int64)
    inside = _inside(cells)
    cells, shifted, ids = cells[inside], shifted[inside], np.asarray(labels)[inside].astype(np.int64)
    corner_distance = ((shifted - cells) ** 2).sum(axis=1)
    flat = np.ravel_multi_index(tuple(cells.T), SIZE)
    order = np.lexsort((corner_distance, ids != ROAD_LINE, flat))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = flat[order][1:] != flat[order][:-1]
    chosen = order[first]
    return np.concatenate([cells[chosen], ids[chosen, None]], axis=1).astype(np.uint16)


def cells_of_points(points: NDArray[np.floating], location: tuple[float, float, float]) -> NDArray[np.int64]:
    """(N,) number of the cell that each return falls into, -1 outside the grid; ``location`` is the sensor's place."""
    cells = np.floor(_grid_place(points, location)).astype(np.int64)
    inside = _inside(cells)
    flat = np.full(len(cells), -1, np.int64)
    flat[inside] = np.ravel_multi_index(tuple(cells[inside].T), SIZE)
    return flat


def centres_of_cells(cells: NDArray[np.int64], location: tuple[float, float, float]) -> NDArray[np.float64]:
    """(M,) cell numbers -> (M, 3) metres of their middles, in the axes of the points of :func:`cells_of_points`."""
    index = np.stack(np.unravel_index(cells, SIZE), axis=1)
    middles: NDArray[np.float64] = (index + 0.5) * CELL - OFFSET + np.array(location)
    return middles


def cells_of_voxels(voxels: NDArray[np.uint16]) -> NDArray[np.int64]:
    """(M, 4) stored voxels -> (M,) cell numbers, in the numbering of :func:`cells_of_points`."""
    return np.ravel_multi_index(tuple(voxels[:, :3].astype(np.int64).T), SIZE).astype(np.int64)


def in_front(cells: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each cell lies ahead of the ego vehicle: vx > 500, the published evaluation's ``front_only``."""
    return cells // (SIZE[1] * SIZE[2]) > SIZE[0] // 2


def compare(made: NDArray[np.uint16], stored: NDArray[np.uint16]) -> RoundTrip:
    """How two (M, 4) voxel lists agree."""
    ours, theirs = cells_of_voxels(made), cells_of_voxels(stored)
    common, in_ours, in_theirs = np.intersect1d(ours, theirs, return_indices=True)
    either = len(np.union1d(ours, theirs))
    equal = made[in_ours, 3] == stored[in_theirs, 3]
    return RoundTrip(
        iou=len(common) / either if either else 0.0,
        label_agreement=float(equal.mean()) if len(common) else 0.0,
        common=len(common),
        made=len(made),
        stored=len(stored),
    )


def round_trip(scenario: Path) -> list[RoundTrip]:
    """Voxelises each stored SEMANTIC-LIDAR cloud of an AnoVox scenario folder and compares the stored voxels.

    Raises:
        BrokenFileError: a cloud or a voxel file cannot be read.
    """
    trips = []
    for grid in sorted((scenario / "VOXEL_GRID").glob("VOXEL_GRID_*.npy")):
        number = grid.stem.rsplit("_", 1)[-1]
        for cloud in sorted(scenario.glob(f"SEMANTIC-LIDAR*/SEMANTIC-LIDAR*_{number}.npy")):
            points = read_cloud(cloud, np.float64)
            trips.append(compare(voxelise(points, points[:, 3]), read_voxels(grid)))
    return trips


def _grid_place(points: NDArray[np.floating], location: tuple[float, float, float]) -> NDArray[np.float64]:
    """(N, 3) places in units of cells."""
    place: NDArray[np.float64] = (points[:, :3].astype(np.float64) - np.array(location) + OFFSET) / CELL
    return place


def _inside(cells: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.all((cells >= 0) & (cells < np.array(SIZE)), axis=1)
