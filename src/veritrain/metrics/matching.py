"""Which detections hit which labelled objects: COCO's greedy matching, once per set, into one flat table.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014, and the benchmark's published evaluation
(cocodataset.org, "Detection evaluation"). Within an image and a class, detections in descending score each take the
labelled object of greatest overlap that no earlier one took, if the overlap reaches the threshold; of equal overlaps
the object given last. Everything else (average precision, rates at a threshold, intervals over groups) is computed from
the table that comes out, without looking at a box again.

**Ties.** Equal scores keep the order in which detections were given, within an image and over images (image 0 first),
as in the reference. That makes the score of a network that says the same for each image depend on the order of the
images; ``metrics.detection`` can count equal scores as one threshold instead.

**Speed.** Only a detection that overlaps an object of its class by the least threshold can be a hit, and it can wait
only for those of its own image and class. So all images and classes advance together: step k decides the k-th such
detection of each at all thresholds at once. There are as many steps as the fullest image has, not as there are boxes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths, box_areas, paired_iou

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

IOU_THRESHOLDS: Floats = np.linspace(0.5, 0.95, 10)
"""COCO's overlaps .50, .55, ..., .95."""
MAX_DETECTIONS = 100
"""Detections of one image *and class* that count, the surest ones (COCO's maxDets)."""
AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""COCO's size classes in squared pixels of the *stored* image, both ends included (``Truths.own_areas``)."""
# Pairs of boxes whose overlap is computed at once.
CHUNK = 1 << 20


@dataclass(frozen=True)
class MatchTable:
    """Every counted detection with what it hit, by class, surest first: all that detection scores need.

    Attributes:
        images, classes: (D,) int64. scores: (D,) float64, descending within a class, ties as told above.
        matched: (D, T) bool, whether it hit an object at each threshold.
        ignored: (D, T) bool, neither hit nor false alarm: it hit what need not be found (a crowd, an ignored object,
            one of another size), or hit nothing and is of another size itself; None: none.
        truths: (N, C) int64 objects of each image and class that should be found.
        thresholds: (T,) overlaps.
    """

    images: Integers
    classes: Integers
    scores: Floats
    matched: Flags
    ignored: Flags | None
    truths: Integers
    thresholds: Floats

    @property
    def n_images(self) -> int:
        """Number of images N, with or without boxes."""
        return len(self.truths)

    @property
    def n_classes(self) -> int:
        """Number of classes C, present or not."""
        return int(self.truths.shape[1])

    def at(self, iou: float) -> int:
        """The column of an overlap threshold. Raises UsageError where it was not matched at."""
        found = np.flatnonzero(np.isclose(self.thresholds, iou, rtol=0, atol=1e-9))
        if not found.size:
            raise UsageError(
                f"nothing was matched at an overlap of {iou}", expected=f"one of {self.thresholds.tolist()}"
            )
        return int(found[0])

    def rows_of(self, cls: int) -> slice:
        """The rows of one class."""
        return slice(*np.searchsorted(self.classes, [cls, cls + 1]).tolist())

    def limited(self, max_detections: int) -> MatchTable:
        """The table that a smaller limit of detections of an image and class would have given.

        Matching goes from the surest detection down, so what is left out changes nothing above it.
        """
        key = self.images * self.n_classes + self.classes
        order = np.argsort(key, kind="stable")
        kept = np.zeros(len(key), bool)
        kept[order] = _rank_within(key[order]) < max_detections
        return replace(
            self,
            images=self.images[kept],
            classes=self.classes[kept],
            scores=self.scores[kept],
            matched=self.matched[kept],
            ignored=None if self.ignored is None else self.ignored[kept],
        )


class RankedDetections:
    """Detections cut and ordered once, to be matched with one set of labels or with many.

    Args:
        detections: in any order.
        n_images, n_classes: N and C; indices must lie below them.
        max_detections: of one image and class, the surest ones.
    """

    def __init__(
        self, detections: Detections, n_images: int, n_classes: int, max_detections: int = MAX_DETECTIONS
    ) -> None:
        _demand_within(detections.images, detections.classes, n_images, n_classes)
        if max_detections < 1:
            raise UsageError("no detection would count", expected="max_detections >= 1", found=str(max_detections))
        order = np.lexsort((-detections.scores, detections.classes, detections.images))
        key = (detections.images * n_classes + detections.classes)[order]
        kept = _rank_within(key) < max_detections
        self.detections, self.key = detections.taken(order[kept]), key[kept]
        """Ordered by image, class and descending score; ``key`` (D,) tells image and class in one number."""
        self.order = np.lexsort((self.detections.images, -self.detections.scores, self.detections.classes))
        """(D,) the rows of a :class:`MatchTable` as indices into ``detections``."""
        self.n_images, self.n_classes = n_images, n_classes


