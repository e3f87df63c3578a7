"""Differences of two sets of predictions, over groups."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.probes.paired import paired_difference
from veritrain.statistics.intervals import group_bootstrap


class Means:
    """A score that is the weighted mean of a number for each group."""

    def __init__(self, numbers):
        self.numbers = np.asarray(numbers, float)
        self.n_groups = len(self.numbers)

    def under(self, weights, metric):
        assert metric == "score"
        return (weights * self.numbers).sum(1) / weights.sum(1)

    def strata(self, metric):
        return np.arange(self.n_groups) % 2 == 0


def test_what_both_share_cancels_in_every_resample():
    common = np.random.default_rng(0).uniform(0, 0.7, 20)
    value, interval = paired_difference(Means(common + 0.2), Means(common), "score")
    assert value == pytest.approx(0.2) and interval == pytest.approx([0.2, 0.2])


def test_the_interval_is_that_of_the_difference_and_turns_round_with_it():
    first, second = np.random.default_rng(1).uniform(0, 1, (2, 20))
    value, interval = paired_difference(Means(first), Means(second), "score")
    expected = group_bootstrap(
        20,
        lambda weights: Means(first - second).under(weights, "score"),
        bounds=(-1.0, 1.0),
        strata=Means(first).strata("score"),
    )
    assert value == pytest.approx((first - second).mean())
    assert interval == pytest.approx([expected.low, expected.high])
    back, turned = paired_difference(Means(second), Means(first), "score")
    assert back == pytest.approx(-value) and turned[0] < -value < turned[1]


def test_a_lower_level_is_narrower():
    first, second = np.random.default_rng(1).uniform(0, 1, (2, 20))
    _, wide = paired_difference(Means(first), Means(second), "score")
    _, narrow = paired_difference(Means(first), Means(second), "score", level=0.9)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_an_undefined_difference_is_none():
    value, _ = paired_difference(Means([np.nan] * 12), Means([0.5] * 12), "score")
    assert value is None
