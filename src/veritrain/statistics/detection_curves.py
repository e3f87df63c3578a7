"""Precision-recall curves of classes as data: the steps as they are, COCO's 101 points, and a band over groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from veritrain.metrics.detection import RECALLS, GroupedDetections
from veritrain.metrics.operating_point import IOU, pr_curve
from veritrain.statistics.intervals import bootstrap_values

RESAMPLES = 400
# A band needs groups to resample.
LEAST_GROUPS = 4


def class_curves(
    grouped: GroupedDetections,
    names: Sequence[str],
    *,
    iou: float = IOU,
    n_resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Any]:
    """Class to its curve, for classes with an object; the others under ``left_out``.

    Returns:
        ``{"iou", "groups", "level", "classes": {name: {objects, detections, recall (101), precision (101), low, high,
        points {recall, precision}}}, "left_out": {name: detections}}``. ``precision`` is monotone, as average precision
        reads it, 0 where a recall is never reached; ``points`` are the steps, thinned to 512. ``low`` and ``high`` are
        percentiles at each recall over resampled groups, for the eye (``statistics.intervals`` holds what it promises);
        None below 4 groups that hold the class.
    """
    ones = np.ones((1, grouped.n_groups))
    classes: dict[str, Any] = {}
    left_out: dict[str, int] = {}
    for cls, name in enumerate(names):
        rows = grouped.table.rows_of(cls)
        points = pr_curve(grouped.table, cls, iou=iou)
        if points is None:
            left_out[name] = rows.stop - rows.start
            continue
        low, high = _band(grouped, cls, iou, n_resamples, level, seed)
        classes[name] = {
            "objects": int(grouped.truths[:, cls].sum()),
            "detections": rows.stop - rows.start,
            "recall": RECALLS.tolist(),
            "precision": grouped.precision_at_recalls(ones, cls, iou)[0].tolist(),
            "low": low,
            "high": high,
            "points": {"recall": points[0].tolist(), "precision": points[1].tolist()},
        }
    return {"iou": iou, "groups": grouped.n_groups, "level": level, "classes": classes, "left_out": left_out}


def _band(
    grouped: GroupedDetections, cls: int, iou: float, n_resamples: int, level: float, seed: int
) -> tuple[list[float] | None, list[float] | None]:
    """Percentiles of the precision at each recall, over resamples that hold an object of the class."""
    holding = grouped.truths[:, cls] > 0
    if int(holding.sum()) < LEAST_GROUPS:
        return None, None
    curves = []

    def keep(weights: Any) -> Any:
        found = grouped.precision_at_recalls(weights, cls, iou)
        curves.append(found)
        return found.mean(axis=1)

    bootstrap_values(grouped.n_groups, keep, n_resamples=n_resamples, seed=seed, strata=holding)
    tail = 50 * (1 - level)
    low, high = np.nanpercentile(np.concatenate(curves), [tail, 100 - tail], axis=0)
    return low.tolist(), high.tolist()
