"""Ranking scores that can be scored again when every group is counted as often as a bootstrap says."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.metrics.histogram import scores_of_groups
from veritrain.metrics.ranking import RankingArrays, SortedScores

DENSE_BINS = 2048
COUNTED_AT_ONCE = 1 << 22
"""Scores whose bins are in memory together: the indices of bins take twice the memory of the scores."""


class GroupedScores:
    """One level's scores that can be scored again under group multiplicities.

    Frame scores are kept exactly; dense scores as per-group histograms over their own range.

    Args:
        scores, labels: flat, labels 0 or 1 (unknown already left out). groups: (N,) int64 group of each score.
        n_groups: how many groups there are, with or without known labels.
        bins: of dense scores, and as many again where positives lie.
    """

    def __init__(
        self,
        scores: NDArray[Any],
        labels: NDArray[Any],
        groups: NDArray[np.int64],
        n_groups: int,
        *,
        exact: bool,
        bins: int = DENSE_BINS,
    ) -> None:
        self._exact = SortedScores(scores, labels, groups) if exact and len(np.unique(groups)) == n_groups else None
        if self._exact is None:
            self._counts = group_histograms(scores, labels, groups, n_groups, bins=bins)
        self._found: dict[tuple[tuple[int, ...], bytes], RankingArrays] = {}

    def under(self, weights: NDArray[Any], metric: str) -> NDArray[np.float64]:
        """(K, G) multiplicities -> (K,) values, NaN where undefined.

        All three scores come from one pass, and equal weights (equal seeds draw them again for each metric and for
        each comparison) are answered from it.
        """
        key = (weights.shape, np.ascontiguousarray(weights, np.float64).tobytes())
        if key not in self._found:
            self._found[key] = self._under(weights)
        values: NDArray[np.float64] = getattr(self._found[key], metric)
        return values

    def _under(self, weights: NDArray[Any]) -> RankingArrays:
        if self._exact is not None:
            return self._exact.scores(weights)
        positives, negatives = self._counts
        return scores_of_groups(positives, negatives, weights)


def group_histograms(
    scores: NDArray[Any], labels: NDArray[Any], groups: NDArray[np.int64], n_groups: int, *, bins: int = DENSE_BINS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Equal-frequency bins of the pooled scores, so that resolution lies where the scores are."""
    if not scores.size:
        return np.zeros((n_groups, 1), np.int64), np.zeros((n_groups, 1), np.int64)
    edges = np.unique(np.quantile(scores, np.linspace(0, 1, bins + 1)[1:-1], method="nearest"))
    if labels.any():
        fine = np.quantile(scores[labels == 1], np.linspace(0, 1, bins + 1)[1:-1], method="nearest")
        edges = np.unique(np.concatenate([edges, fine]))
    width = len(edges) + 1
    counts = np.zeros((2, n_groups * width), np.int64)
    for start in range(0, len(scores), COUNTED_AT_ONCE):
        part = slice(start, start + COUNTED_AT_ONCE)
        flat = groups[part] * width + np.searchsorted(edges, scores[part], side="right")
        for label in (0, 1):
            counts[label] += np.bincount(flat[labels[part] == label], minlength=n_groups * width)
    return counts[1].reshape(n_groups, width), counts[0].reshape(n_groups, width)
