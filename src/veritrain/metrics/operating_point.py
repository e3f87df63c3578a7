"""Detections at one score threshold: precision, recall and F1 of each class, the threshold with the best mean F1.

A detection is called when its score is at least the threshold. Matching goes from the surest detection down, so leaving
out what lies below a threshold changes nothing above it, and one match table answers for every threshold.

Choose the threshold on validation and apply it to test: the best F1 *of the test set* is an optimistic number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.detection import mean_of_defined, none_if_nan
from veritrain.metrics.matching import Floats, Integers, MatchTable
from veritrain.metrics.ranking import thinned

IOU = 0.5


class RateArrays(NamedTuple):
    """(K, C) rates of K weightings, 0..1, all NaN for a class without an object, ``precision`` also without a call."""

    precision: Floats
    recall: Floats
    f1: Floats

    def macro(self) -> RateArrays:
        """(K,) each: the mean over the classes where the rate is defined."""
        return RateArrays(*(mean_of_defined(rate) for rate in self))


@dataclass(frozen=True)
class ThresholdCounts:
    """Per group and class, (G, C) int64: objects hit, detections called, objects there."""

    hits: Integers
    called: Integers
    truths: Integers

    def under(self, weights: ArrayLike) -> RateArrays:
        """(K, G) multiplicities -> the three rates of each class.

        Precision is hits / called, recall hits / objects, F1 2 hits / (called + objects): a class with objects of which
        none is called has precision None, recall 0 and F1 0.
        """
        table = np.atleast_2d(np.asarray(weights, np.float64))
        hits, called, truths = (table @ counts for counts in (self.hits, self.called, self.truths))
        there = truths > 0
        return RateArrays(
            _ratio(hits, called, there & (called > 0)),
            _ratio(hits, truths, there),
            _ratio(2 * hits, called + truths, there),
        )

    def rates(self) -> RateArrays:
        """(1, C) each: the data as they are."""
        return self.under(np.ones((1, len(self.hits))))


@dataclass(frozen=True)
class ChosenScore:
    """A score threshold for detections, and what it reached where it was chosen.

    Attributes:
        threshold: a score that occurs among the hits.
        mean_f1: over the classes with an object, at ``iou``. per_class: (C,) F1, None without an object.
    """

    threshold: float
    mean_f1: float
    per_class: tuple[float | None, ...]
    iou: float


@dataclass(frozen=True)
class F1Curve:
    """F1 over ``thresholds`` (L,), highest first: ``per_class`` (C, L), NaN without an object, and ``mean`` (L,)."""

    thresholds: Floats
    per_class: Floats
    mean: Floats


def counts_at(
    table: MatchTable,
    threshold: float,
    groups: ArrayLike | None = None,
    n_groups: int | None = None,
    *,
    iou: float = IOU,
) -> ThresholdCounts:
    """Count what a threshold calls, by group.

    Args:
        table: from ``metrics.matching``.
        threshold: a finite score; a detection with at least this score is called.
        groups: (N,) 0-based group of each image; None: one group. n_groups: G.
        iou: the overlap that makes a hit; one of the table's.

    Raises:
        UsageError: a threshold that is NaN, groups that do not fit.
    """
    if np.isnan(threshold):
        raise UsageError("the threshold is NaN", fix="choose it with best_f1_score on validation")
    of = np.zeros(table.n_images, np.int64) if groups is None else np.asarray(groups, np.int64)
    if of.shape != (table.n_images,):
        raise UsageError("groups do not fit the images", expected=f"({table.n_images},)", found=f"{of.shape}")
    size = int(of.max(initial=-1)) + 1 if n_groups is None else n_groups
    hit, counted = _flags(table, iou)
    called = counted & (table.scores >= threshold)

    def per_group(chosen: NDArray[np.bool_]) -> Integers:
        at = of[table.images[chosen]] * table.n_classes + table.classes[chosen]
        return np.bincount(at, minlength=size * table.n_classes).reshape(size, table.n_classes)

    truths = np.zeros((size, table.n_classes), np.int64)
    np.add.at(truths, of, table.truths)
    return ThresholdCounts(per_group(called & hit), per_group(called), truths)


def best_f1_score(table: MatchTable, *, iou: float = IOU) -> ChosenScore | None:
    """The threshold with the greatest mean F1 over classes, to be chosen on validation; None if nothing is hit.

    Only scores of hits are candidates: between two of them every class's F1 can only fall as the threshold falls. Among
    equal F1 the highest threshold, with the fewest false alarms, is taken.
    """
    curve = f1_curve(table, iou=iou, limit=None)
    if curve is None:
        return None
    best = int(np.argmax(curve.mean))
    each = tuple(none_if_nan(value) for value in curve.per_class[:, best])
    return ChosenScore(float(curve.thresholds[best]), float(curve.mean[best]), each, iou)


def f1_curve(table: MatchTable, *, iou: float = IOU, limit: int | None = 512) -> F1Curve | None:
    """F1 of each class and their mean at every score of a hit, thinned evenly to ``limit``; None if nothing is hit."""
    hit, counted = _flags(table, iou)
    levels = np.unique(table.scores[hit])[::-1]
    if not levels.size:
        return None
    if limit is not None:
        levels = levels[thinned(levels.size, limit)]
    each = np.full((table.n_classes, levels.size), np.nan)
    for cls, objects in enumerate(table.truths.sum(axis=0).tolist()):
        rows = table.rows_of(cls)
        if objects:
            hits = _at_least(table.scores[rows][hit[rows]], levels)
            called = _at_least(table.scores[rows][counted[rows]], levels)
            each[cls] = 2 * hits / (called + objects)
    return F1Curve(levels, each, mean_of_defined(each.T))


def pr_curve(table: MatchTable, cls: int, *, iou: float = IOU, limit: int = 512) -> tuple[Floats, Floats] | None:
    """One class's precision-recall steps for a figure: ``(recall, precision)``, each (<= limit,), recall ascending.

    A point for each score of a hit, as it is: neither made monotone nor read at 101 recalls, and no point (0, 1) is
    invented. None without an object; two empty arrays when none is hit.
    """
    hit, counted = _flags(table, iou)
    rows = table.rows_of(cls)
    objects = int(table.truths[:, cls].sum())
    if not objects:
        return None
    scores = table.scores[rows]
    levels = np.unique(scores[hit[rows]])[::-1]
    if not levels.size:
        return np.zeros(0), np.zeros(0)
    hits, called = _at_least(scores[hit[rows]], levels), _at_least(scores[counted[rows]], levels)
    keep = thinned(levels.size, limit)
    return (hits / objects)[keep], (hits / called)[keep]


def _flags(table: MatchTable, iou: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(D,) hit, and counted at all, at one overlap."""
    column = table.at(iou)
    counted = np.ones(len(table.scores), bool) if table.ignored is None else ~table.ignored[:, column]
    return table.matched[:, column] & counted, counted


def _at_least(descending: Floats, levels: Floats) -> Integers:
    return descending.size - np.searchsorted(descending[::-1], levels, "left")


def _ratio(top: Floats, bottom: Floats, defined: NDArray[np.bool_]) -> Floats:
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=defined)
