"""Between-group permutation of predicted classes: whole groups exchange their label sequences.

As ``statistics.permutation`` does for frame scores, with confusion tables of pairs of groups, which add up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.multiclass import confusion_of_groups, given_counts, scores_of_confusions
from veritrain.statistics.exchange import givers, sizes_of_equals
from veritrain.statistics.permutation import PermutationResult, permutation_test

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
N_PERMUTATIONS = 9999
SCORES = ("accuracy", "macro_f1", "balanced_accuracy")


def permutation_test_classes(
    labels: ArrayLike,
    predicted: ArrayLike,
    groups: ArrayLike,
    n_classes: int,
    metric: str = "macro_f1",
    *,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> PermutationResult:
    """Test of accuracy, macro F1 or balanced accuracy.

    Args:
        labels: (N,) 0..V-1, -1 unknown (counts nowhere, and stays unknown for whoever gets it).
        predicted: (N,) 0..V-1.
        groups: (N,) 0-based group of each sample, every number below the greatest present; samples of a group in their
            order in time.
        n_classes: V. metric: one of :data:`SCORES`.

    Raises:
        UsageError: an unknown metric, shapes that differ, fewer than two groups.
    """
    if metric not in SCORES:
        raise UsageError(f"no score of classes '{metric}'", expected=", ".join(SCORES), found=metric)
    truth, of = np.asarray(labels), np.asarray(groups, np.int64)
    given = truth[givers(of)]
    n = len(given)
    tables = np.stack([confusion_of_groups(row, predicted, of, n, n_classes) for row in given], axis=1)
    group = np.arange(n)

    def statistic(exchange: Integers) -> Floats:
        summed = np.zeros((len(exchange), n_classes, n_classes))
        for a in group:
            summed += tables[a, exchange[:, a]]
        return np.asarray(getattr(scores_of_confusions(summed), metric))

    equal = sizes_of_equals([row.tobytes() for row in given])
    return permutation_test(statistic, n, n_permutations=n_permutations, seed=seed, equal_labels=equal)


def permutation_test_given(
    labels: ArrayLike,
    predicted: ArrayLike,
    given: ArrayLike,
    groups: ArrayLike,
    *,
    n_permutations: int = N_PERMUTATIONS,
    seed: int = 0,
) -> PermutationResult:
    """Test of the accuracy given a condition (``metrics.multiclass.accuracy_given``).

    The conditions are labels too (which valve a frame shows), so that a label moves together with them: what is
    exchanged keeps how class and condition go together, and the null still knows that rule.

    Args:
        labels, groups: as :func:`permutation_test_classes`. given: (N, Q) bool.
        predicted: (N,) classes, or (N, Q) where the answer depends on the condition that is asked for.
    """
    truth, meets, of = np.asarray(labels), np.asarray(given, bool), np.asarray(groups, np.int64)
    sources = givers(of)
    n = len(sources)
    each = [given_counts(truth[row], predicted, meets[row], of, n) for row in sources]
    right = np.stack([one.right for one in each], axis=1).astype(np.float64)
    known = np.stack([one.known for one in each], axis=1).astype(np.float64)
    group = np.arange(n)

    def statistic(exchange: Integers) -> Floats:
        hits, samples = np.zeros((2, len(exchange), meets.shape[1]))
        for a in group:
            hits += right[a, exchange[:, a]]
            samples += known[a, exchange[:, a]]
        there = samples > 0
        rates = np.divide(hits, samples, out=np.zeros_like(hits), where=there)
        count = there.sum(axis=1)
        return np.divide(rates.sum(axis=1), count, out=np.full(len(exchange), np.nan), where=count > 0)

    equal = sizes_of_equals([truth[row].tobytes() + meets[row].tobytes() for row in sources])
    return permutation_test(statistic, n, n_permutations=n_permutations, seed=seed, equal_labels=equal)
