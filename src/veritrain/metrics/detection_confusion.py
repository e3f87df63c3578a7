"""Which class was called where which object lies: a confusion matrix with a row and a column for the background.

A matrix of detections means nothing without its overlap and its score threshold, so it carries both. What is called is
matched twice, in descending score: first within its class, exactly as average precision is, so that the diagonal is the
number of hits; then what is left, whatever its class, with the objects that are left. What still has no object was
called on background; objects that are left were not found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.matching import MAX_DETECTIONS, Integers, RankedDetections, hits_of

IOU = 0.5


@dataclass(frozen=True)
class DetectionConfusion:
    """Counts of called detections and objects.

    Attributes:
        counts: (C + 1, C + 1) int64, row the object's class, column the called one; the last row is called on
            background (false alarms), the last column not found (misses); the corner of both is 0, nobody counts it.
        iou, threshold: least overlap of a pair, least score of a call.
        left_out: calls on crowds or ignored objects, which are in no cell.
    """

    counts: Integers
    iou: float
    threshold: float
    left_out: int

    def as_json(self) -> dict[str, Any]:
        return {
            "counts": self.counts.tolist(),
            "iou": self.iou,
            "threshold": self.threshold,
            "left_out": self.left_out,
            "rows": "label, last: background",
            "columns": "called, last: not found",
        }


def detection_confusion(
    detections: Detections,
    truths: Truths,
    n_images: int,
    n_classes: int,
    *,
    threshold: float,
    iou: float = IOU,
    max_detections: int = MAX_DETECTIONS,
) -> DetectionConfusion:
    """Count what was called for what.

    Args:
        detections, truths: of N images, boxes in one unit.
        threshold: a detection with at least this score is called; choose it on validation.
        iou: least overlap of a pair.
        max_detections: of an image and class, as the scores beside it have.
    """
    ranked = RankedDetections(detections.taken(detections.scores >= threshold), n_images, n_classes, max_detections)
    called = ranked.detections
    hit = hits_of(ranked, truths, iou=iou)
    wanted = ~truths.need_not_be_found
    ignored = (hit >= 0) & ~np.append(wanted, True)[hit]
    counts = np.zeros((n_classes + 1, n_classes + 1), np.int64)
    found = hit[(hit >= 0) & ~ignored]
    np.add.at(counts, (truths.classes[found], truths.classes[found]), 1)
    wanted[found] = False
    calls, objects = np.flatnonzero(hit < 0), np.flatnonzero(wanted)
    other = _across_classes(called.taken(calls), truths.taken(objects), n_images, iou)
    of_calls = np.append(truths.classes[objects], n_classes)[other]
    np.add.at(counts, (of_calls, called.classes[calls]), 1)
    missed = np.ones(len(objects), bool)
    missed[other[other >= 0]] = False
    counts[:n_classes, n_classes] += np.bincount(truths.classes[objects[missed]], minlength=n_classes)
    return DetectionConfusion(counts, iou, threshold, int(ignored.sum()))


def _across_classes(calls: Detections, objects: Truths, n_images: int, iou: float) -> Integers:
    """(D,) the object that each call takes whatever the classes, -1 for none; rows as given."""
    order = np.lexsort((-calls.scores, calls.images))
    flat = Detections(calls.images, calls.boxes, calls.scores, np.zeros(len(calls), np.int64)).taken(order)
    ranked = RankedDetections(flat, n_images, 1, max(1, len(calls)))
    # Already ordered by image and score, so that its rows are ours.
    labels = Truths(objects.images, objects.boxes, np.zeros(len(objects), np.int64))
    found = np.full(len(calls), -1, np.int64)
    found[order] = hits_of(ranked, labels, iou=iou)
    return found
