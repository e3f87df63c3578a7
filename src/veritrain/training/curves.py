"""ROC and precision-recall curves with bands over groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.metrics.grouped import group_histograms
from veritrain.tasks.levels import Level, level_of
from veritrain.tasks.task import Predictions

GRID = np.linspace(0, 1, 101)
RESAMPLES = 400


def curves_of_levels(
    predictions: Predictions, levels: Sequence[str], group_of_sample: NDArray[np.int64]
) -> dict[str, dict[str, Any]]:
    """Level to its curves (:func:`curves_with_bands`), for those of ``levels`` that have scores."""
    scored = [level for level in levels if f"{level}_scores" in predictions]
    groups = int(group_of_sample.max()) + 1
    return {level: curves_with_bands(level_of(predictions, level, group_of_sample), groups) for level in scored}


def curves_with_bands(level: Level, n_groups: int, *, seed: int = 0) -> dict[str, Any]:
    """Both curves on a grid of 101 points, each with a pointwise 95 % band from resampled groups.

    Args:
        level: flat scores, 0/1 labels and group numbers. n_groups: groups to resample.

    Returns:
        {"roc": {fpr, tpr, low, high}, "pr": {recall, precision, low, high}}; None where a class is absent. The
        curves come from up to a few thousand equal-frequency bins, the band from the percentiles of the resamples.
    """
    scores, labels, groups = level
    if not 0 < labels.sum() < len(labels):
        return {"roc": None, "pr": None}
    positives, negatives = (counts[:, ::-1] for counts in group_histograms(scores, labels, groups, n_groups))
    draws = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=RESAMPLES)
    rows = [_both(positives, negatives, weights) for weights in (np.ones(n_groups, np.int64), *draws)]
    known = np.array([row for row in rows[1:] if row is not None])
    plain = rows[0]
    assert plain is not None
    low, high = np.percentile(known, [2.5, 97.5], axis=0)
    named = zip(("roc", "pr"), (("fpr", "tpr"), ("recall", "precision")), range(2), strict=True)
    return {
        name: {x: GRID.tolist(), y: plain[i].tolist(), "low": low[i].tolist(), "high": high[i].tolist()}
        for name, (x, y), i in named
    }


def _both(
    positives: NDArray[np.int64], negatives: NDArray[np.int64], weights: NDArray[np.int64]
) -> NDArray[np.float64] | None:
    """(2, 101): TPR over the FPR grid and precision over the recall grid; None where a class is absent."""
    hits = np.concatenate([[0], np.cumsum(weights @ positives)])
    alarms = np.concatenate([[0], np.cumsum(weights @ negatives)])
    if not hits[-1] or not alarms[-1]:
        return None
    recall, fall_out = hits / hits[-1], alarms / alarms[-1]
    precision = np.divide(hits, hits + alarms, out=np.ones(len(hits)), where=hits + alarms > 0)
    best_from_here = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, GRID, side="left").clip(max=len(recall) - 1)
    return np.stack([np.interp(GRID, fall_out, recall), best_from_here[at]])
