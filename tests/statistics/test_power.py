"""Plans: seeds, groups and power, by the design's table and by independent formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from veritrain.errors import UsageError
from veritrain.statistics.intervals import clopper_pearson
from veritrain.statistics.power import (
    groups_needed,
    rule_of_three,
    seeds_for_power,
    seeds_needed,
    sign_flip_power,
    smallest_p,
    student_power,
)
from veritrain.statistics.signflips import sign_flip_test


@pytest.mark.parametrize(("claims", "seeds"), [(1, 6), (3, 7), (5, 8), (10, 9), (13, 10)])
def test_seeds_of_the_design(claims, seeds):
    assert seeds_needed(claims) == seeds


@pytest.mark.parametrize("claims", range(1, 60))
def test_seeds_are_the_least_that_can_reach_the_level(claims):
    n = seeds_needed(claims)
    assert n == math.ceil(math.log2(2 * claims / 0.05))
    assert claims * smallest_p(n) <= 0.05 < claims * smallest_p(n - 1)


@pytest.mark.parametrize("n", range(1, 12))
def test_smallest_p_is_the_p_of_one_sign(n):
    assert smallest_p(n) == sign_flip_test(np.ones(n))


def test_power_is_zero_where_nothing_can_be_shown():
    assert sign_flip_power(100.0, 5) == 0.0
    assert sign_flip_power(100.0, 6) == 1.0
    assert sign_flip_power(100.0, 6, m_claims=3) == 0.0


def test_power_without_an_effect_is_at_most_the_level():
    assert sign_flip_power(0.0, 8, simulations=4000) <= 0.05 + 2.6 * math.sqrt(0.05 * 0.95 / 4000)


def test_power_is_near_that_of_students_test():
    n, effect = 12, 1.0
    noncentral = stats.nct(n - 1, effect * math.sqrt(n))
    bound = stats.t.ppf(0.975, n - 1)
    expected = noncentral.sf(bound) + noncentral.cdf(-bound)
    assert sign_flip_power(effect, n, simulations=4000) == pytest.approx(expected, abs=0.03)


def test_power_of_both_routes_agrees():
    # Beyond 12 pairs the test is called study by study.
    assert sign_flip_power(0.7, 13, simulations=300) == pytest.approx(
        sign_flip_power(0.7, 12, simulations=300), abs=0.1
    )


@pytest.mark.parametrize(("effect", "n", "alpha"), [(0.5, 10, 0.05), (-1.0, 6, 0.05), (0.3, 40, 0.01)])
def test_students_power_is_its_share_of_made_studies(effect, n, alpha):
    draws = np.random.default_rng(0).normal(effect, 1.0, size=(20_000, n))
    found = np.mean(stats.ttest_1samp(draws, 0.0, axis=1).pvalue <= alpha)
    assert student_power(effect, n, alpha=alpha) == pytest.approx(found, abs=0.012)


def test_without_an_effect_students_power_is_the_level():
    assert student_power(0.0, 9, alpha=0.03) == pytest.approx(0.03)


@pytest.mark.parametrize("effect", [1.5, -1.0])
def test_seeds_for_power_are_the_least_by_simulation(effect):
    n = seeds_for_power(effect, power=0.8)
    assert n is not None and 6 < n <= 12
    assert sign_flip_power(effect, n) >= 0.8 > sign_flip_power(effect, n - 1)


@pytest.mark.parametrize(("effect", "m_claims"), [(0.5, 1), (0.6, 5)])
def test_many_seeds_for_power_are_the_least_of_students_test(effect, m_claims):
    n = seeds_for_power(effect, power=0.9, m_claims=m_claims)
    assert n is not None and n > 13
    level = 0.05 / m_claims
    assert student_power(effect, n, alpha=level) >= 0.9 > student_power(effect, n - 1, alpha=level)


def test_a_huge_effect_still_needs_the_seeds_that_make_a_claim_possible():
    assert seeds_for_power(100.0) == seeds_needed(1) and seeds_for_power(100.0, m_claims=3) == seeds_needed(3)
    assert seeds_for_power(0.01) is None and seeds_for_power(0.0, most=20) is None


@pytest.mark.parametrize("n", [1, 10, 100, 3000])
def test_rule_of_three(n):
    # One-sided 95 % is the upper end of a two-sided exact 90 % interval.
    assert rule_of_three(n) == pytest.approx(clopper_pearson(0, n, 0.90)[1])
    assert n < 30 or rule_of_three(n) == pytest.approx(3 / n, rel=0.05)


def test_rule_of_three_of_nothing_is_undefined():
    assert rule_of_three(0) is None


@pytest.mark.parametrize(("half_width", "deviation"), [(0.05, 0.1), (0.01, 0.1), (0.5, 0.1), (0.02, 0.2)])
def test_groups_needed_is_the_least(half_width, deviation):
    groups = groups_needed(half_width, deviation)

    def width(n):
        return stats.t.ppf(0.975, n - 1) * deviation / math.sqrt(n)

    assert width(groups) <= half_width
    assert groups == 2 or width(groups - 1) > half_width


@pytest.mark.parametrize(
    "call",
    [
        lambda: seeds_needed(0),
        lambda: seeds_needed(1, 1.5),
        lambda: smallest_p(-1),
        lambda: sign_flip_power(1.0, 0),
        lambda: seeds_for_power(1.0, power=1.0),
        lambda: student_power(1.0, 1),
        lambda: rule_of_three(-1),
        lambda: groups_needed(0.0, 0.1),
        lambda: groups_needed(1e-9, 0.1),
    ],
)
def test_impossible_plans_raise(call):
    with pytest.raises(UsageError):
        call()
