"""Input-free baselines of the driving task: what can be scored without looking at a single sensor value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from veritrain.tasks.task import Predictions


def positions_in_group(groups: Sequence[str]) -> NDArray[np.int64]:
    """0-based place of each sample among those of its group, in the order given."""
    seen: dict[str, int] = {}
    places = []
    for group in groups:
        places.append(seen.get(group, 0))
        seen[group] = places[-1] + 1
    return np.array(places, np.int64)


@dataclass(frozen=True, kw_only=True)
class PositionMaps:
    """P(anomalous | where), estimated on the training split's labels with add-one smoothing.

    Attributes:
        time: (T,) by the frame's place in its scenario.
        view: (R, A) by the cell of the range view.
        pixel: (H, W) by the place in the image.
    """

    time: NDArray[np.float64]
    view: NDArray[np.float64]
    pixel: NDArray[np.float64]

    @staticmethod
    def fit(
        groups: Sequence[str],
        frame_labels: NDArray[np.int8],
        view_labels: NDArray[np.int8],
        pixel_labels: NDArray[np.int8],
    ) -> PositionMaps:
        """Labels (N,), (N, R, A), (N, H, W) with -1 unknown, in the order of ``groups`` (N,)."""
        return PositionMaps.fit_stream(groups, frame_labels, zip(view_labels, pixel_labels, strict=True))

    @staticmethod
    def fit_stream(
        groups: Sequence[str],
        frame_labels: NDArray[np.int8],
        dense: Iterable[tuple[NDArray[np.int8], NDArray[np.int8]]],
    ) -> PositionMaps:
        """As :meth:`fit`, with the (R, A) and (H, W) labels of one frame after the other: counted, not kept."""
        view, pixel = _PlaceCounts(), _PlaceCounts()
        for view_labels, pixel_labels in dense:
            view.add(view_labels)
            pixel.add(pixel_labels)
        places = positions_in_group(groups)
        known = frame_labels >= 0
        length = int(places.max()) + 1
        hits = np.bincount(places[known], weights=frame_labels[known] == 1, minlength=length)
        seen = np.bincount(places[known], minlength=length)
        return PositionMaps(time=(hits + 1) / (seen + 2), view=view.smoothed_rate(2), pixel=pixel.smoothed_rate(4))

    def predict(self, groups: Sequence[str], like: Predictions) -> dict[str, NDArray[np.generic]]:
        """The maps as predictions for the samples of ``like``; its labels are carried over, its scores are not."""
        places = np.minimum(positions_in_group(groups), len(self.time) - 1)
        n = len(places)
        out: dict[str, NDArray[np.generic]] = {"frame_scores": self.time[places].astype(np.float32)}
        if "view_labels" in like:
            out["view_scores"] = np.broadcast_to(self.view.astype(np.float32), (n, *self.view.shape))
        if "pixel_labels" in like:
            out["pixel_scores"] = np.broadcast_to(self.pixel.astype(np.float32), (n, *self.pixel.shape))
        if "point_cells" in like:
            flat = self.view.astype(np.float32).reshape(-1)
            out["point_scores"] = flat[np.maximum(like["point_cells"].astype(np.int64), 0)]
        return {**{key: value for key, value in like.items() if key not in out}, **out}


class _PlaceCounts:
    """How often each place was anomalous, and known at all."""

    def __init__(self) -> None:
        self.positives: NDArray[np.int64] = np.zeros(0, np.int64)
        self.known: NDArray[np.int64] = np.zeros(0, np.int64)
        self.maps = 0

    def add(self, labels: NDArray[np.int8]) -> None:
        if not self.maps:
            self.positives, self.known = np.zeros(labels.shape, np.int64), np.zeros(labels.shape, np.int64)
        self.positives += labels == 1
        self.known += labels >= 0
        self.maps += 1

    def smoothed_rate(self, sigma: float) -> NDArray[np.float64]:
        positives = gaussian_filter(self.positives.astype(np.float64), sigma)
        known = gaussian_filter(self.known.astype(np.float64), sigma)
        share = self.positives.sum() / (self.maps * self.positives.size)
        rate: NDArray[np.float64] = (positives + 1e-6) / (known + 2e-6 / max(share, 1e-9))
        return rate


def constant_like(predictions: Predictions) -> Mapping[str, NDArray[np.generic]]:
    """The prior: one score for everything."""
    flat = {key: np.zeros_like(value) for key, value in predictions.items() if key.endswith("_scores")}
    return {**predictions, **flat}
