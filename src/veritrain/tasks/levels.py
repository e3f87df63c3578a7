"""What is scored at which level: frames, returns and pixels, and returns and pixels on objects alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.data.anovox_labels import OBJECT_IDS
from veritrain.data.sample import UNKNOWN
from veritrain.tasks.task import Predictions

BASES = {"frame": "frame", "point": "point", "object_point": "point", "pixel": "pixel", "object_pixel": "pixel"}
"""Level to the level whose scores and labels it takes. An object level keeps what is anomalous and, of what is normal,
only what lies on an ordinary object: ground and buildings, which are easy and many, are left out."""

Level = tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]
"""Flat known scores, labels (0 or 1) and the group of each."""


def levels_of(predictions: Predictions) -> list[str]:
    """The levels whose labels (and, for objects, ids) are there."""
    return [level for level, base in BASES.items() if f"{base}_labels" in predictions and _has_ids(predictions, level)]


def is_scored(predictions: Predictions, level: str) -> bool:
    """Whether scores of that level, or of the one it is part of, are there."""
    return f"{BASES[level]}_scores" in predictions


def labels_at(predictions: Predictions, level: str) -> NDArray[np.int8]:
    """Flat labels of one level: 1, 0, and UNKNOWN for what the level leaves out."""
    labels = np.asarray(predictions[f"{BASES[level]}_labels"]).reshape(-1)
    if BASES[level] == level:
        return labels
    ids = np.asarray(predictions[f"{BASES[level]}_ids"]).reshape(-1)
    on_object = (labels == 1) | ((labels == 0) & np.isin(ids, list(OBJECT_IDS)))
    return np.where(on_object, labels, UNKNOWN).astype(np.int8)


def scores_at(predictions: Predictions, level: str) -> NDArray[Any]:
    """Flat scores of one level: its own where it has them (a baseline may), else those of the level it is part of."""
    own = f"{level}_scores"
    return np.asarray(predictions[own if own in predictions else f"{BASES[level]}_scores"]).reshape(-1)


def samples_at(predictions: Predictions, level: str, of_sample: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) numbers of samples -> the number of each flat element's sample."""
    if BASES[level] == "point":
        return np.repeat(of_sample, predictions["point_counts"].astype(np.int64))
    labels = np.asarray(predictions[f"{BASES[level]}_labels"])
    return np.repeat(of_sample, labels[0].size if labels.ndim > 1 else 1)


def rows_in_frames(predictions: Predictions) -> list[NDArray[np.int64] | slice]:
    """Which returns of each frame have scores: all, unless the network read a part of them (``point_rows``)."""
    counts = predictions["point_counts"].astype(np.int64)
    if "point_rows" not in predictions:
        return [slice(None)] * len(counts)
    return list(np.split(predictions["point_rows"].astype(np.int64), np.cumsum(counts)[:-1]))


def level_of(predictions: Predictions, level: str, group_of_sample: NDArray[np.int64]) -> Level:
    """Flat known scores, labels and the group of each, for one label level."""
    labels = labels_at(predictions, level)
    known = labels >= 0
    groups = samples_at(predictions, level, group_of_sample)
    return scores_at(predictions, level)[known].astype(np.float32), labels[known], groups[known]


def _has_ids(predictions: Predictions, level: str) -> bool:
    return BASES[level] == level or f"{BASES[level]}_ids" in predictions
