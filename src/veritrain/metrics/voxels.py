"""Scores of voxels from scores of returns, and the two ways to hold them against a stored grid.

Source of *intersection*: the published AnoVox evaluation (arXiv 2405.07865) compares common grids only, so that an
anomalous voxel that no return of the judged sensor fell into is dropped, not missed. *Union* counts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import UsageError
from veritrain.metrics.ranking import check_finite

Cells = NDArray[np.int64]
MISSED = -1.0
"""The score of a voxel without a scored return: below every score in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class VoxelTable:
    """Every voxel of one frame that is stored or scored, by cell number.

    Attributes:
        cells: (V,) int64, ascending, each once.
        place: (V,) int64 row of the stored voxel, -1 where none is stored.
        scored: (V,) bool, a return with a score fell into it.
        scores: name to (V,) float32, the highest score of its returns; MISSED where ``scored`` is False.
    """

    cells: Cells
    place: NDArray[np.int64]
    scored: NDArray[np.bool_]
    scores: dict[str, NDArray[np.float32]]


def highest_per_cell(cells: Cells, scores: NDArray[Any]) -> tuple[Cells, NDArray[np.float32]]:
    """(N,) cells and scores of returns -> the occupied cells, ascending, and the highest score in each."""
    order = np.argsort(cells, kind="stable")
    ordered = cells[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if ordered.size else order[:0]
    values = np.asarray(scores, np.float32)[order]
    return ordered[first], np.maximum.reduceat(values, first) if first.size else values


def meet(cells: Cells, scores: dict[str, NDArray[Any]], stored: Cells) -> VoxelTable:
    """Scored returns and a stored grid in one table.

    Args:
        cells: (N,) cell of each return, -1 outside the grid (left out).
        scores: name to (N,) scores in [0, 1].
        stored: (M,) cell of each stored voxel, each once.

    Raises:
        UsageError: a score is not finite or not above MISSED, or a cell is stored twice.
    """
    inside = cells >= 0
    occupied = np.unique(cells[inside])
    every = np.union1d(occupied, stored)
    place = np.full(len(every), -1, np.int64)
    place[np.searchsorted(every, stored)] = np.arange(len(stored))
    if np.count_nonzero(place >= 0) != len(stored):
        raise UsageError("a cell is stored twice", expected="each cell once", found=f"{len(stored)} voxels")
    at = np.searchsorted(every, occupied)
    scored = np.zeros(len(every), np.bool_)
    scored[at] = True
    table = {}
    for name, values in scores.items():
        check_finite(np.asarray(values))
        table[name] = np.full(len(every), MISSED, np.float32)
        table[name][at] = highest_per_cell(cells[inside], values[inside])[1]
        if (table[name][at] <= MISSED).any():
            raise UsageError("a score lies below that of a missed voxel", expected="scores in [0, 1]", found=name)
    return VoxelTable(cells=every, place=place, scored=scored, scores=table)


def kept_labels(
    labels: NDArray[np.int8], stored: NDArray[np.bool_], scored: NDArray[np.bool_], protocol: str
) -> NDArray[np.int8]:
    """(V,) labels of one protocol: 1, 0, and -1 for what it leaves out.

    Args:
        labels: (V,) 1, 0 or -1 (unknown) of stored voxels; anything where nothing is stored.
        stored, scored: (V,) bool.
        protocol: "intersection" (stored and scored), "union" (stored; a scored voxel that is not stored is unknown) or
            "union_extra_normal" (stored or scored; a scored voxel that is not stored is normal).
    """
    if protocol == "intersection":
        return np.where(stored & scored, labels, -1).astype(np.int8)
    if protocol == "union":
        return np.where(stored, labels, -1).astype(np.int8)
    if protocol == "union_extra_normal":
        return np.where(stored, labels, 0).astype(np.int8)
    raise UsageError("no such protocol", expected="intersection, union or union_extra_normal", found=protocol)
