"""Average precision of detections from a match table, plain or with every group counted as often as a bootstrap says.

Source: COCO's published evaluation (cocodataset.org, "Detection evaluation"): per class and overlap, precision made
monotone and read at 101 recalls; the mean over overlaps .50:.05:.95; the mean over classes. Equal to pycocotools but
for its 2e-16 in the denominator (perfect detections score exactly 1 here), and for what is undefined: a class without a
labelled object has no score (None, NaN in arrays) and counts in no mean.

Precision and recall change their story only where an object is hit. So a class is reduced once to its *levels*, the
rows with a hit, and to how many detections of each group lie on or above each level; scoring it again under other
weights is a sparse product and a running sum, without sorting and without matching.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse

from veritrain.errors import UsageError
from veritrain.metrics.matching import Floats, Integers, MatchTable

RECALLS: Floats = np.linspace(0.0, 1.0, 101)
"""COCO's recalls 0, .01, ..., 1."""
Ties = Literal["order", "together"]
Rule = Callable[[Floats, Floats, Floats], Floats]
"""What makes one number of a curve: as :func:`interpolated_precision`, or one of ``metrics.voc``."""
# Weightings whose average precisions are kept: one bootstrap asks for three (as it is, resampled, one group left out).
KEPT = 6
# Elements of the (levels x weightings) block held at once: 16 MiB of float64.
BLOCK = 1 << 21


@dataclass(frozen=True)
class DetectionScores:
    """COCO's numbers of one set, 0..1; ``None`` where no labelled object leaves them undefined.

    Attributes:
        map: mean average precision over the table's overlaps (COCO's .50:.95) and over classes with an object.
        map_50, map_75: at one overlap; None also where the table was not matched at it.
        per_class: (C,) the mean over overlaps of each class. per_class_50: at 0.5.
        n_images, n_truths, n_detections: what stands behind them.
    """

    map: float | None
    map_50: float | None
    map_75: float | None
    per_class: tuple[float | None, ...]
    per_class_50: tuple[float | None, ...]
    n_images: int
    n_truths: int
    n_detections: int


class GroupedDetections:
    """A match table that can be scored again under group multiplicities (for the bootstrap).

    Args:
        table: from ``metrics.matching``.
        groups: (N,) 0-based group of each image; None: one group.
        n_groups: G, when groups without an image may exist.
        ties: "order": equal scores count one after the other, as in the reference. "together": equal scores are one
            threshold, so that the order of images does not matter: for anything that gives many images the same score.
        rule: what makes one number of a curve; COCO's 101 recalls.

    Attributes:
        truths: (G, C) objects. thresholds: (T,) overlaps of the table.
    """

    def __init__(
        self,
        table: MatchTable,
        groups: ArrayLike | None = None,
        n_groups: int | None = None,
        *,
        ties: Ties = "order",
        rule: Rule | None = None,
    ) -> None:
        of = np.zeros(table.n_images, np.int64) if groups is None else np.asarray(groups, np.int64)
        if of.shape != (table.n_images,):
            raise UsageError("groups do not fit the images", expected=f"({table.n_images},)", found=f"{of.shape}")
        if ties not in ("order", "together"):
            raise UsageError("ties are counted in order or together", expected="order, together", found=str(ties))
        self.table, self.groups, self.ties = table, of, ties
        self._rule: Rule = interpolated_precision if rule is None else rule
        self.n_groups = int(of.max(initial=-1)) + 1 if n_groups is None else n_groups
        self.thresholds = table.thresholds
        self.truths = np.zeros((self.n_groups, table.n_classes), np.int64)
        np.add.at(self.truths, of, table.truths)
        self._levels: dict[int, list[_Levels]] = {}
        self._found: dict[bytes, Floats] = {}

    def average_precision(self, weights: ArrayLike, ious: Sequence[float] | None = None) -> Floats:
        """(K, G) multiplicities -> (K, C) average precision of each class, the mean over ``ious``; NaN: no object.

        Args:
            weights: group g counts ``weights[k, g]`` times; ones give the plain scores.
            ious: overlaps to average over; None: all of the table.
        """
        table = checked_weights(weights, self.n_groups)
        key = repr(table.shape).encode() + table.tobytes()
        if key not in self._found:
            while len(self._found) >= KEPT:
                self._found.pop(next(iter(self._found)))
            columns = np.ascontiguousarray(table.T)
            self._found[key] = np.stack([self._of_class(c, columns) for c in range(self.table.n_classes)], axis=2)
        overlaps = range(self.thresholds.size) if ious is None else [self.table.at(iou) for iou in ious]
        chosen = self._found[key][list(overlaps)]
        return np.asarray(chosen.sum(axis=0) / len(chosen))

    def mean_average_precision(self, weights: ArrayLike, ious: Sequence[float] | None = None) -> Floats:
        """(K, G) multiplicities -> (K,): the mean over classes that have an object under these weights."""
        return mean_of_defined(self.average_precision(weights, ious))

    def precision_at_recalls(self, weights: ArrayLike, cls: int, iou: float) -> Floats:
        """(K, G) multiplicities -> (K, 101) COCO's monotone precision of one class at recalls 0, .01, ..., 1; 0 where a
        recall is never reached, NaN without an object."""
        columns = checked_weights(weights, self.n_groups).T
        objects = self.truths[:, cls] @ columns
        curves = self._levels_at(cls)[self.table.at(iou)].under(columns, objects, _precision_at_recalls)
        return np.asarray(np.where(objects[:, None] > 0, curves, np.nan))

    def _of_class(self, cls: int, weights: Floats) -> Floats:
        """(G, K) weights -> (T, K) average precision of one class at each overlap."""
        objects = self.truths[:, cls] @ weights
        return np.stack([one.under(weights, objects, self._rule) for one in self._levels_at(cls)])

    def _levels_at(self, cls: int) -> list[_Levels]:
        if cls not in self._levels:
            self._levels[cls] = _levels_of(self.table, self.groups, self.n_groups, cls, self.ties)
        return self._levels[cls]