def match_detections(
    detections: Detections,
    truths: Truths,
    n_images: int,
    n_classes: int,
    *,
    thresholds: ArrayLike = IOU_THRESHOLDS,
    max_detections: int = MAX_DETECTIONS,
    area: str = "all",
) -> MatchTable:
    """Match a set of detections with its labels.

    Args:
        detections, truths: boxes in the same unit.
        n_images, n_classes: N and C; an image without any box counts too (its false alarms would).
        thresholds: (T,) ascending overlaps in (0, 1].
        max_detections: of one image and class, the surest ones.
        area: a name of :data:`AREAS`; objects of another size need not be found, and detections that hit one, or that
            hit nothing and are of another size themselves, are ignored.

    Raises:
        UsageError: an index beyond N or C, thresholds out of range or order, an unknown area.
    """
    ranked = RankedDetections(detections, n_images, n_classes, max_detections)
    return match_ranked(ranked, truths, thresholds=thresholds, area=area)


def match_ranked(
    ranked: RankedDetections, truths: Truths, *, thresholds: ArrayLike = IOU_THRESHOLDS, area: str = "all"
) -> MatchTable:
    """As :func:`match_detections`, for detections that were ordered before."""
    overlaps = _checked_thresholds(thresholds)
    if area not in AREAS:
        raise UsageError(f"no size class '{area}'", expected=f"one of {sorted(AREAS)}", found=area)
    _demand_within(truths.images, truths.classes, ranked.n_images, ranked.n_classes)
    low, high = AREAS[area]
    sizes = truths.own_areas
    apart = truths.need_not_be_found | (sizes < low) | (sizes > high)
    hit = _greedy(ranked, truths, overlaps, apart)
    matched = hit >= 0
    ignored = None
    if area != "all" or apart.any():
        own = box_areas(ranked.detections.boxes)
        # Row -1, of what hit nothing, is the one appended.
        on_apart = np.append(apart, False)[hit]
        ignored = (on_apart | (~matched & ((own < low) | (own > high))[:, None]))[ranked.order]
    counts = np.zeros((ranked.n_images, ranked.n_classes), np.int64)
    np.add.at(counts, (truths.images[~apart], truths.classes[~apart]), 1)
    rows, found = ranked.order, ranked.detections
    return MatchTable(
        found.images[rows], found.classes[rows], found.scores[rows], matched[rows], ignored, counts, overlaps
    )


def hits_of(ranked: RankedDetections, truths: Truths, *, iou: float = 0.5) -> Integers:
    """(D,) the object that each of ``ranked.detections`` takes at one overlap, -1 for none: the table's matching."""
    _demand_within(truths.images, truths.classes, ranked.n_images, ranked.n_classes)
    return _greedy(ranked, truths, _checked_thresholds(iou), truths.need_not_be_found)[:, 0]


def _greedy(ranked: RankedDetections, truths: Truths, thresholds: Floats, apart: Flags) -> Integers:
    """(D, T) the object that each detection takes, -1 for none; rows as in ``ranked.detections``.

    ``apart`` (M,) are objects that need not be found: taken only where no other one is left, and crowds not used up.
    """
    hit = np.full((len(ranked.detections), thresholds.size), -1, np.int64)
    free = np.ones((len(truths), thresholds.size), bool)
    crowds = np.zeros(len(truths), bool) if truths.crowds is None else truths.crowds
    for owner, truth, iou in _steps(ranked, truths, float(thresholds[0])):
        starts = np.flatnonzero(np.concatenate(([True], owner[1:] != owner[:-1])))
        open_to = free[truth] & (iou[:, None] >= thresholds)
        regular = open_to & ~apart[truth][:, None]
        chosen = _best(iou, regular, starts)
        if apart.any():
            # An object that should be found comes first, whatever the overlap with another one.
            chosen = np.where(chosen < 0, _best(iou, open_to & ~regular, starts), chosen)
        taken, column = np.nonzero(chosen >= 0)
        objects = truth[chosen[taken, column]]
        hit[owner[starts][taken], column] = objects
        free[objects, column] = crowds[objects]
    return hit


