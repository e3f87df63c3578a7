"""Calibration against brute force and scikit-learn; calibrated confidences have the error they are said to have."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from veritrain.errors import UsageError
from veritrain.metrics.calibration import (
    CalibrationTable,
    brier_of_samples,
    brier_score,
    equal_mass_bins,
    expected_calibration_error,
    prior_brier,
)
from veritrain.metrics.expectation import Expected


def made(seed: int, n: int = 200, over: float = 0.15):
    """Confidences that promise more than they keep."""
    rng = np.random.default_rng(seed)
    confidence = rng.beta(5, 1, n)
    return confidence, rng.random(n) < np.clip(confidence - over, 0, 1)


@pytest.mark.parametrize("seed", range(5))
def test_the_error_is_the_mean_distance_of_the_bins(seed):
    confidence, correct = made(seed)
    parts = np.array_split(np.argsort(confidence, kind="stable"), 10)
    expected = sum(abs(confidence[part].mean() - correct[part].mean()) * len(part) for part in parts) / len(confidence)
    assert expected_calibration_error(confidence, correct, bins=10) == pytest.approx(expected)


def test_reliability_equals_scikit_learn_on_quantile_bins():
    confidence, correct = made(1, 1000)
    true, stated = calibration_curve(correct, confidence, n_bins=10, strategy="quantile")
    found = CalibrationTable(confidence, correct).reliability()
    assert [one.accuracy for one in found] == pytest.approx(true)
    assert [one.confidence for one in found] == pytest.approx(stated)
    assert [one.n for one in found] == [100] * 10
    assert all(a.low <= a.high < b.low for a, b in itertools.pairwise(found))


def test_equal_values_share_a_bin_and_bins_hold_equal_shares():
    assert equal_mass_bins([0.1, 0.9, 0.5, 0.7], 2).tolist() == [0, 1, 0, 1]
    assert equal_mass_bins([0.5] * 5 + [0.9], 3).tolist() == [0] * 5 + [1]
    assert np.bincount(equal_mass_bins(np.random.default_rng(0).random(100), 7)).max() <= 15


@pytest.mark.parametrize("seed", range(3))
def test_weights_count_groups_as_often_as_they_say(seed):
    confidence, correct = made(seed)
    groups = np.random.default_rng(seed).integers(0, 6, 200)
    table = CalibrationTable(confidence, correct, groups, 6)
    weights = np.random.default_rng(seed + 9).integers(0, 3, (8, 6))
    for value, row in zip(table.error(weights), weights, strict=True):
        times = row[groups]
        distance = [
            abs((times * (confidence - correct))[table.bin_of == b].sum()) for b in range(int(table.bin_of.max()) + 1)
        ]
        assert value == pytest.approx(sum(distance) / times.sum())
    assert np.isnan(table.error(np.zeros((1, 6))))[0]


def test_calibrated_confidences_have_the_error_that_is_expected_of_them():
    rng = np.random.default_rng(0)
    confidence = rng.beta(4, 2, 400)
    found = [expected_calibration_error(confidence, rng.random(400) < confidence) for _ in range(300)]
    told = CalibrationTable(confidence, confidence > 0.5).calibrated_error()
    assert told.value > 0.02, "a finite sample is never perfectly calibrated"
    assert abs(np.mean(found) - told.value) < 4 * np.hypot(np.std(found) / 300**0.5, told.standard_error)
    over, kept = made(3, 400)
    assert expected_calibration_error(over, kept) > 2 * CalibrationTable(over, kept).calibrated_error().value


@pytest.mark.parametrize("seed", range(3))
def test_brier_equals_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    probabilities, labels = rng.dirichlet(np.ones(4), 50), rng.integers(0, 4, 50)
    assert brier_score(probabilities, labels) == pytest.approx(
        brier_score_loss(labels, probabilities, labels=range(4), scale_by_half=False)
    )


def test_unknown_labels_have_no_brier_score():
    each = brier_of_samples([[1.0, 0.0], [0.5, 0.5]], [-1, 0])
    assert np.isnan(each[0]) and each[1] == 0.5
    assert brier_score([[1.0, 0.0]], [-1]) is None


def test_stating_the_shares_scores_their_own_brier():
    labels = np.repeat([0, 1, 2], [5, 3, 2])
    assert prior_brier([5, 3, 2]) == pytest.approx(brier_score(np.tile([0.5, 0.3, 0.2], (10, 1)), labels))
    assert prior_brier([0, 0]) is None


def test_without_samples_it_is_undefined():
    assert expected_calibration_error([], []) is None
    empty = CalibrationTable([], [])
    assert empty.reliability() == [] and empty.calibrated_error() == Expected(None, None)


@pytest.mark.parametrize(
    "call",
    [
        lambda: expected_calibration_error([1.2], [True]),
        lambda: expected_calibration_error([np.nan], [True]),
        lambda: expected_calibration_error([0.5, 0.5], [True]),
        lambda: brier_score([[0.5, 0.2]], [0]),
        lambda: brier_score([[2.0, -1.0]], [0]),
        lambda: brier_score([[0.5, 0.5]], [0, 1]),
    ],
)
def test_what_is_no_probability_is_refused(call):
    with pytest.raises(UsageError):
        call()
