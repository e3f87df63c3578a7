"""Trivial baselines from one coarse number: how far a return is, which row a pixel is in, how many returns are near."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from veritrain.data.anovox_labels import OBJECT_IDS
from veritrain.data.paired_view import ViewOptions, flat_cells
from veritrain.data.sample import Frame
from veritrain.tasks.levels import rows_in_frames
from veritrain.tasks.task import Predictions

Floats = NDArray[np.float64]
BIN_METRES = 2.0
BINS = 31
"""Of distance: 30 of two metres, and one for all that lies beyond 60 m."""
NEAR_METRES = 20.0
NEAR_BINS = 8
CELLS_ACROSS = 2.0
"""Standard deviation of the smoothing over cells, as for the position map."""


@dataclass(frozen=True, kw_only=True)
class ReturnRates:
    """P(anomalous | one number), estimated on the training split's own labels.

    Each rate counts one further sample at the overall rate, so that an empty bin has the overall rate.

    Attributes:
        by_range: (BINS,) of returns, by distance from the sensor.
        object_by_range: (BINS,) the same among returns on objects (``tasks.levels``).
        object_by_cell: (R * A,) among returns on objects, by cell of the range view, smoothed over 2 cells.
        by_row: (H,) of pixels, by image row.
        near_edges: (E,) numbers of returns within 20 m that part the training frames into at most 8 equal shares.
        by_near: (E + 1,) of frames, by the share they fall into.
    """

    by_range: Floats
    object_by_range: Floats
    object_by_cell: Floats
    by_row: Floats
    near_edges: Floats
    by_near: Floats

    @staticmethod
    def fit(frames: Iterable[Frame], views: ViewOptions) -> ReturnRates:
        """From frames with their given labels, read once and in any order."""
        ranges, objects = np.zeros((2, BINS)), np.zeros((2, BINS))
        cells = np.zeros((2, views.rows * views.columns))
        rows: Floats | None = None
        near, labels = [], []
        for frame in frames:
            distance = _distance(frame)
            bins, truth = _bins(distance), frame.point_labels
            on_object = (truth == 1) | np.isin(frame.point_ids, list(OBJECT_IDS))
            _count(ranges, bins, truth)
            _count(objects, bins[on_object], truth[on_object])
            _count(cells, flat_cells(frame.points, views)[on_object], truth[on_object])
            found = np.stack([(frame.pixel_labels == label).sum(1) for label in (0, 1)]).astype(np.float64)
            rows = found if rows is None else rows + found
            near.append(int((distance < NEAR_METRES).sum()))
            labels.append(frame.frame_label)
        assert rows is not None, "a training split holds frames"
        edges, by_near = _rates_of_frames(np.array(near), np.array(labels))
        shape = (2, views.rows, views.columns)
        smooth = gaussian_filter(cells.reshape(shape), (0.0, CELLS_ACROSS, CELLS_ACROSS)).reshape(2, -1)
        return ReturnRates(
            by_range=_rates(ranges),
            object_by_range=_rates(objects),
            object_by_cell=_rates(smooth),
            by_row=_rates(rows),
            near_edges=edges,
            by_near=by_near,
        )

    def by_distance(self, frames: Iterable[Frame], like: Predictions) -> dict[str, NDArray[np.generic]]:
        """The *range* baseline for the samples of ``like``, whose frames these are, in order.

        Returns score by distance; among objects by distance among objects; pixels by row; frames by the number of
        near returns. Labels and ids of ``like`` are carried over, its scores are not.
        """
        parts = [_distance(frame) for frame in frames]
        bins = [_bins(distance) for distance in parts]
        near = np.array([(distance < NEAR_METRES).sum() for distance in parts])
        out: dict[str, NDArray[np.generic]] = {key: value for key, value in like.items() if not key.endswith("_scores")}
        out["frame_scores"] = self.by_near[np.searchsorted(self.near_edges, near, side="right")].astype(np.float32)
        if "point_scores" in like:
            flat = np.concatenate([part[rows] for part, rows in zip(bins, rows_in_frames(like), strict=True)])
            out["point_scores"] = self.by_range[flat].astype(np.float32)
            out["object_point_scores"] = self.object_by_range[flat].astype(np.float32)
        if "pixel_scores" in like:
            column = self.by_row.astype(np.float32)[None, :, None]
            out["pixel_scores"] = np.broadcast_to(column, like["pixel_labels"].shape)
        return out

    def by_place_among_objects(self, like: Predictions) -> NDArray[np.float32]:
        """(N,) scores of the returns of ``like``: P(anomalous | cell of the range view, on an object)."""
        return self.object_by_cell[like["point_cells"].astype(np.int64)].astype(np.float32)


def _distance(frame: Frame) -> Floats:
    distance: Floats = np.linalg.norm(frame.points[:, :3].astype(np.float64), axis=1)
    return distance


def _bins(distance: Floats) -> NDArray[np.int64]:
    return np.minimum(distance / BIN_METRES, BINS - 1).astype(np.int64)


def _count(table: Floats, bins: NDArray[np.int64], labels: NDArray[np.int8]) -> None:
    """Add to (2, B) numbers of normal and of anomalous."""
    for label in (0, 1):
        table[label] += np.bincount(bins[labels == label], minlength=table.shape[1])


def _rates(table: Floats) -> Floats:
    seen = table.sum(0)
    overall = table[1].sum() / max(float(seen.sum()), 1.0)
    rate: Floats = (table[1] + overall) / (seen + 1)
    return rate


def _rates_of_frames(near: NDArray[np.int64], labels: NDArray[np.int64]) -> tuple[Floats, Floats]:
    edges = np.unique(np.quantile(near, np.linspace(0, 1, NEAR_BINS + 1)[1:-1]))
    table = np.zeros((2, len(edges) + 1))
    _count(table, np.searchsorted(edges, near, side="right").astype(np.int64), labels.astype(np.int8))
    return edges, _rates(table)
