"""Recall of the surest detections: COCO's average recall, and the Recall@100 of the zero-shot detection literature.

Two limits are in use, and they are not the same:

- COCO (cocodataset.org, "Detection evaluation"): average recall at k keeps the k surest of each image **and class**,
  and is the mean over overlaps .50:.05:.95 and over classes with an object (``mar_1``, ``mar_10``, ``mar_100``).
- Bansal et al., "Zero-Shot Object Detection", ECCV 2018, and what followed it: Recall@100 keeps the 100
  surest of each image **over all classes of the vocabulary** and counts objects found at an overlap of 0.5:
  ``recall_100``, here the mean over classes (as mAP is), and ``recall_100_pooled``, the share of all objects. Cut with
  :func:`surest_of_images` before matching.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections
from veritrain.metrics.detection import checked_weights
from veritrain.metrics.matching import Floats, MatchTable


class GroupedRecall:
    """Objects found of each class and overlap, by group, to be counted again under group multiplicities.

    Args:
        table: from ``metrics.matching``; its limit of detections is that of the recall (``MatchTable.limited``).
        groups: (N,) 0-based group of each image; None: one group. n_groups: G.
    """

    def __init__(self, table: MatchTable, groups: ArrayLike | None = None, n_groups: int | None = None) -> None:
        of = np.zeros(table.n_images, np.int64) if groups is None else np.asarray(groups, np.int64)
        if of.shape != (table.n_images,):
            raise UsageError("groups do not fit the images", expected=f"({table.n_images},)", found=f"{of.shape}")
        self.table = table
        self.n_groups = int(of.max(initial=-1)) + 1 if n_groups is None else n_groups
        self.truths = np.zeros((self.n_groups, table.n_classes), np.int64)
        np.add.at(self.truths, of, table.truths)
        self.hits = np.zeros((table.thresholds.size, self.n_groups, table.n_classes), np.int64)
        counted = table.matched if table.ignored is None else table.matched & ~table.ignored
        row, column = np.nonzero(counted)
        np.add.at(self.hits, (column, of[table.images[row]], table.classes[row]), 1)

    def recall(self, weights: ArrayLike, ious: Sequence[float] | None = None) -> Floats:
        """(K, G) multiplicities -> (K, C) recall of each class, the mean over ``ious`` (None: all); NaN: no object."""
        hits, objects = self._counts(weights, ious)
        return np.divide(hits, objects, out=np.full(objects.shape, np.nan), where=objects > 0)

    def pooled(self, weights: ArrayLike, classes: Sequence[int], ious: Sequence[float] | None = None) -> Floats:
        """(K, G) multiplicities -> (K,) the share of all objects of ``classes`` that is found; NaN without one."""
        hits, objects = (counts[:, list(classes)].sum(axis=1) for counts in self._counts(weights, ious))
        return np.divide(hits, objects, out=np.full(objects.shape, np.nan), where=objects > 0)

    def _counts(self, weights: ArrayLike, ious: Sequence[float] | None) -> tuple[Floats, Floats]:
        """(K, C) objects found, the mean over overlaps, and objects."""
        table = checked_weights(weights, self.n_groups)
        columns = list(range(self.table.thresholds.size)) if ious is None else [self.table.at(iou) for iou in ious]
        return table @ self.hits[columns].mean(axis=0), table @ self.truths


def surest_of_images(detections: Detections, most: int) -> Detections:
    """The ``most`` surest detections of each image over all classes; of equal scores the one given first.

    Raises:
        UsageError: ``most`` below 1.
    """
    if most < 1:
        raise UsageError("no detection would count", expected="1 or more of each image", found=str(most))
    order = np.lexsort((-detections.scores, detections.images))
    images = detections.images[order]
    first = np.searchsorted(images, images, "left")
    return detections.taken(order[np.arange(images.size) - first < most])
