"""Precision-recall curves of each kind of anomaly against the same normal frames and returns; descriptive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.experiments.breakdown import LEAST_GROUPS, Family
from veritrain.metrics.ranking import chance_ap
from veritrain.tasks.levels import is_scored, labels_at, levels_of, samples_at, scores_at
from veritrain.tasks.task import Predictions

LEVELS = ("frame", "object_point")
"""Where a kind has a curve: whole frames, and returns among objects (among all returns ground makes it look easy)."""
GRID = np.linspace(0, 1, 41)
LEAST_POSITIVES = 10


def curves_by_kind(
    families: Mapping[str, Family], predictions: Predictions, groups: Sequence[str]
) -> dict[str, Any] | None:
    """``recall`` (41 places) and ``levels``: level to ``negatives``, ``kinds`` and ``left_out``; None without a score.

    A kind: family, positives, groups that hold one, ``chance`` (the expected AP of a random order of its positives
    among all normals) and ``precision`` (41, four decimals): at each recall the best precision at that recall or more,
    as ``training.curves`` draws the pooled curve. ``left_out``: kind to why it has no curve.
    """
    of_sample = np.unique(np.asarray(groups), return_inverse=True)[1]
    there = [level for level in LEVELS if level in levels_of(predictions) and is_scored(predictions, level)]
    levels = {level: _of_level(families, predictions, level, of_sample) for level in there}
    return {"recall": [round(float(one), 4) for one in GRID], "levels": levels} if levels else None


def _of_level(
    families: Mapping[str, Family], predictions: Predictions, level: str, of_sample: NDArray[np.int64]
) -> dict[str, Any]:
    labels = labels_at(predictions, level)
    scores = scores_at(predictions, level).astype(np.float32)
    sample = samples_at(predictions, level, np.arange(len(of_sample)))
    negatives, positives, of = np.sort(scores[labels == 0]), scores[labels == 1], sample[labels == 1]
    kinds: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for family, masks in families.items():
        for kind, frames in masks.items():
            chosen = frames[of]
            found, holding = int(chosen.sum()), len(np.unique(of_sample[of[chosen]]))
            if found < LEAST_POSITIVES or holding < LEAST_GROUPS or not len(negatives):
                left_out[kind] = f"{found} positives in {holding} groups"
                continue
            kinds[kind] = {
                "family": family,
                "positives": found,
                "groups": holding,
                "chance": chance_ap(found + len(negatives), found),
                "precision": [round(float(one), 4) for one in precision_at(positives[chosen], negatives)],
            }
    return {"negatives": len(negatives), "kinds": kinds, "left_out": left_out}


def precision_at(positives: NDArray[np.float32], negatives: NDArray[np.float32]) -> NDArray[np.float64]:
    """(P,) scores and (N,) ascending scores of normals -> (41,) the best precision at each recall of GRID or more."""
    level, count = (part[::-1] for part in np.unique(positives, return_counts=True))
    hits: NDArray[np.int64] = np.cumsum(count)
    alarms = len(negatives) - np.searchsorted(negatives, level, "left").astype(np.int64)
    precision = hits / (hits + alarms)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(hits / hits[-1], GRID - 1e-12, side="left").clip(max=len(hits) - 1)
    found: NDArray[np.float64] = best_from_here[at]
    return found
