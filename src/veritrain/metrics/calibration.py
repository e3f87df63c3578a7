"""Are the stated confidences those that come true: reliability, expected calibration error, Brier score.

Bins hold equal numbers of samples (equal mass), because most confidences crowd near 1 and bins of equal width would
average a few of them with thousands. Expected calibration error is never 0 in a finite sample, even for perfectly
calibrated confidences, and is the larger the fewer samples there are: read it beside :func:`calibrated_error`, what it
would be on average if every confidence were true.

Sources: Naeini, Cooper & Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015 (ECE);
Nixon et al., "Measuring calibration in deep learning", CVPR Workshops 2019 (equal-mass bins); Brier, Monthly Weather
Review 78, 1950 (the original score over all classes, 0..2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.expectation import Expected

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
BINS = 10
DRAWS = 500


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin: confidences ``low``..``high`` as they occur in it, their mean, the share that came true, n >= 1."""

    low: float
    high: float
    confidence: float
    accuracy: float
    n: int


class CalibrationTable:
    """Confidences and whether they came true, binned once, to be scored under group multiplicities.

    Args:
        confidence: (N,) in [0, 1], the probability given to the answer.
        correct: (N,) bool, whether the answer was right.
        groups: (N,) 0-based group of each sample; None: one group. n_groups: G.
        bins: how many of equal mass; equal confidences share a bin, so there may be fewer.

    Attributes:
        bins: how many there are. bin_of: (N,) the bin of each sample.

    Raises:
        UsageError: shapes differ, or a confidence is no probability.
    """

    def __init__(
        self,
        confidence: ArrayLike,
        correct: ArrayLike,
        groups: ArrayLike | None = None,
        n_groups: int | None = None,
        *,
        bins: int = BINS,
    ) -> None:
        self.confidence, right = np.asarray(confidence, np.float64), np.asarray(correct).astype(np.float64)
        of = np.zeros(self.confidence.shape, np.int64) if groups is None else np.asarray(groups, np.int64)
        _check(self.confidence, right, of, bins)
        self.bin_of = equal_mass_bins(self.confidence, bins)
        self.bins = int(self.bin_of.max(initial=-1)) + 1
        self._right = right
        self._groups = int(of.max(initial=-1)) + 1 if n_groups is None else n_groups
        flat = of * self.bins + self.bin_of
        self._n, self._stated, self._true = (
            np.bincount(flat, weights=values, minlength=self._groups * self.bins).reshape(self._groups, self.bins)
            for values in (None, self.confidence, right)
        )

    def error(self, weights: ArrayLike | None = None) -> Floats:
        """(K, G) multiplicities -> (K,) expected calibration error, 0..1: the mean over samples of the distance between
        the mean confidence and the share that came true in their bin; NaN without a sample."""
        table = np.ones((1, self._groups)) if weights is None else np.atleast_2d(np.asarray(weights, np.float64))
        n, distance = table @ self._n, np.abs(table @ self._stated - table @ self._true)
        total = n.sum(axis=1)
        return np.divide(distance.sum(axis=1), total, out=np.full(total.shape, np.nan), where=total > 0)

    def reliability(self) -> list[ReliabilityBin]:
        """The bins, least confident first."""
        n, stated, true = self._n.sum(axis=0), self._stated.sum(axis=0), self._true.sum(axis=0)
        told = []
        for b in range(self.bins):
            own = self.confidence[self.bin_of == b]
            told.append(ReliabilityBin(float(own.min()), float(own.max()), stated[b] / n[b], true[b] / n[b], int(n[b])))
        return told

    def calibrated_error(self, *, draws: int = DRAWS, seed: int = 0) -> Expected:
        """Expected calibration error of these confidences if each came true as often as it says, by simulation."""
        if not self.confidence.size:
            return Expected(None, None)
        rng = np.random.default_rng(seed)
        found = np.empty(draws)
        for k in range(draws):
            true = np.bincount(self.bin_of, weights=rng.random(self.confidence.size) < self.confidence)
            found[k] = np.abs(self._stated.sum(axis=0) - true).sum() / self.confidence.size
        return Expected(float(found.mean()), float(found.std(ddof=1) / np.sqrt(draws)))


def equal_mass_bins(values: ArrayLike, bins: int) -> Integers:
    """(N,) -> (N,) bin 0.. of each value: equal shares in order of value, equal values in the bin of their first."""
    given = np.asarray(values, np.float64)
    order = np.sort(given)
    share = np.searchsorted(order, given, side="left") * bins // max(given.size, 1)
    return np.asarray(np.unique(share, return_inverse=True)[1], np.int64)


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, *, bins: int = BINS) -> float | None:
    """See :meth:`CalibrationTable.error`; None without a sample."""
    value = CalibrationTable(confidence, correct, bins=bins).error()[0]
    return None if np.isnan(value) else float(value)


def brier_score(probabilities: ArrayLike, labels: ArrayLike) -> float | None:
    """Mean over samples of the squared distance of (V,) probabilities from the one-hot label, 0..2, lower is better.

    Args:
        probabilities: (N, V) rows that sum to 1. labels: (N,) 0..V-1, -1 unknown (left out).

    Raises:
        UsageError: shapes differ, or a row is no distribution.
    """
    each = brier_of_samples(probabilities, labels)
    known = ~np.isnan(each)
    return float(each[known].mean()) if known.any() else None


def brier_of_samples(probabilities: ArrayLike, labels: ArrayLike) -> Floats:
    """(N,) the squared distance of each sample, NaN where the label is unknown; see :func:`brier_score`."""
    given, truth = np.asarray(probabilities, np.float64), np.asarray(labels)
    if given.ndim != 2 or truth.shape != given.shape[:1]:
        raise UsageError(
            "not probabilities of labels", expected="(N, V) and (N,)", found=f"{given.shape}, {truth.shape}"
        )
    if given.size and (not np.isfinite(given).all() or given.min() < 0 or np.abs(given.sum(axis=1) - 1).max() > 1e-3):
        raise UsageError("a row is no distribution", expected="numbers 0..1 with sum 1", fix="apply a softmax first")
    one_hot = truth[:, None] == np.arange(given.shape[1])
    return np.where(truth >= 0, ((given - one_hot) ** 2).sum(axis=1), np.nan)


def prior_brier(counts: ArrayLike) -> float | None:
    """The Brier score of always stating the shares of the labels themselves, 1 - sum of squared shares."""
    labels = np.asarray(counts, np.float64)
    return float(1 - np.sum((labels / labels.sum()) ** 2)) if labels.sum() > 0 else None


def _check(confidence: Floats, right: Floats, groups: Integers, bins: int) -> None:
    if confidence.ndim != 1 or right.shape != confidence.shape or groups.shape != confidence.shape or bins < 1:
        raise UsageError(
            "confidences and outcomes do not match",
            expected="one-dimensional arrays of equal length, bins >= 1",
            found=f"{confidence.shape}, {right.shape}, {groups.shape}, bins {bins}",
        )
    if confidence.size and not (confidence.min() >= 0 and confidence.max() <= 1):
        raise UsageError("a confidence is no probability", expected="0..1", found=f"up to {confidence.max()}")
