"""PASCAL VOC's average precision: its matching, its 11 points of 2007 and its area under the envelope from 2010 on.

Source: Everingham et al., "The PASCAL Visual Object Classes (VOC) Challenge", IJCV 88, 2010, section 4.2, and the
development kit's documentation (host.robots.ox.ac.uk/pascal/VOC). It differs from COCO's in three ways:

1. A detection is compared with the object of its image and class that it overlaps *most*, taken or not. If that overlap
   is enough and the object is free it is a hit; if the object is taken it is a false alarm, even where another object
   would have been reached. COCO's goes on to the next free one (``metrics.matching``).
2. Precision is read at 11 recalls (2007: :func:`eleven_point`), or all of its steps are summed (2010:
   :func:`area_under_envelope`). The two differ by a few points, and neither is COCO's 101 recalls: say which.
3. Corners are the first and the last pixel, so that a side is ``x2 - x1 + 1``: ``inclusive=True``. Boxes in continuous
   coordinates, as ``data.dior_xml`` makes them (``xmin - 1`` to ``xmax``), hold that pixel already: ``inclusive=False``
   is then the *same* number, and ``inclusive=True`` would count the pixel twice.

Detections are not limited per image; objects marked difficult (``Truths.ignored``) count neither way.
"""

from __future__ import annotations

import numpy as np

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths, paired_iou
from veritrain.metrics.detection import monotone_precision, recall_of
from veritrain.metrics.matching import Floats, Integers, MatchTable, RankedDetections, pairs_within

ELEVEN = np.arange(11)
"""Tenths of recall: 0, 1, ..., 10."""


def match_voc(
    detections: Detections,
    truths: Truths,
    n_images: int,
    n_classes: int,
    *,
    iou: float = 0.5,
    inclusive: bool = False,
) -> MatchTable:
    """Match by VOC's rule, at one overlap.

    Args:
        detections, truths: boxes in the same unit; pixels where ``inclusive``.
        n_images, n_classes: N and C.
        iou: least overlap of a hit, itself enough (the kit's ``>=``).
        inclusive: add 1 to every side, VOC's convention for corners that are pixels.

    Raises:
        UsageError: an index beyond N or C, an overlap outside (0, 1].
    """
    if not 0 < iou <= 1:
        raise UsageError("no overlap", expected="above 0 and at most 1", found=str(iou))
    # Equal scores stand in the order of the images, as in a stable sort of the kit's file of detections.
    ranked = RankedDetections(detections, n_images, n_classes, max(1, len(detections)))
    found, order = ranked.detections, ranked.order
    far = np.array([0.0, 0.0, 1.0, 1.0]) if inclusive else np.zeros(4)
    nearest, overlap = _nearest(ranked, truths, far)
    reached = overlap >= iou
    ignored = np.append(truths.need_not_be_found, False)[nearest] & reached
    matched = np.zeros(len(found), bool)
    candidates = order[(reached & ~ignored)[order]]
    # The surest detection that points at an object takes it.
    matched[candidates[np.unique(nearest[candidates], return_index=True)[1]]] = True
    counts = np.zeros((n_images, n_classes), np.int64)
    wanted = ~truths.need_not_be_found
    np.add.at(counts, (truths.images[wanted], truths.classes[wanted]), 1)
    return MatchTable(
        found.images[order],
        found.classes[order],
        found.scores[order],
        matched[order, None],
        ignored[order, None] if ignored.any() else None,
        counts,
        np.array([iou]),
    )


def eleven_point(hits: Floats, seen: Floats, objects: Floats) -> Floats:
    """VOC 2007: the mean over recalls 0, .1, ..., 1 of the greatest precision at any recall that reaches them.

    As :func:`~veritrain.metrics.detection.interpolated_precision`. A recall of 3 objects in 10 reaches .3, exactly;
    code that compares with ``arange(0, 1.1, .1)`` finds .3, .6 and .7 out of reach by 1e-16 and reads the next level.
    """
    objects = np.asarray(objects, np.float64)
    if not len(hits):
        return np.where(objects > 0, 0.0, np.nan)
    reached = np.floor(10 * hits / np.maximum(objects, 1e-300) + 1e-9).astype(np.int64) + 1
    reached[hits == 0] = 0
    gained = np.diff(np.minimum(reached, ELEVEN.size), axis=0, prepend=0)
    total = np.einsum("uk,uk->k", gained, monotone_precision(hits, seen))
    return np.where(objects > 0, total / ELEVEN.size, np.nan)


def area_under_envelope(hits: Floats, seen: Floats, objects: Floats) -> Floats:
    """VOC 2010 and later: the sum over levels of the recall gained times the greatest precision from there on."""
    objects = np.asarray(objects, np.float64)
    if not len(hits):
        return np.where(objects > 0, 0.0, np.nan)
    gained = np.diff(recall_of(hits, objects), axis=0, prepend=0)
    total = np.einsum("uk,uk->k", gained, monotone_precision(hits, seen))
    return np.where(objects > 0, total, np.nan)


def _nearest(ranked: RankedDetections, truths: Truths, far: Floats) -> tuple[Integers, Floats]:
    """(D,) the object of its image and class that each detection overlaps most (the first of equal ones), and by how
    much; -1 and 0 where it touches none."""
    size = len(ranked.detections)
    nearest, overlap = np.full(size, -1, np.int64), np.zeros(size)
    for own, other in pairs_within(ranked, truths):
        iou = paired_iou(ranked.detections.boxes[own] + far, truths.boxes[other] + far)
        order = np.lexsort((-iou, own))
        first = order[np.flatnonzero(np.diff(own[order], prepend=-1))]
        nearest[own[first]] = np.where(iou[first] > 0, other[first], -1)
        overlap[own[first]] = iou[first]
    return nearest, overlap
