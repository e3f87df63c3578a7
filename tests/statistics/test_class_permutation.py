"""Exchanged class labels against brute force over all exchanges, and p-values that mean what they say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.multiclass import accuracy_given, class_scores
from veritrain.statistics.class_permutation import SCORES, permutation_test_classes, permutation_test_given

V = 3


def made(seed: int, lengths=(3, 2, 4, 3), know: float = 0.5):
    """Labels in sequences of several lengths, some unknown; answers that know something; two conditions."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(len(lengths)), lengths)
    labels = rng.integers(0, V, len(groups))
    predicted = np.where(rng.random(len(groups)) < know, labels, rng.integers(0, V, len(groups)))
    labels[rng.random(len(groups)) < 0.15] = -1
    return labels, predicted, rng.random((len(groups), 2)) < 0.6, groups


def exchanged(values: np.ndarray, groups: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    moved = np.empty_like(values)
    for a, b in enumerate(order):
        own, source = np.flatnonzero(groups == a), np.flatnonzero(groups == b)
        moved[own] = values[source[np.arange(own.size) % source.size]]
    return moved


@pytest.mark.parametrize("metric", SCORES)
@pytest.mark.parametrize("seed", range(3))
def test_all_exchanges_are_those_done_by_hand(metric, seed):
    labels, predicted, _, groups = made(seed)
    found = permutation_test_classes(labels, predicted, groups, V, metric)
    null = [
        getattr(class_scores(exchanged(labels, groups, order), predicted, V), metric)
        for order in itertools.permutations(range(4))
    ]
    observed = getattr(class_scores(labels, predicted, V), metric)
    assert found.exhaustive and found.n_permutations == 24
    assert found.observed == pytest.approx(observed) and found.null_mean == pytest.approx(np.mean(null))
    assert found.p_value == np.mean(np.array(null) >= observed - 1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_conditions_move_with_the_labels(seed):
    labels, predicted, given, groups = made(seed)
    found = permutation_test_given(labels, predicted, given, groups)
    null = [
        accuracy_given(exchanged(labels, groups, order), predicted, exchanged(given, groups, order))
        for order in itertools.permutations(range(4))
    ]
    assert found.observed == pytest.approx(accuracy_given(labels, predicted, given))
    assert found.null_mean == pytest.approx(np.mean(null))
    assert found.p_value == np.mean(np.array(null) >= found.observed - 1e-12)


def test_answers_that_know_are_beyond_all_exchanges_and_the_prior_is_not():
    labels, _, given, groups = made(5, lengths=(4,) * 12)
    labels = np.maximum(labels, 0)
    knowing = permutation_test_classes(labels, labels, groups, V, n_permutations=999)
    assert knowing.observed == 1.0 and knowing.p_value == 0.001
    prior = permutation_test_classes(labels, np.zeros_like(labels), groups, V, n_permutations=999)
    assert prior.p_value == 1.0 and prior.null_mean == pytest.approx(prior.observed)
    within = permutation_test_given(labels, labels, given, groups, n_permutations=999)
    assert within.observed == 1.0 and within.p_value == 0.001


def test_the_p_value_of_answers_that_know_nothing_is_uniform():
    found = [
        permutation_test_classes(*_unknowing(seed), V, "accuracy", n_permutations=99).p_value for seed in range(60)
    ]
    assert 0.35 < np.mean(found) < 0.7 and min(found) < 0.2 and np.mean(np.array(found) <= 0.05) < 0.15


def _unknowing(seed: int):
    labels, predicted, _, groups = made(seed, lengths=(5,) * 10, know=0.0)
    return labels, predicted, groups


def test_equal_sequences_limit_what_can_be_shown():
    groups = np.repeat(np.arange(4), 2)
    labels = np.tile([0, 1], 4)
    found = permutation_test_classes(labels, labels, groups, V)
    assert found.smallest_p == 1.0 and found.p_value == 1.0


def test_an_unknown_score_is_refused():
    labels, predicted, _, groups = made(0)
    with pytest.raises(UsageError, match="macro_f1"):
        permutation_test_classes(labels, predicted, groups, V, "auroc")
