"""Are the held-out predictions better than the same predictions under labels of other groups?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from veritrain.probes.probe import FinishedRun
from veritrain.statistics.permutation import Ranking, permutation_test_frames, permutation_test_tables

FRAME_PERMUTATIONS = 9999
DENSE_PERMUTATIONS = 999
BINS = 1024


class BetweenGroupPermutation:
    """Whole groups exchange their label sequences (frames) or their label maps (returns), predictions stay."""

    name = "between_group_permutation"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        results: dict[str, Any] = {}
        for claim in run.task.claims:
            level, _, name = claim.metric.partition("_")
            metric = cast(Ranking, name)
            if level == "frame":
                found = permutation_test_frames(
                    run.predictions["frame_scores"],
                    run.predictions["frame_labels"],
                    np.asarray(run.groups),
                    statistic=metric,
                    n_permutations=FRAME_PERMUTATIONS,
                )
            else:
                positives, negatives = pair_tables(
                    run.predictions["view_scores"], run.predictions["view_labels"], np.asarray(run.groups)
                )
                found = permutation_test_tables(
                    positives, negatives, statistic=metric, n_permutations=DENSE_PERMUTATIONS
                )
            results[claim.metric] = asdict(found)
        return results


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
