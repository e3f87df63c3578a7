"""Voxel scores against AnoVox's stored grids, under both protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.anovox_labels import IGNORED_IDS
from veritrain.data.sample import Frame, FrameKey
from veritrain.data.voxels import cells_of_points, cells_of_voxels, in_front
from veritrain.errors import BrokenFileError
from veritrain.metrics.ranking import ranking_scores
from veritrain.metrics.voxels import VoxelTable, kept_labels, meet
from veritrain.tasks.levels import rows_in_frames
from veritrain.tasks.task import Predictions
from veritrain.training.evaluate import ranked_entries

RESAMPLES, BINS = 500, 512
"""Of the intervals: six protocols with four rankings each; the spread of 500 resamples is known to 3 %."""


@dataclass(frozen=True, kw_only=True)
class VoxelProtocol:
    """Which voxels count, and as what.

    Attributes:
        keep: a protocol of ``metrics.voxels.kept_labels``.
        front_only: only voxels ahead of the ego vehicle (vx > 500).
        ignore_agents: leave out ids 112 to 119 and 214; else they are normal.
    """

    keep: str
    front_only: bool = False
    ignore_agents: bool = True


PROTOCOLS: dict[str, VoxelProtocol] = {
    "intersection": VoxelProtocol(keep="intersection"),
    "union": VoxelProtocol(keep="union"),
    "intersection, front": VoxelProtocol(keep="intersection", front_only=True),
    "union, front": VoxelProtocol(keep="union", front_only=True),
    "union, extra voxels normal": VoxelProtocol(keep="union_extra_normal"),
    "union, agents normal": VoxelProtocol(keep="union", ignore_agents=False),
}
"""Every way that is reported; only *intersection* is the published practice."""


@dataclass(frozen=True, kw_only=True)
class VoxelRows:
    """Voxels of a whole split, stored or scored: (V,) arrays and name to (V,) scores."""

    labels: NDArray[np.int8]
    agent: NDArray[np.bool_]
    stored: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    front: NDArray[np.bool_]
    sample: NDArray[np.int64]
    scores: Mapping[str, NDArray[np.float32]]

    def labels_under(self, protocol: VoxelProtocol) -> NDArray[np.int8]:
        """(V,) 1, 0, and -1 for what the protocol leaves out."""
        labels = self.labels if protocol.ignore_agents else np.where(self.agent, 0, self.labels).astype(np.int8)
        kept = kept_labels(labels, self.stored, self.scored, protocol.keep)
        return np.where(self.front, kept, -1).astype(np.int8) if protocol.front_only else kept


def voxel_results(
    source: AnoVoxFormat,
    keys: Sequence[FrameKey],
    frames: Sequence[Frame],
    predictions: Predictions,
    baselines: Mapping[str, Predictions],
) -> dict[str, Any] | None:
    """Protocol to auroc, ap, fpr95 entries (as in ``metrics``) and counts; None without returns' scores or any grid.

    ``missed`` counts the anomalous stored voxels that no scored return fell into: left out by intersection, at the
    bottom of the ranking in union. ``frames_without`` counts frames without a readable grid; they take no part.
    """
    if "point_scores" not in predictions:
        return None
    every = {"model": predictions, **baselines}
    flat = {name: np.asarray(one["point_scores"]) for name, one in every.items() if "point_scores" in one}
    tables = _tables(source, keys, frames, flat, predictions)
    if not tables:
        return None
    rows = _stacked(tables)
    names, of_sample = np.unique([key.group for key in keys], return_inverse=True)
    out: dict[str, Any] = {}
    for name, protocol in PROTOCOLS.items():
        labels = rows.labels_under(protocol)
        known = labels >= 0
        truth, of = labels[known], of_sample[rows.sample[known]]
        levels = {who: (scores[known], truth, of) for who, scores in rows.scores.items()}
        own = ranking_scores(*levels["model"][:2])
        missed = rows.stored & ~rows.scored & (rows.labels == 1) & (rows.front | (not protocol.front_only))
        out[name] = {
            **ranked_entries(levels, own, len(names), exact=False, resamples=RESAMPLES, bins=BINS),
            "missed": int(missed.sum()),
            "missed_count": "left out" if protocol.keep == "intersection" else "as misses",
        }
    return {"protocols": out, "frames": len(tables), "frames_without": len(keys) - len(tables)}


Row = tuple[int, VoxelTable, NDArray[np.int8], NDArray[np.bool_]]
"""Number of the frame, its voxels, and the labels of the stored ones and whether each is an agent."""


def _tables(
    source: AnoVoxFormat,
    keys: Sequence[FrameKey],
    frames: Sequence[Frame],
    flat: Mapping[str, NDArray[Any]],
    predictions: Predictions,
) -> list[Row]:
    ends = np.cumsum(predictions["point_counts"].astype(np.int64))
    read = rows_in_frames(predictions)
    rows: list[Row] = []
    for number, (key, frame, end, part) in enumerate(zip(keys, frames, ends, read, strict=True)):
        stored = _stored(source, key)
        if stored is None:
            continue
        points = frame.points[part]
        here = {name: scores[end - len(points) : end] for name, scores in flat.items()}
        voxels, labels = stored
        table = meet(cells_of_points(points, source.lidar_location(key)), here, cells_of_voxels(voxels))
        rows.append((number, table, labels, np.isin(voxels[:, 3], list(IGNORED_IDS))))
    return rows


def _stored(source: AnoVoxFormat, key: FrameKey) -> tuple[NDArray[np.uint16], NDArray[np.int8]] | None:
    """Stored voxels and labels; None without a file, or where it is broken and the policy is to skip."""
    try:
        found = source.read_voxels(key)
        if found is not None and len(np.unique(cells_of_voxels(found[0]))) != len(found[0]):
            raise BrokenFileError(
                "a voxel is stored twice",
                file=key.id,
                expected="each cell at most once",
                found=f"{len(found[0])} rows, some of one cell",
                fix="extract the scenario again",
            )
        return found
    except BrokenFileError:
        if source.options.on_broken == "error":
            raise
        return None


def _stacked(tables: Sequence[Row]) -> VoxelRows:
    labels, agents, samples = [], [], []
    for number, table, stored_labels, agent in tables:
        labels.append(np.append(stored_labels, np.int8(-1))[table.place])  # place -1 takes the last
        agents.append(np.append(agent, False)[table.place])
        samples.append(np.full(len(table.cells), number))
    names = tables[0][1].scores
    return VoxelRows(
        labels=np.concatenate(labels),
        agent=np.concatenate(agents),
        stored=np.concatenate([table.place >= 0 for _, table, _, _ in tables]),
        scored=np.concatenate([table.scored for _, table, _, _ in tables]),
        front=np.concatenate([in_front(table.cells) for _, table, _, _ in tables]),
        sample=np.concatenate(samples),
        scores={name: np.concatenate([table.scores[name] for _, table, _, _ in tables]) for name in names},
    )
