"""Confusion counts and the best-F1 threshold against brute force and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score

from veritrain.errors import UsageError
from veritrain.metrics.threshold import Confusion, best_f1_threshold, chance_f1, confusion


def made(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size=60)
    labels[:2] = [0, 1]
    return np.round(rng.normal(size=60) + labels, 1), labels


@pytest.mark.parametrize("seed", range(10))
def test_best_f1_equals_the_best_of_all_thresholds(seed):
    scores, labels = made(seed)
    best = best_f1_threshold(scores, labels)
    every = {t: f1_score(labels, scores >= t) for t in np.unique(scores)}
    assert best.confusion.f1 == pytest.approx(max(every.values()))
    assert best.threshold == max(t for t, f1 in every.items() if f1 == pytest.approx(max(every.values())))
    assert confusion(scores, labels, best.threshold) == best.confusion


def test_of_equal_f1_the_threshold_with_fewer_alarms_is_taken():
    best = best_f1_threshold([4.0, 3.0, 3.0, 2.0], [1, 0, 0, 1])  # 2/3 at 4.0 and at 2.0
    assert best.threshold == 4.0 and best.confusion == Confusion(tp=1, fp=0, fn=1, tn=2)


@pytest.mark.parametrize("threshold", [-9.0, 0.0, 0.5, 9.0])
def test_counts_equal_scikit_learn(threshold):
    scores, labels = made(3)
    found = confusion(scores, labels, threshold)
    tn, fp, fn, tp = confusion_matrix(labels, scores >= threshold, labels=[0, 1]).ravel()
    assert (found.tp, found.fp, found.fn, found.tn, found.n) == (tp, fp, fn, tn, 60)


def test_rates_by_hand():
    counts = Confusion(tp=3, fp=1, fn=2, tn=4)
    assert counts.precision == 0.75 and counts.recall == 0.6 and counts.specificity == 0.8
    assert counts.accuracy == 0.7 and counts.balanced_accuracy == pytest.approx(0.7)
    assert counts.f1 == pytest.approx(2 / 3)


def test_rates_without_a_denominator_are_undefined():
    empty = Confusion(0, 0, 0, 0)
    assert {empty.precision, empty.recall, empty.specificity, empty.accuracy, empty.f1} == {None}
    assert Confusion(1, 0, 0, 0).balanced_accuracy is None
    assert best_f1_threshold([0.1, 0.2], [0, 0]) is None
    assert chance_f1(4, 0) is None and chance_f1(4, 4) is None


def test_threshold_survives_float32():
    scores = np.array([0.1, 0.7, 0.3], np.float32)
    best = best_f1_threshold(scores, [0, 1, 0])
    assert confusion(scores, [0, 1, 0], best.threshold).f1 == 1.0


def test_chance_f1_is_calling_everything_positive():
    labels = np.array([1] * 3 + [0] * 9)
    assert chance_f1(12, 3) == pytest.approx(f1_score(labels, np.ones(12)))
    assert best_f1_threshold(np.zeros(12), labels).confusion.f1 == pytest.approx(chance_f1(12, 3))


def test_a_nan_threshold_raises():
    with pytest.raises(UsageError, match="NaN"):
        confusion([0.1], [1], float("nan"))
