"""Sign-flip tests against enumeration by hand and against scipy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from veritrain.errors import UsageError
from veritrain.statistics.signflips import max_t_sign_flip, sign_flip_test


def by_hand(differences, two_sided=True):
    n = len(differences)
    sums = np.array([np.dot(signs, differences) for signs in itertools.product([1, -1], repeat=n)])
    if two_sided:
        return np.mean(np.abs(sums) >= abs(sums[0]) - 1e-9)
    return np.mean(sums >= sums[0] - 1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_equal_to_enumeration(seed):
    rng = np.random.default_rng(seed)
    differences = np.round(rng.normal(0.5, 1, size=seed % 10 + 1), seed % 3)
    assert sign_flip_test(differences) == pytest.approx(by_hand(differences))
    assert sign_flip_test(differences, alternative="greater") == pytest.approx(by_hand(differences, False))


def test_equal_to_scipy():
    differences = np.random.default_rng(1).normal(0.4, 1, size=9)
    theirs = stats.permutation_test((differences,), np.sum, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip_test(differences) == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("n", [1, 5, 6, 8, 10, 20])
def test_one_sign_gives_the_smallest_p(n):
    assert sign_flip_test(np.linspace(1, 2, n)) == pytest.approx(2 / 2**n)


def test_random_flips_agree_with_all_of_them(monkeypatch):
    differences = np.random.default_rng(2).normal(0.4, 1, size=16)
    exact = sign_flip_test(differences)
    monkeypatch.setattr("veritrain.statistics.signflips.MOST_EXACT_FLIPS", 10)
    assert sign_flip_test(differences) == pytest.approx(exact, abs=0.007)
    assert sign_flip_test(np.ones(40)) == pytest.approx(1e-5)  # (1 + 0) / (99,999 + 1): never zero


def test_zeros_show_nothing_and_nothing_is_undefined():
    assert sign_flip_test(np.zeros(8)) == 1.0
    assert sign_flip_test([]) is None


def test_one_claim_needs_no_adjustment():
    differences = np.random.default_rng(3).normal(0.8, 1, size=8)
    assert max_t_sign_flip(differences[:, None])[0] == pytest.approx(sign_flip_test(differences))


def test_the_family_by_enumeration():
    matrix = np.random.default_rng(4).normal([0.0, 0.6, 1.5], 1, size=(7, 3))
    signs = np.array(list(itertools.product([1, -1], repeat=7)))
    # Student's t of every flip, claim by claim: the same order as the statistic in use.
    t = np.abs(np.array([stats.ttest_1samp(s[:, None] * matrix, 0).statistic for s in signs]))
    expected = (t.max(axis=1)[:, None] >= t[0] - 1e-9).mean(axis=0)
    assert max_t_sign_flip(matrix) == pytest.approx(expected)


def test_copies_of_one_claim_cost_nothing_and_a_family_never_gains():
    one = np.random.default_rng(5).normal(0.7, 1, size=(8, 1))
    assert max_t_sign_flip(np.repeat(one, 5, axis=1)) == pytest.approx(np.repeat(max_t_sign_flip(one), 5))
    wide = np.concatenate([one, np.random.default_rng(6).normal(size=(8, 4))], axis=1)
    assert max_t_sign_flip(wide)[0] >= max_t_sign_flip(one)[0]


def test_the_family_is_wrong_no_more_often_than_stated():
    rng = np.random.default_rng(7)
    least = [max_t_sign_flip(rng.normal(size=(8, 5))).min() for _ in range(600)]
    assert np.mean(np.array(least) <= 0.05) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 600)


def test_a_claim_of_zeros_is_one():
    matrix = np.stack([np.zeros(6), np.ones(6)], axis=1)
    assert max_t_sign_flip(matrix).tolist() == [1.0, 2 / 64]
    assert max_t_sign_flip(np.zeros((0, 2))).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("values", [[1.0, np.nan], [[1.0, 2.0]]])
def test_failed_runs_are_not_dropped(values):
    with pytest.raises(UsageError):
        sign_flip_test(values)