@dataclass(frozen=True)
class _Levels:
    """One class at one overlap: hits and counted detections of each group from one level to the next, (U, G) sparse."""

    hits: sparse.csr_array
    seen: sparse.csr_array

    def under(self, weights: Floats, objects: Floats, rule: Rule) -> Floats:
        """(G, K) weights and (K,) objects -> (K, ...) what the rule makes of the running counts."""
        step = max(1, BLOCK // max(1, self.hits.shape[0]))
        parts = []
        for start in range(0, weights.shape[1], step):
            own = weights[:, start : start + step]
            hits, seen = (np.cumsum(counts @ own, axis=0) for counts in (self.hits, self.seen))
            parts.append(rule(hits, seen, objects[start : start + step]))
        return np.concatenate(parts)


def interpolated_precision(hits: Floats, seen: Floats, objects: Floats) -> Floats:
    """COCO's average precision from running counts.

    Args:
        hits: (U, K) objects hit on or above each level, surest level first.
        seen: (U, K) detections counted on or above each level.
        objects: (K,) objects to be found.

    Returns:
        (K,) the mean over 101 recalls r of the greatest precision at any level with recall >= r (0 where r is never
        reached); NaN without an object.
    """
    objects = np.asarray(objects, np.float64)
    undefined = np.full(objects.shape, np.nan)
    if not len(hits):
        return np.where(objects > 0, 0.0, undefined)
    gained = np.diff(_reached(hits, objects), axis=0, prepend=0)
    total = np.einsum("uk,uk->k", gained, monotone_precision(hits, seen))
    return np.where(objects > 0, total / RECALLS.size, undefined)


def monotone_precision(hits: Floats, seen: Floats) -> Floats:
    """(U, K) running counts -> (U, K) the greatest precision at this level or any later one."""
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return np.asarray(np.maximum.accumulate(precision[::-1], axis=0)[::-1])


def recall_of(hits: Floats, objects: Floats) -> Floats:
    """(U, K) running hits of (K,) objects -> (U, K) recall; 0 without an object."""
    return np.divide(hits, objects, out=np.zeros_like(hits), where=objects > 0)


def _reached(hits: Floats, objects: Floats) -> Integers:
    """(U, K) how many of the 101 recalls each level reaches."""
    reached = recalls_reached(recall_of(hits, objects))
    # Recall 0 is reached by the first detection; below the first hit its precision is that of the best level anyway.
    reached[hits == 0] = 0
    return reached


def _precision_at_recalls(hits: Floats, seen: Floats, objects: Floats) -> Floats:
    """Running counts -> (K, 101) monotone precision at each recall, 0 where it is never reached."""
    if not len(hits):
        return np.zeros((objects.size, RECALLS.size))
    reached, best = _reached(hits, objects), monotone_precision(hits, seen)
    places = np.arange(RECALLS.size)
    curves = np.zeros((objects.size, RECALLS.size))
    for k in range(objects.size):
        level = np.searchsorted(reached[:, k], places, side="right")
        known = level < len(best)
        curves[k, known] = best[level[known], k]
    return curves


def checked_weights(weights: ArrayLike, n_groups: int) -> Floats:
    """(K, G) multiplicities as numbers. Raises UsageError for those of other groups."""
    table = np.atleast_2d(np.asarray(weights, np.float64))
    if table.ndim != 2 or table.shape[1] != n_groups:
        raise UsageError("weights have the wrong shape", expected=f"(K, {n_groups})", found=f"{table.shape}")
    return table


def recalls_reached(recall: Floats) -> Integers:
    """How many of the 101 recalls lie at or below each value of 0..1: what a search finds, in half its time."""
    # The product is off by one place at most: one comparison at the place found and one at the next put it right.
    place = (recall * 100).astype(np.int64)
    following = np.minimum(place + 1, 100)
    return place + (RECALLS[place] <= recall) + ((place < 100) & (RECALLS[following] <= recall))


def detection_scores(table: MatchTable, *, ties: Ties = "order") -> DetectionScores:
    """COCO's numbers of a matched set."""
    grouped = GroupedDetections(table, ties=ties)
    ones = np.ones((1, grouped.n_groups))

    def per_class(ious: Sequence[float] | None) -> Floats:
        return grouped.average_precision(ones, ious)[0]

    single = {iou: per_class([iou]) for iou in (0.5, 0.75) if np.isclose(table.thresholds, iou).any()}
    every = per_class(None)
    nothing = np.full(table.n_classes, np.nan)
    return DetectionScores(
        map=none_if_nan(mean_of_defined(every[None])[0]),
        map_50=none_if_nan(mean_of_defined(single.get(0.5, nothing)[None])[0]),
        map_75=none_if_nan(mean_of_defined(single.get(0.75, nothing)[None])[0]),
        per_class=tuple(none_if_nan(value) for value in every),
        per_class_50=tuple(none_if_nan(value) for value in single.get(0.5, nothing)),
        n_images=table.n_images,
        n_truths=int(table.truths.sum()),
        n_detections=len(table.scores),
    )


def mean_of_defined(values: Floats) -> Floats:
    """(..., C) -> (...,) the mean of what is not NaN; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=-1)
    total = np.where(known, values, 0.0).sum(axis=-1)
    return np.divide(total, count, out=np.full(np.shape(total), np.nan), where=count > 0)


def none_if_nan(value: float) -> float | None:
    """A number for a record: None where it is undefined."""
    return None if np.isnan(value) else float(value)


def _levels_of(table: MatchTable, groups: Integers, n_groups: int, cls: int, ties: Ties) -> list[_Levels]:
    """The levels of one class at each overlap. What lies below the last hit moves nothing and is left out."""
    rows = table.rows_of(cls)
    matched, owner = table.matched[rows], groups[table.images[rows]]
    ignored = None if table.ignored is None else table.ignored[rows]
    hit = matched if ignored is None else matched & ~ignored
    ends = _ends(table.scores[rows], ties)
    found = []
    for t in range(table.thresholds.size):
        levels = np.unique(ends[hit[:, t]])
        last = int(levels[-1]) + 1 if levels.size else 0
        seen = np.arange(last) if ignored is None else np.flatnonzero(~ignored[:last, t])
        parts = (
            sparse.csr_array(
                (np.ones(chosen.size), (np.searchsorted(levels, ends[chosen]), owner[chosen])),
                shape=(levels.size, n_groups),
            )
            for chosen in (np.flatnonzero(hit[:, t]), seen)
        )
        found.append(_Levels(*parts))
    return found


def _ends(scores: Floats, ties: Ties) -> Integers:
    """(D,) the row at which each row's threshold ends: itself, or the last of equal scores."""
    rows = np.arange(scores.size)
    if ties == "order" or not scores.size:
        return rows
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    return np.asarray(last[np.searchsorted(last, rows)])
