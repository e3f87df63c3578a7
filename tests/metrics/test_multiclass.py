"""Scores of classes against scikit-learn and brute force, chance against draws, and the accuracy given a condition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_score,
    recall_score,
)

from veritrain.errors import UsageError
from veritrain.metrics.multiclass import (
    accuracy_given,
    chance_scores,
    class_scores,
    confusion_of_groups,
    given_counts,
    majority_scores,
    most_frequent_given,
    rule_answers,
    scores_of_confusions,
    weighted_confusions,
)

V = 3


def made(seed: int, n: int = 80, classes: int = V):
    """Labels with unknown ones, answers that know something, conditions of which some samples meet none or two."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, n, p=[0.6, 0.3, 0.1])
    predicted = np.where(rng.random(n) < 0.5, labels, rng.integers(0, classes, n))
    labels[rng.random(n) < 0.1] = -1
    return labels, predicted, rng.random((n, 4)) < [0.5, 0.3, 0.2, 0.0], rng.integers(0, 5, n)


@pytest.mark.parametrize("seed", range(6))
def test_scores_equal_scikit_learn(seed):
    labels, predicted, _, _ = made(seed)
    known = labels >= 0
    truth, called = labels[known], predicted[known]
    found = class_scores(labels, predicted, V)
    occurring = np.unique(truth)
    assert found.accuracy == pytest.approx(accuracy_score(truth, called))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, called))
    assert found.macro_f1 == pytest.approx(f1_score(truth, called, average="macro", labels=occurring))
    assert found.confusion == tuple(map(tuple, confusion_matrix(truth, called, labels=range(V)).tolist()))
    for score, reference in (
        (found.per_class_f1, f1_score),
        (found.per_class_recall, recall_score),
        (found.per_class_precision, precision_score),
    ):
        assert score == pytest.approx(reference(truth, called, average=None, labels=range(V)))
    assert (found.n, found.unknown) == (known.sum(), (~known).sum()) and found.unknown > 0


def test_a_class_nobody_has_is_no_class_of_the_mean():
    found = class_scores([0, 0, 1], [0, 2, 1], V)
    assert found.per_class_f1 == (pytest.approx(2 / 3), 1.0, None)
    assert found.macro_f1 == pytest.approx(5 / 6) and found.balanced_accuracy == pytest.approx(0.75)
    assert class_scores([0, 1], [0, 0], V).per_class_precision == (0.5, None, None)


def test_without_a_known_label_everything_is_undefined():
    found = class_scores([-1, -1], [0, 1], V)
    assert found.accuracy is found.macro_f1 is found.balanced_accuracy is None
    assert (found.n, found.unknown) == (0, 2)
    assert np.isnan(chance_scores([0, 0, 0])).all()


@pytest.mark.parametrize("seed", range(3))
def test_weights_count_groups_as_often_as_they_say(seed):
    labels, predicted, given, groups = made(seed)
    tables = confusion_of_groups(labels, predicted, groups, 5, V)
    counts = given_counts(labels, predicted, given, groups, 5)
    weights = np.random.default_rng(seed).integers(0, 4, (10, 5))
    found = scores_of_confusions(weighted_confusions(tables, weights))
    for k, row in enumerate(weights):
        more = np.repeat(np.arange(len(labels)), row[groups])
        expected = class_scores(labels[more], predicted[more], V)
        assert found.macro_f1[k] == pytest.approx(expected.macro_f1)
        assert found.accuracy[k] == pytest.approx(expected.accuracy)
        assert counts.under(weights)[k] == pytest.approx(accuracy_given(labels[more], predicted[more], given[more]))


@pytest.mark.parametrize("counts", [(3, 2, 0), (1, 1, 1), (4, 1, 1)])
def test_chance_is_the_mean_over_all_answers(counts):
    labels = np.repeat(np.arange(V), counts)
    every = [class_scores(labels, np.array(a), V) for a in itertools.product(range(V), repeat=len(labels))]
    chance = chance_scores(counts)
    assert chance.accuracy[0] == pytest.approx(np.mean([one.accuracy for one in every]))
    assert chance.balanced_accuracy[0] == pytest.approx(np.mean([one.balanced_accuracy for one in every]))
    assert chance.macro_f1[0] == pytest.approx(np.mean([one.macro_f1 for one in every]))


@pytest.mark.parametrize("named", [None, 1])
def test_naming_one_class_scores_what_it_scores(named):
    counts = [5, 3, 2]
    labels = np.repeat(np.arange(V), counts)
    expected = class_scores(labels, np.full(10, 0 if named is None else named), V)
    found = majority_scores(counts, named)
    assert found.accuracy[0] == expected.accuracy == (0.3 if named else 0.5)
    assert found.macro_f1[0] == pytest.approx(expected.macro_f1)
    assert found.balanced_accuracy[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize("seed", range(4))
def test_accuracy_given_is_the_mean_of_the_accuracies_within(seed):
    labels, predicted, given, _ = made(seed)
    within = []
    for condition in given.T:
        own = condition & (labels >= 0)
        if own.any():
            within.append(accuracy_score(labels[own], predicted[own]))
    assert len(within) == 3, "the fourth condition is never met"
    assert accuracy_given(labels, predicted, given) == pytest.approx(np.mean(within))


def test_a_sample_with_two_conditions_counts_in_both_and_one_without_in_none():
    labels, predicted = [0, 1, 2], [0, 0, 0]
    given = [[True, True], [False, True], [False, False]]
    assert accuracy_given(labels, predicted, given) == pytest.approx((1 + 1 / 2) / 2)
    assert accuracy_given([-1], [0], [[True]]) is None


def test_the_rule_is_fitted_on_one_set_and_scored_on_another():
    train_labels = np.array([0, 0, 1, 2, 2, -1, 1])
    train_given = np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 0]], bool)
    rule = most_frequent_given(train_labels, train_given, V)
    assert rule.tolist() == [0, 2, 0], "never met: the most frequent class of all, the lower of equal ones"
    labels, given = np.array([0, 1, 2]), np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], bool)
    found = accuracy_given(labels, rule_answers(rule, 3), given)
    assert found == pytest.approx((0.5 + 0.5) / 2)


@pytest.mark.parametrize(
    "call",
    [
        lambda: class_scores([0, 3], [0, 1], V),
        lambda: class_scores([0, 1], [0, -1], V),
        lambda: class_scores([0, 1], [0], V),
        lambda: class_scores([0.0, 1.0], [0, 1], V),
        lambda: accuracy_given([0, 1], [0, 1], [[True]]),
        lambda: accuracy_given([0, 1], [[0, 1, 2]] * 2, [[True, False]] * 2),
    ],
)
def test_what_is_no_class_or_does_not_fit_is_refused(call):
    with pytest.raises(UsageError):
        call()
