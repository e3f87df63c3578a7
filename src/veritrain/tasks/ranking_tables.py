"""The tables of ranking scores: frames, returns and pixels of the driving task (``tasks.levels``)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from veritrain.metrics.grouped import GroupedScores
from veritrain.metrics.ranking import RankingScores, chance_ap, chance_auroc, chance_fpr95, ranking_scores
from veritrain.statistics.permutation import (
    PermutationResult,
    Ranking,
    permutation_test_frames,
    permutation_test_tables,
)
from veritrain.tasks.levels import is_scored, level_of, levels_of
from veritrain.tasks.tables import Floats, numbered_groups
from veritrain.tasks.task import Predictions

METRICS = ("auroc", "ap", "fpr95")
HIGHER_IS_BETTER = {"auroc": True, "ap": True, "fpr95": False}
FRAME_PERMUTATIONS = 9999
DENSE_PERMUTATIONS = 999
BINS = 1024
"""Of the histograms of pairs of groups."""


class RankingTables:
    """AUROC, AP and FPR95 of every level that has scores and labels: metrics ``<level>_<score>``.

    Frame scores are kept exactly, dense ones as histograms; values are always exact. The flat arrays of one level are
    held at a time, so ask level by level.

    Args:
        predictions: of N samples, as ``tasks.anomaly`` makes them. groups: (N,) names.
    """

    def __init__(self, predictions: Predictions, groups: Sequence[str] | NDArray[Any]) -> None:
        self._predictions, self._names = predictions, np.asarray(groups)
        self.n_groups, self._of_sample = numbered_groups(self._names)
        levels = [level for level in levels_of(predictions) if is_scored(predictions, level)]
        self.metrics = tuple(f"{level}_{metric}" for level in levels for metric in METRICS)
        self._held: _Level | None = None

    def value(self, metric: str) -> float | None:
        value: float | None = getattr(self._level(metric).own, _score(metric))
        return value

    def chance(self, metric: str) -> float | None:
        own = self._level(metric)
        of = {"auroc": chance_auroc(), "ap": chance_ap(own.n, own.positives), "fpr95": chance_fpr95(own.positives)}
        return of[_score(metric)]

    def counts(self, metric: str) -> tuple[int, int]:
        own = self._level(metric)
        return own.n, own.positives

    def higher_is_better(self, metric: str) -> bool:
        return HIGHER_IS_BETTER[_score(metric)]

    def under(self, weights: NDArray[Any], metric: str) -> Floats:
        return self._level(metric).table.under(weights, _score(metric))

    def strata(self, metric: str) -> NDArray[np.bool_]:
        return self._level(metric).strata

    def reach(self, metric: str) -> float:
        """1/2 for the AUROC of one score for everything, which is 1/2 in every resample."""
        return chance_auroc() if _score(metric) == "auroc" and self._level(metric).constant else 1.0

    def permuted(self, metric: str) -> PermutationResult:
        """Whole groups exchange their label sequences (frames) or their label maps (returns); scores stay."""
        statistic = cast(Ranking, _score(metric))
        if metric.startswith("frame_"):
            return permutation_test_frames(
                self._predictions["frame_scores"],
                self._predictions["frame_labels"],
                self._names,
                statistic=statistic,
                n_permutations=FRAME_PERMUTATIONS,
            )
        positives, negatives = pair_tables(
            self._predictions["view_scores"], self._predictions["view_labels"], self._names
        )
        return permutation_test_tables(positives, negatives, statistic=statistic, n_permutations=DENSE_PERMUTATIONS)

    def _level(self, metric: str) -> _Level:
        name = metric.rpartition("_")[0]
        if self._held is None or self._held.name != name:
            self._held = None
            self._held = _Level(name, self._predictions, self._of_sample, self.n_groups)
        return self._held


class _Level:
    """One level's scores, ready to be weighted."""

    def __init__(self, name: str, predictions: Predictions, of_sample: NDArray[np.int64], n_groups: int) -> None:
        scores, labels, groups = level_of(predictions, name, of_sample)
        self.name, self._scores, self._labels = name, scores, labels
        self.n, self.positives = len(labels), int(labels.sum())
        self.table = GroupedScores(scores, labels, groups, n_groups, exact=name == "frame")
        self.strata = np.bincount(groups[labels == 1], minlength=n_groups) > 0
        self.constant = is_constant(scores)

    @cached_property
    def own(self) -> RankingScores:
        """The exact scores; histograms are for resampling alone."""
        return ranking_scores(self._scores, self._labels)


def is_constant(scores: NDArray[Any]) -> bool:
    """One score for everything there is."""
    return scores.size > 0 and bool((scores == scores[0]).all())


def pair_tables(
    scores: NDArray[Any], labels: NDArray[Any], groups: NDArray[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Histograms of group a's scores where group b's label maps say positive or negative.

    Args:
        scores: (N, R, A) float. labels: (N, R, A) int8, -1 unknown. groups: (N,).

    Returns:
        two (G, G, BINS) int64 tables; the k-th frame of a meets the k-th of b, cyclically; a cell counts only
        where both frames know it, so the diagonal is the plain score.
    """
    names = np.unique(groups)
    edges = np.unique(np.quantile(scores[labels >= 0], np.linspace(0, 1, BINS)[1:-1], method="nearest"))
    bins = np.searchsorted(edges, scores, side="right").astype(np.int64)
    members = [np.flatnonzero(groups == name) for name in names]
    positives = np.zeros((len(names), len(names), BINS), np.int64)
    negatives = np.zeros_like(positives)
    for a, mine in enumerate(members):
        for b, theirs in enumerate(members):
            given = labels[theirs[np.arange(len(mine)) % len(theirs)]]
            known = (labels[mine] >= 0) & (given >= 0)
            positives[a, b] = np.bincount(bins[mine][known & (given == 1)], minlength=BINS)[:BINS]
            negatives[a, b] = np.bincount(bins[mine][known & (given == 0)], minlength=BINS)[:BINS]
    return positives, negatives


def _score(metric: str) -> str:
    return metric.rpartition("_")[2]
