"""Scores of exclusive classes from confusion counts, each with what chance and the most frequent class give.

All of them come from one (V, V) table of counts, and tables of groups add up: a bootstrap over groups weighs tables, a
permutation test sums tables of pairs. A label of -1 is unknown; such samples count nowhere, and how many there are is
told. Means over classes run over the classes that occur in the labels: a class nobody has is neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from veritrain.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
UNKNOWN = -1


class ClassArrays(NamedTuple):
    """Scores of K confusion tables, each (K,) float64 in [0, 1], NaN without a known label."""

    accuracy: Floats
    macro_f1: Floats
    balanced_accuracy: Floats


@dataclass(frozen=True)
class ClassScores:
    """The scores of one labelled set; ``None`` where undefined.

    Attributes:
        accuracy: share of known samples that are right.
        macro_f1: mean over the occurring classes of 2 TP / (2 TP + FP + FN).
        balanced_accuracy: mean over the occurring classes of the recall.
        per_class_f1, per_class_recall, per_class_precision: (V,); precision is None also where nothing is called.
        confusion: (V, V) counts, rows the labels, columns the predictions.
        n: samples with a known label. unknown: samples without.
    """

    accuracy: float | None
    macro_f1: float | None
    balanced_accuracy: float | None
    per_class_f1: tuple[float | None, ...]
    per_class_recall: tuple[float | None, ...]
    per_class_precision: tuple[float | None, ...]
    confusion: tuple[tuple[int, ...], ...]
    n: int
    unknown: int


def class_scores(labels: ArrayLike, predicted: ArrayLike, n_classes: int) -> ClassScores:
    """Scores of predicted classes.

    Args:
        labels: (N,) 0..V-1, or -1 unknown. predicted: (N,) 0..V-1. n_classes: V.

    Raises:
        UsageError: shapes differ, or a class does not exist.
    """
    truth = np.asarray(labels)
    table = confusion_of_groups(truth, predicted, np.zeros(truth.shape, np.int64), 1, n_classes)[0]
    arrays = scores_of_confusions(table[None])
    right, there, called = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    known = int(table.sum())
    plain = [None if np.isnan(value[0]) else float(value[0]) for value in arrays]

    def rates(top: Integers, bottom: Integers) -> tuple[float | None, ...]:
        defined = (there > 0) & (bottom > 0)
        return tuple(float(t / b) if d else None for t, b, d in zip(top, bottom, defined, strict=True))

    return ClassScores(
        accuracy=plain[0],
        macro_f1=plain[1],
        balanced_accuracy=plain[2],
        per_class_f1=rates(2 * right, there + called),
        per_class_recall=rates(right, there),
        per_class_precision=rates(right, called),
        confusion=tuple(tuple(row) for row in table.tolist()),
        n=known,
        unknown=truth.size - known,
    )


def confusion_of_groups(
    labels: ArrayLike, predicted: ArrayLike, groups: ArrayLike, n_groups: int, n_classes: int
) -> Integers:
    """(G, V, V) confusion counts of each group, rows the labels, unknown labels left out.

    Args:
        labels, predicted: (N,) as :func:`class_scores`. groups: (N,) 0..G-1.
    """
    truth, called, of = _checked(labels, predicted, groups, n_classes)
    known = truth != UNKNOWN
    flat = (of[known] * n_classes + truth[known]) * n_classes + called[known]
    size = n_groups * n_classes * n_classes
    return np.bincount(flat, minlength=size).reshape(n_groups, n_classes, n_classes)


def scores_of_confusions(tables: ArrayLike) -> ClassArrays:
    """(..., V, V) counts, whole or weighted -> the three scores, each (...)."""
    counts = np.asarray(tables, np.float64)
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    there, called = counts.sum(axis=-1), counts.sum(axis=-2)
    n, occurs = there.sum(axis=-1), there > 0
    f1 = np.divide(2 * right, there + called, out=np.zeros_like(right), where=occurs)
    recall = np.divide(right, there, out=np.zeros_like(right), where=occurs)
    classes = occurs.sum(axis=-1)
    return ClassArrays(
        _ratio(right.sum(axis=-1), n), _ratio(f1.sum(axis=-1), classes), _ratio(recall.sum(axis=-1), classes)
    )


def weighted_confusions(tables: ArrayLike, weights: ArrayLike) -> Floats:
    """(G, V, V) counts and (K, G) multiplicities -> (K, V, V)."""
    counts = np.asarray(tables, np.float64)
    return np.tensordot(np.atleast_2d(np.asarray(weights, np.float64)), counts, axes=1)


def chance_scores(counts: Sequence[int]) -> ClassArrays:
    """Exact expected scores of classes drawn uniformly at random, for labels with these counts; each (1,).

    Accuracy and balanced accuracy are 1/V. For F1 of a class with r of n labels: m samples are called it with binomial
    probability, of which m r / n are hits on average, so its expectation is the sum over m of
    Binom(m; n, 1/V) 2 (m r / n) / (m + r).

    Args:
        counts: (V,) labels of each class.
    """
    labels = np.asarray(counts, np.int64)
    n, share = int(labels.sum()), 1.0 / labels.size
    if n == 0:
        undefined = np.full(1, np.nan)
        return ClassArrays(undefined, undefined, undefined)
    called = np.arange(n + 1)
    probability = stats.binom.pmf(called, n, share)
    f1 = [float(probability @ (2 * called * r / n / (called + r))) for r in labels[labels > 0].tolist()]
    return ClassArrays(np.array([share]), np.array([np.mean(f1)]), np.array([share]))


def majority_scores(counts: Sequence[int], named: int | None = None) -> ClassArrays:
    """Exact scores of naming one class for everything; each (1,).

    Args:
        counts: (V,) labels of each class in the set that is scored.
        named: the class; None: the most frequent of ``counts`` themselves. Fit it on train to score test.
    """
    labels = np.asarray(counts, np.int64)
    table = np.zeros((1, labels.size, labels.size))
    table[0, :, int(np.argmax(labels)) if named is None else named] = labels
    return scores_of_confusions(table)


@dataclass(frozen=True)
class GivenCounts:
    """Samples known and right within each condition: ``right`` and ``known`` are (G, Q) int64 for Q conditions.

    A sample that meets several conditions (an image with several valves) counts in each; one that meets none, in none.
    """

    right: Integers
    known: Integers

    def under(self, weights: ArrayLike) -> Floats:
        """(K, G) multiplicities -> (K,) the mean over conditions with a sample of the accuracy within them."""
        return _mean_of_ratios(self.within(weights))

    def within(self, weights: ArrayLike) -> Floats:
        """(K, G) multiplicities -> (K, Q) accuracy within each condition, NaN without a sample."""
        table = np.atleast_2d(np.asarray(weights, np.float64))
        return _ratio(table @ self.right, table @ self.known)


def given_counts(
    labels: ArrayLike, predicted: ArrayLike, given: ArrayLike, groups: ArrayLike, n_groups: int
) -> GivenCounts:
    """Counts for the accuracy given a condition, by group.

    Args:
        labels: (N,) classes, -1 unknown.
        predicted: (N,) classes, or (N, Q) where the answer depends on the condition that is asked for (a rule).
        given: (N, Q) bool, which conditions each sample meets.
        groups: (N,) 0..G-1. n_groups: G.
    """
    truth, meets, of = np.asarray(labels), np.asarray(given, bool), np.asarray(groups, np.int64)
    answers = np.asarray(predicted)
    answers = answers[:, None] if answers.ndim == 1 else answers
    fits = truth.ndim == 1 and meets.ndim == 2 and len(meets) == len(answers) == len(of) == len(truth)
    if not fits or answers.shape[1] not in (1, meets.shape[1]):
        raise UsageError(
            "labels, predictions and conditions do not match",
            expected="(N,), (N,) or (N, Q), (N, Q), (N,)",
            found=f"{truth.shape}, {np.shape(predicted)}, {meets.shape}, {of.shape}",
        )
    known = meets & (truth != UNKNOWN)[:, None]
    right = known & (answers == truth[:, None])
    counts = np.zeros((2, n_groups, meets.shape[1]), np.int64)
    np.add.at(counts[0], of, right)
    np.add.at(counts[1], of, known)
    return GivenCounts(counts[0], counts[1])


def accuracy_given(labels: ArrayLike, predicted: ArrayLike, given: ArrayLike) -> float | None:
    """Mean over conditions of the accuracy within them (the view given the valve); None without any known sample."""
    counts = given_counts(labels, predicted, given, np.zeros(len(np.asarray(labels)), np.int64), 1)
    value = counts.under(np.ones((1, 1)))[0]
    return None if np.isnan(value) else float(value)


def most_frequent_given(labels: ArrayLike, given: ArrayLike, n_classes: int) -> Integers:
    """(Q,) the rule "most frequent class under each condition", to be fitted on train and scored on test.

    A condition without a known sample gets the most frequent class of all; of equal counts the lower class is named.

    Args:
        labels: (N,) classes, -1 unknown. given: (N, Q) bool. n_classes: V.
    """
    truth, meets = np.asarray(labels), np.asarray(given, bool)
    one_hot = truth[:, None] == np.arange(n_classes)
    counts = meets.T.astype(np.int64) @ one_hot
    counts[counts.sum(axis=1) == 0] = one_hot.sum(axis=0)
    return np.asarray(np.argmax(counts, axis=1))


def rule_answers(rule: ArrayLike, n_samples: int) -> Integers:
    """(Q,) rule -> (N, Q) what it answers for each sample under each condition; for :func:`given_counts`."""
    return np.tile(np.asarray(rule, np.int64), (n_samples, 1))


def _checked(
    labels: ArrayLike, predicted: ArrayLike, groups: ArrayLike, n_classes: int
) -> tuple[Integers, Integers, Integers]:
    truth, called, of = np.asarray(labels), np.asarray(predicted), np.asarray(groups)
    if truth.ndim != 1 or called.shape != truth.shape or of.shape != truth.shape:
        raise UsageError(
            "labels, predictions and groups do not match",
            expected="three one-dimensional arrays of equal length",
            found=f"{truth.shape}, {called.shape}, {of.shape}",
        )
    for name, values, least in (("label", truth, UNKNOWN), ("prediction", called, 0)):
        if values.size and (values.dtype.kind not in "iub" or values.min() < least or values.max() >= n_classes):
            raise UsageError(
                f"a {name} is no class",
                expected=f"integers {least}..{n_classes - 1}",
                found=f"{values.dtype}, {values.min()} to {values.max()}",
            )
    return truth.astype(np.int64), called.astype(np.int64), of.astype(np.int64)


def _mean_of_ratios(values: Floats) -> Floats:
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0.0).sum(axis=-1), known.sum(axis=-1))


def _ratio(top: ArrayLike, bottom: ArrayLike) -> Floats:
    above, below = np.asarray(top, np.float64), np.asarray(bottom, np.float64)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
