"""Ranking scores of streams: two histograms that add up over batches, ranks and groups."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.ranking import (
    TPR,
    Levels,
    RankingArrays,
    RankingScores,
    scores_of_levels,
    split_by_label,
)

Counts = NDArray[np.int64]
BINS = 65_536
# Scores turned into bins at once: keeps the float64 copies within the cache.
CHUNK = 1 << 18


@dataclass(frozen=True)
class ErrorBounds:
    """Largest possible distance of a binned score from the exact one; ``None`` where undefined."""

    auroc: float | None
    ap: float | None
    fpr95: float | None


@dataclass
class ScoreHistogram:
    """Histograms of the scores of positives and of negatives over equal bins of [low, high].

    Scores that share a bin are counted as tied, so the result is exact for the binned scores and
    :meth:`error_bounds` limits, from the counts alone, how far the exact score can be: for AUROC
    half the share of positive-negative pairs that share a bin (with ``bins`` B and densities
    bounded by c, at most c/(2B): below 1e-5 for 65,536 bins and c = 1), for FPR95 the negatives in
    one bin, for AP the spread of precision inside each bin. Measured on 5 million made scores with
    3 % positives: AUROC within 1e-8, AP within 3e-6, FPR95 within 1e-4 (1,024 bins: 1e-6, 5e-4,
    3e-3); tests keep the bounds and, on a smaller ranking, the sizes.

    Attributes:
        low, high: the range of the scores; values outside are clipped into the end bins.
        bins: number of bins; 65,536 for one ranking, 1,024 to 4,096 where each of many groups
            keeps its own (see :func:`scores_of_groups`).
        positives, negatives: (bins,) int64, ascending score; sum them over ranks to all-reduce.
        clipped: how many scores lay outside the range.
    """

    low: float = 0.0
    high: float = 1.0
    bins: int = BINS
    positives: Counts = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    negatives: Counts = field(default_factory=lambda: np.zeros(0, np.int64), repr=False)
    clipped: int = 0

    def __post_init__(self) -> None:
        if not (np.isfinite([self.low, self.high]).all() and self.low < self.high and self.bins >= 1):
            raise UsageError(
                "a histogram needs a range and bins",
                expected="finite low < high, bins >= 1",
                found=f"low={self.low}, high={self.high}, bins={self.bins}",
            )
        self.positives = self._checked(self.positives)
        self.negatives = self._checked(self.negatives)

    def update(self, scores: ArrayLike, labels: ArrayLike) -> None:
        """Count a batch: ``scores`` (N,) finite, ``labels`` (N,) 0 or 1. Raises UsageError otherwise."""
        batch = split_by_label(scores, labels)
        for counts, values in zip((self.positives, self.negatives), batch, strict=True):
            for start in range(0, values.size, CHUNK):
                chunk = values[start : start + CHUNK]
                self.clipped += int(np.count_nonzero((chunk < self.low) | (chunk > self.high)))
                counts += np.bincount(score_bins(chunk, self.low, self.high, self.bins), minlength=self.bins)

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        """The histogram of both streams together; both must share range and bins."""
        if (self.low, self.high, self.bins) != (other.low, other.high, other.bins):
            raise UsageError(
                "histograms with different bins do not add up",
                expected=f"low={self.low}, high={self.high}, bins={self.bins}",
                found=f"low={other.low}, high={other.high}, bins={other.bins}",
            )
        return ScoreHistogram(
            self.low,
            self.high,
            self.bins,
            self.positives + other.positives,
            self.negatives + other.negatives,
            self.clipped + other.clipped,
        )

    def scores(self) -> RankingScores:
        """AUROC, AP, FPR95 of everything counted, within :meth:`error_bounds` of the exact ones."""
        positives, negatives = int(self.positives.sum()), int(self.negatives.sum())
        n = positives + negatives
        if not positives or not negatives:
            return RankingScores(None, None, None, n, positives)
        arrays = scores_of_counts(self.positives, self.negatives)
        return RankingScores(float(arrays.auroc), float(arrays.ap), float(arrays.fpr95), n, positives)

    def error_bounds(self) -> ErrorBounds:
        """How far each of :meth:`scores` can be from the score of the unbinned values."""
        binned = self.scores()
        if binned.auroc is None or binned.ap is None or binned.fpr95 is None:
            return ErrorBounds(None, None, None)
        levels = _levels(self.positives, self.negatives)
        hits, total = np.cumsum(levels.positives), float(levels.positives.sum())
        shared = float(levels.positives @ levels.at) / (total * float(levels.negatives))
        held = levels.positives > 0
        count, above, at, before = (
            values[held] for values in (levels.positives, levels.above, levels.at, hits - levels.positives)
        )
        # Inside a bin a positive's precision is least when it comes first below all its negatives,
        # greatest when all positives of the bin stand above all its negatives.
        least = float(count @ ((before + 1) / (before + 1 + above + at))) / total
        most = float(count @ ((before + count) / (before + count + above))) / total
        first = int(np.argmax(hits / total >= TPR))
        one_bin = float(levels.at[first] / levels.negatives)
        return ErrorBounds(shared / 2, max(most - binned.ap, binned.ap - least), one_bin)

    def _checked(self, counts: Counts) -> Counts:
        if not counts.size:
            return np.zeros(self.bins, np.int64)
        if counts.shape != (self.bins,):
            raise UsageError("counts do not fit the bins", expected=f"({self.bins},)", found=f"{counts.shape}")
        return counts.astype(np.int64)


def score_bins(scores: ArrayLike, low: float, high: float, bins: int) -> Counts:
    """Bin of each finite score over [low, high], clipped to 0..bins-1; order-preserving, any shape."""
    scaled = (np.asarray(scores).astype(np.float64) - low) * (bins / (high - low))
    return np.clip(np.floor(scaled), 0, bins - 1).astype(np.int64)


def scores_of_counts(positives: ArrayLike, negatives: ArrayLike) -> RankingArrays:
    """The three scores of (..., B) counts per bin, ascending score; NaN where a class is absent."""
    return scores_of_levels(_levels(np.asarray(positives), np.asarray(negatives)))


def scores_of_groups(positives: ArrayLike, negatives: ArrayLike, weights: ArrayLike) -> RankingArrays:
    """The three scores when group g is counted ``weights[k, g]`` times: the group bootstrap of dense scores.

    Args:
        positives: (G, B) histogram of the scores of each group's positives, ascending score.
        negatives: (G, B) the same for negatives.
        weights: (K, G) multiplicities >= 0.

    Returns:
        Three (K,) float64 arrays, NaN where a class is absent; K x B float64 of working memory.
    """
    table = np.atleast_2d(np.asarray(weights, dtype=np.float64))
    above, below = np.asarray(positives, np.float64), np.asarray(negatives, np.float64)
    if above.ndim != 2 or above.shape != below.shape or table.shape[1] != above.shape[0]:
        raise UsageError(
            "group histograms and weights do not match",
            expected="positives (G, B), negatives (G, B), weights (K, G)",
            found=f"{above.shape}, {below.shape}, {table.shape}",
        )
    return scores_of_counts(table @ above, table @ below)


def _levels(positives: NDArray[Any], negatives: NDArray[Any]) -> Levels:
    on, at = (np.asarray(counts, np.float64)[..., ::-1] for counts in (positives, negatives))
    upto = np.cumsum(at, axis=-1)
    return Levels(on, upto - at, at, upto[..., -1])
