"""A decision from a score: the confusion at a threshold, and the threshold with the best F1.

Choose the threshold on validation and apply it to test: the best F1 *of the test set* is an
optimistic number that no deployed model reaches.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.ranking import split_by_label


@dataclass(frozen=True)
class Confusion:
    """Counts of the four outcomes; every rate is ``None`` where its denominator is zero."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.tp + self.fp + self.fn + self.tn

    @property
    def precision(self) -> float | None:
        """tp / (tp + fp): None when nothing was called positive."""
        return _rate(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """tp / (tp + fn): None without positives."""
        return _rate(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float | None:
        """tn / (tn + fp): None without negatives."""
        return _rate(self.tn, self.tn + self.fp)

    @property
    def accuracy(self) -> float | None:
        """(tp + tn) / n: None without samples."""
        return _rate(self.tp + self.tn, self.n)

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of recall and specificity; 0.5 for every constant prediction."""
        if self.recall is None or self.specificity is None:
            return None
        return (self.recall + self.specificity) / 2

    @property
    def f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn): None when there is no positive, neither true nor called."""
        return _rate(2 * self.tp, 2 * self.tp + self.fp + self.fn)


@dataclass(frozen=True)
class ChosenThreshold:
    """A threshold ("positive" means score >= threshold) and what it reached where it was chosen.

    Attributes:
        threshold: a score that occurs among the positives, in the scores' own precision.
        confusion: counts at the threshold on the data it was chosen on.
        chance_f1: F1 of calling everything positive there, the best F1 without a model.
    """

    threshold: float
    confusion: Confusion
    chance_f1: float


def confusion(scores: ArrayLike, labels: ArrayLike, threshold: float) -> Confusion:
    """Counts with score >= ``threshold`` called positive.

    Args:
        scores: (N,) finite numbers.
        labels: (N,) 0 or 1.
        threshold: a finite number in the unit of the scores.

    Raises:
        UsageError: as :func:`~veritrain.metrics.ranking.ranking_scores`, or a NaN threshold.
    """
    if np.isnan(threshold):
        raise UsageError("the threshold is NaN", fix="choose it with best_f1_threshold on validation")
    positives, negatives = split_by_label(scores, labels)
    tp, fp = (int(np.count_nonzero(values >= threshold)) for values in (positives, negatives))
    return Confusion(tp, fp, positives.size - tp, negatives.size - fp)


def best_f1_threshold(scores: ArrayLike, labels: ArrayLike) -> ChosenThreshold | None:
    """The threshold with the greatest F1, to be chosen on validation only; None if a class is absent.

    Only scores of positives are candidates: between two of them F1 can only fall as the threshold
    falls. Among equal F1 the highest threshold, with the fewest alarms, is taken.
    """
    positives, negatives = split_by_label(scores, labels)
    if not positives.size or not negatives.size:
        return None
    level = np.unique(positives)[::-1]
    tp, fp = _at_least(positives, level), _at_least(negatives, level)
    # Integers in, one division out: equal F1 values compare equal.
    best = int(np.argmax(2 * tp / (tp + fp + positives.size)))
    counts = Confusion(int(tp[best]), int(fp[best]), positives.size - int(tp[best]), negatives.size - int(fp[best]))
    everything = chance_f1(positives.size + negatives.size, positives.size)
    assert everything is not None
    return ChosenThreshold(float(level[best]), counts, everything)


def chance_f1(n: int, positives: int) -> float | None:
    """F1 of calling every sample positive, 2 R / (N + R): the best that can be had without a model.

    Calling a random share q positive expects counts with F1 2 q R / (q N + R), which grows with q
    (Lipton et al., "Optimal thresholding of classifiers to maximize F1", ECML 2014: an
    uninformative classifier is best off calling everything positive). None if a class is absent.
    """
    return 2 * positives / (n + positives) if 0 < positives < n else None


def _at_least(values: NDArray[Any], levels: NDArray[Any]) -> NDArray[np.int64]:
    return values.size - np.searchsorted(np.sort(values), levels, "left")


def _rate(top: int, bottom: int) -> float | None:
    return top / bottom if bottom else None