def _best(iou: Floats, allowed: Flags, starts: Integers) -> Integers:
    """(d, T) the pair of greatest overlap of each detection, the last of equal ones; -1 without an allowed one."""
    values = np.where(allowed, iou[:, None], -1.0)
    lengths = np.diff(np.append(starts, iou.size))
    greatest = np.repeat(np.maximum.reduceat(values, starts, axis=0), lengths, axis=0)
    place = np.where(allowed & (values == greatest), np.arange(iou.size)[:, None], -1)
    return np.asarray(np.maximum.reduceat(place, starts, axis=0))


def _steps(ranked: RankedDetections, truths: Truths, least: float) -> Iterator[tuple[Integers, Integers, Floats]]:
    """Step k: the pairs (detection, object, overlap) of the k-th detection of every image and class that has one.

    Pairs of one detection stand together, its objects in the order given.
    """
    owner, truth, iou = _overlapping(ranked, truths, least)
    if not owner.size:
        return
    candidates, place = np.unique(owner, return_inverse=True)
    turn = _rank_within(ranked.key[candidates])[place]
    order = np.argsort(turn, kind="stable")
    owner, truth, iou, turn = owner[order], truth[order], iou[order], turn[order]
    ends = np.searchsorted(turn, np.arange(int(turn[-1]) + 2))
    for start, stop in itertools.pairwise(ends.tolist()):
        yield owner[start:stop], truth[start:stop], iou[start:stop]


def _overlapping(ranked: RankedDetections, truths: Truths, least: float) -> tuple[Integers, Integers, Floats]:
    """All pairs of one image and class that overlap by ``least``: detection (ascending), object, overlap."""
    boxes, crowds = ranked.detections.boxes, truths.crowds
    kept: list[tuple[Integers, Integers, Floats]] = []
    for own, other in pairs_within(ranked, truths):
        iou = paired_iou(boxes[own], truths.boxes[other], crowds=None if crowds is None else crowds[other])
        near = iou >= least
        kept.append((own[near], other[near], iou[near]))
    if not kept:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0)
    owners, others, overlaps = zip(*kept, strict=True)
    return np.concatenate(owners), np.concatenate(others), np.concatenate(overlaps)


def pairs_within(ranked: RankedDetections, truths: Truths) -> Iterator[tuple[Integers, Integers]]:
    """All pairs of a detection and an object of its image and class, whole detections at a time, about
    :data:`CHUNK` pairs a block: row of ``ranked.detections`` (ascending), object (in the order given)."""
    truth_key = truths.images * ranked.n_classes + truths.classes
    by_key = np.argsort(truth_key, kind="stable")
    ordered = truth_key[by_key]
    first = np.searchsorted(ordered, ranked.key, "left")
    count = np.searchsorted(ordered, ranked.key, "right") - first
    ends = np.cumsum(count)
    start = 0
    while start < count.size:
        base = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, base + CHUNK, "right")))
        own = np.repeat(np.arange(start, stop), count[start:stop])
        within = np.arange(own.size) - np.repeat(ends[start:stop] - count[start:stop] - base, count[start:stop])
        yield own, by_key[first[own] + within]
        start = stop


def _rank_within(key: Integers) -> Integers:
    """0-based place of each element among those of its key; ``key`` is sorted."""
    if not key.size:
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    return np.asarray(np.arange(key.size) - np.repeat(starts, np.diff(np.append(starts, key.size))))


def _checked_thresholds(thresholds: ArrayLike) -> Floats:
    values = np.atleast_1d(np.asarray(thresholds, np.float64))
    if values.ndim != 1 or not values.size or values[0] <= 0 or values[-1] > 1 or (np.diff(values) <= 0).any():
        raise UsageError("not overlaps", expected="ascending numbers in (0, 1]", found=f"{values.tolist()}")
    return values


def _demand_within(images: Integers, classes: Integers, n_images: int, n_classes: int) -> None:
    for name, values, limit in (("image", images, n_images), ("class", classes, n_classes)):
        if values.size and int(values.max()) >= limit:
            raise UsageError(
                f"a box belongs to {name} {int(values.max())}",
                expected=f"{name} numbers below {limit}",
                found=str(int(values.max())),
            )
