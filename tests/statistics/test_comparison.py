"""The four words, Holm's correction by hand, and intervals against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from veritrain.errors import UsageError
from veritrain.statistics.comparison import compare_family, compare_paired, holm, in_family, paired_interval

BASE = np.array([0.71, 0.69, 0.72, 0.70, 0.68, 0.73, 0.70, 0.71])
STEADY = np.array([0.04, 0.05, 0.06, 0.05, 0.04, 0.06, 0.05, 0.05])
MIXED = np.array([0.05, -0.04, 0.06, -0.05, 0.02, -0.01, 0.03, -0.06])


@pytest.mark.parametrize(
    ("gain", "direction", "equivalence", "word"),
    [
        (STEADY, "higher", None, "improves"),
        (-STEADY, "higher", None, "worse"),
        (STEADY, "lower", None, "worse"),
        (-STEADY, "lower", None, "improves"),
        (MIXED, "higher", None, "not shown"),
        (MIXED, "higher", 0.1, "equivalent within 0.1"),
        (MIXED, "higher", 0.01, "not shown"),
        (STEADY, "higher", 0.1, "equivalent within 0.1"),
        (STEADY, "higher", 0.05, "improves"),
    ],
)
def test_the_words(gain, direction, equivalence, word):
    assert compare_paired(BASE + gain, BASE, direction, equivalence).word == word


@pytest.mark.parametrize(("n", "word"), [(1, "not shown"), (3, "not shown"), (5, "not shown"), (6, "improves")])
def test_no_claim_below_six_seeds(n, word):
    found = compare_paired(BASE[:n] + STEADY[:n], BASE[:n])
    assert (found.word, found.n, found.smallest_p) == (word, n, 2 / 2**n)


def test_both_the_interval_and_the_flips_must_agree():
    # One seed far off: the flips alone would say improves, the t interval holds zero.
    gain = np.array([0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 1.0])
    found = compare_paired(BASE + gain, BASE)
    assert found.p <= 0.05 and found.low < 0 < found.high and found.word == "not shown"


def test_numbers_are_those_of_the_pairs():
    found = compare_paired(BASE + STEADY, BASE)
    low, high = stats.ttest_1samp(STEADY, 0).confidence_interval()
    assert found.gain == pytest.approx(0.05) and found.p == pytest.approx(2 / 256)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert compare_paired([1.0], [0.5]).low is None


@pytest.mark.parametrize("margin", np.linspace(0.005, 0.06, 40))
def test_equivalence_is_two_one_sided_tests(margin):
    gains = np.random.default_rng(0).normal(0.01, 0.03, size=10)
    both = max(
        stats.ttest_1samp(gains, -margin, alternative="greater").pvalue,
        stats.ttest_1samp(gains, margin, alternative="less").pvalue,
    )
    word = compare_paired(gains, np.zeros(10), equivalence=margin).word
    assert word.startswith("equivalent") == (both <= 0.05)


@pytest.mark.parametrize(
    ("p", "adjusted"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.04], [0.04]),
        ([], []),
    ],
)
def test_holm_by_hand(p, adjusted):
    assert holm(p) == pytest.approx(adjusted)


def test_holm_lies_between_the_plain_and_the_bonferroni_values():
    p = np.random.default_rng(0).random(12) ** 2
    adjusted = np.array(holm(p))
    assert (adjusted >= p).all() and (adjusted <= np.minimum(12 * p, 1) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()


def test_a_family_pays_for_its_size():
    pair = (BASE[:6] + STEADY[:6], BASE[:6])
    assert compare_family({"one": pair})["one"].word == "improves"
    many = compare_family({str(i): pair for i in range(3)})
    assert {found.word for found in many.values()} == {"not shown"}  # 3 x 2/64 is above 0.05
    assert many["0"].p == pytest.approx(3 * 2 / 64)


@pytest.mark.parametrize(
    ("gain", "equivalence", "p", "word"),
    [
        (STEADY, None, 0.05, "improves"),
        (STEADY, None, 0.051, "not shown"),
        (-STEADY, None, 0.04, "worse"),
        (-STEADY, None, 1.0, "not shown"),
        (MIXED, 0.1, 1.0, "equivalent within 0.1"),
        (MIXED, None, 0.001, "not shown"),
    ],
)
def test_a_word_must_survive_the_p_of_its_family(gain, equivalence, p, word):
    alone = compare_paired(BASE + gain, BASE, equivalence=equivalence)
    found = in_family(alone, p)
    assert (found.word, found.p) == (word, p) and (found.low, found.gain) == (alone.low, alone.gain)


def test_bca_equals_scipy_and_equal_gains_do_not_break_it():
    gains = np.random.default_rng(1).exponential(size=15)
    theirs = stats.bootstrap((gains,), np.mean, method="BCa", rng=np.random.default_rng(0)).confidence_interval
    assert paired_interval(gains, method="bca") == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    assert paired_interval(np.full(8, 0.1), method="bca") == pytest.approx((0.1, 0.1))
    assert paired_interval([0.1]) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda: compare_paired([0.1, np.nan], [0.1, 0.2]),
        lambda: compare_paired([0.1], [0.1, 0.2]),
        lambda: compare_paired([], []),
        lambda: compare_paired([0.1], [0.2], "up"),
        lambda: compare_paired([0.1], [0.2], equivalence=-1.0),
        lambda: paired_interval([0.1, 0.2], method="z"),
        lambda: holm([0.1, np.nan]),
        lambda: holm([1.2]),
    ],
)
def test_what_cannot_be_compared_raises(call):
    with pytest.raises(UsageError):
        call()
