"""Group intervals: coverage on made data, agreement with scipy, and what they must refuse to say."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from veritrain.errors import UsageError
from veritrain.metrics.ranking import SortedScores, ranking_scores
from veritrain.statistics.intervals import (
    Interval,
    bootstrap_values,
    clopper_pearson,
    group_bootstrap,
    one_at_a_time,
    wilson_interval,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def coverage():
    spec = importlib.util.spec_from_file_location("coverage_script", ROOT / "scripts" / "coverage.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def weighted_mean(values):
    return lambda weights: (weights @ values) / weights.sum(axis=1)


@pytest.mark.parametrize(
    ("holding", "auroc", "shared", "uneven"),
    [(12, 0.5, 0.5, 0.0), (12, 0.85, 0.5, 0.0), (12, 0.95, 0.2, 0.0), (8, 0.7, 0.2, 0.0)],
)
def test_24_groups_cover_what_is_promised(coverage, holding, auroc, shared, uneven):
    simulations = 400
    found = coverage.covered(
        coverage.Setting(24, holding, auroc, shared, uneven), simulations=simulations, seed=7, others=False
    )
    noise = 2.6 * np.sqrt(0.95 * 0.05 / simulations)
    assert 0.90 <= found["ours"][0] <= 0.97 + noise


def test_the_plain_percentile_interval_would_not_cover(coverage):
    found = coverage.covered(coverage.Setting(24, 8, 0.95, 0.5, 0.0), simulations=300, seed=7)
    assert found["percentile"][0] < 0.88 < 0.90 <= found["ours"][0]


def test_a_made_world_has_the_auroc_it_states(coverage):
    setting = coverage.Setting(24, 12, 0.85, 0.5, 0.7)
    rng = np.random.default_rng(0)
    labels = setting.labels(rng, 24_000)
    scores = setting.scores(rng, labels)
    for model in (scores, setting.rival(rng, labels, scores)):
        assert ranking_scores(model.ravel(), labels.ravel()).auroc == pytest.approx(0.85, abs=0.005)


def test_an_unbounded_mean_gets_students_interval():
    # One stratum, no bounds: the widened standard error and t make Student's interval of the mean.
    values = np.random.default_rng(1).normal(3, 2, size=15)
    found = group_bootstrap(15, weighted_mean(values), n_resamples=40_000, bounds=None)
    error = values.std(ddof=1) / np.sqrt(15)
    low, high = stats.t.interval(0.95, 14, values.mean(), error)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.02), pytest.approx(high, abs=0.02))
    assert found.estimate == pytest.approx(values.mean())


def test_resampled_values_spread_as_scipy_says():
    values = np.random.default_rng(2).exponential(size=20)
    ours = bootstrap_values(20, weighted_mean(values), n_resamples=20_000, seed=1)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, rng=np.random.default_rng(1))
    assert ours.std() == pytest.approx(theirs.standard_error, rel=0.03)
    theirs_low, theirs_high = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert np.quantile(ours, [0.025, 0.975]) == pytest.approx([theirs_low, theirs_high], abs=0.02)


def test_two_strata_get_the_degrees_of_freedom_of_welch():
    # A difference of two independent means is Welch's problem exactly.
    rng = np.random.default_rng(3)
    values, strata = np.concatenate([rng.normal(0, 3, 8), rng.normal(0, 1, 16)]), np.arange(24) < 8

    def difference(weights):
        left, right = weights[:, strata], weights[:, ~strata]
        return left @ values[strata] / left.sum(1) - right @ values[~strata] / right.sum(1)

    found = group_bootstrap(24, difference, strata=strata, n_resamples=40_000, bounds=None)
    welch = stats.ttest_ind(values[strata], values[~strata], equal_var=False).confidence_interval()
    assert (found.low, found.high) == (pytest.approx(welch.low, abs=0.05), pytest.approx(welch.high, abs=0.05))


def test_multiplicities_keep_each_stratum_at_its_size():
    strata, seen = np.arange(12) % 3 == 0, []
    bootstrap_values(12, lambda w: seen.append(w) or np.zeros(len(w)), n_resamples=50, strata=strata)
    weights = np.concatenate(seen)
    assert weights.shape == (50, 12)
    assert (weights[:, strata].sum(1) == 4).all() and (weights[:, ~strata].sum(1) == 8).all()
    assert np.unique(weights, axis=0).shape[0] > 40


def test_blocks_do_not_change_the_number_of_resamples(monkeypatch):
    monkeypatch.setattr("veritrain.statistics.intervals.BLOCK", 64)
    values = np.random.default_rng(0).random(10)
    found = group_bootstrap(10, weighted_mean(values), n_resamples=101)
    assert found.n_resamples == 101 and found.low < values.mean() < found.high


@given(st.integers(0, 2**31), st.integers(10, 30))
@settings(max_examples=25, deadline=None)
def test_an_interval_stays_in_bounds_and_holds_its_estimate(seed, groups):
    rng = np.random.default_rng(seed)
    found = group_bootstrap(groups, weighted_mean(rng.beta(0.3, 0.3, size=groups)), n_resamples=200, seed=seed)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_a_score_and_its_complement_get_mirrored_intervals():
    values = np.random.default_rng(5).random(14) ** 4
    up = group_bootstrap(14, weighted_mean(values))
    down = group_bootstrap(14, weighted_mean(1 - values))
    assert (down.low, down.high) == (pytest.approx(1 - up.high), pytest.approx(1 - up.low))


def test_more_groups_make_it_shorter_and_a_higher_level_longer():
    rng = np.random.default_rng(6)
    few, many = rng.random(12), rng.random(200)
    width = [
        found.high - found.low
        for found in (
            group_bootstrap(200, weighted_mean(many)),
            group_bootstrap(12, weighted_mean(few)),
            group_bootstrap(12, weighted_mean(few), level=0.99),
        )
    ]
    assert width == sorted(width) and width[0] < width[1] / 3


def test_equal_seeds_give_equal_intervals():
    values = np.random.default_rng(0).random(11)
    assert group_bootstrap(11, weighted_mean(values), seed=4) == group_bootstrap(11, weighted_mean(values), seed=4)
    assert group_bootstrap(11, weighted_mean(values), seed=4) != group_bootstrap(11, weighted_mean(values), seed=5)


@pytest.mark.parametrize(("value", "expected"), [(1.0, (0.025 ** (1 / 12), 1.0)), (0.0, (0.0, 1 - 0.025 ** (1 / 12)))])
def test_a_score_on_its_bound_is_not_certain(value, expected):
    found = group_bootstrap(30, weighted_mean(np.full(30, value)), strata=np.arange(30) < 12)
    assert (found.low, found.high) == pytest.approx(expected)
    exact = clopper_pearson(12 if value else 0, 12)
    assert (found.low, found.high) == pytest.approx(exact)


def test_undefined_resamples_are_counted():
    # Unstratified, a resample misses both groups with positives with probability (10/12)^12.
    scores, group = np.random.default_rng(0).random(120), np.repeat(np.arange(12), 10)
    table = SortedScores(scores, (group < 2) & (np.arange(120) % 3 == 0), group)
    found = group_bootstrap(12, lambda w: table.scores(w).auroc, n_resamples=4000)
    assert found.undefined / 4000 == pytest.approx((10 / 12) ** 12, abs=0.02)
    stratified = group_bootstrap(12, lambda w: table.scores(w).auroc, strata=table.strata)
    assert stratified.undefined == 0 and found.low is not None


@pytest.mark.parametrize(("groups", "reliable"), [(9, False), (10, True)])
def test_below_ten_groups_it_is_unreliable(groups, reliable):
    assert group_bootstrap(groups, weighted_mean(np.linspace(0.2, 0.8, groups))).reliable is reliable


@pytest.mark.parametrize(
    ("groups", "strata", "value"),
    [(1, None, 0.5), (12, np.arange(12) < 1, 0.5), (12, None, np.nan)],
    ids=["one group", "one positive group", "undefined"],
)
def test_where_nothing_can_be_said_nothing_is_said(groups, strata, value):
    found = group_bootstrap(groups, lambda w: np.full(len(w), value), strata=strata, n_resamples=10)
    assert (found.low, found.high, found.reliable) == (None, None, False)
    assert found.estimate == (None if np.isnan(value) else value)
    assert isinstance(found, Interval)


def test_one_negative_group_joins_the_other_stratum():
    values = np.random.default_rng(0).random(12)
    alone = group_bootstrap(12, weighted_mean(values), strata=np.arange(12) < 11)
    assert alone == group_bootstrap(12, weighted_mean(values))


def test_a_function_of_one_vector_can_be_wrapped():
    values = np.random.default_rng(0).random(12)
    single = one_at_a_time(lambda w: None if w[0] > 2 else float(w @ values / w.sum()))
    found = group_bootstrap(12, single, n_resamples=500)
    assert 0 < found.undefined < 100 and found.low < found.estimate < found.high


@pytest.mark.parametrize(
    "call",
    [
        lambda: group_bootstrap(0, weighted_mean(np.zeros(0))),
        lambda: group_bootstrap(3, weighted_mean(np.zeros(3)), level=1.0),
        lambda: group_bootstrap(3, weighted_mean(np.zeros(3)), strata=[True, False]),
        lambda: group_bootstrap(3, lambda w: 0.5),
        lambda: group_bootstrap(3, weighted_mean(np.full(3, 2.0))),
        lambda: wilson_interval(3, 2),
        lambda: clopper_pearson(-1, 2),
    ],
)
def test_what_cannot_be_meant_raises(call):
    with pytest.raises(UsageError):
        call()


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (1, 1), (57, 400)])
def test_rates_equal_scipy(k, n):
    for ours, method in ((wilson_interval(k, n), "wilson"), (clopper_pearson(k, n), "exact")):
        theirs = stats.binomtest(k, n).proportion_ci(method=method)
        assert ours == (pytest.approx(theirs.low, abs=1e-12), pytest.approx(theirs.high, abs=1e-12))


def test_clopper_pearson_never_covers_less_than_promised():
    n, ends = 12, [clopper_pearson(k, 12) for k in range(13)]
    for rate in np.linspace(0.01, 0.99, 50):
        held = sum(stats.binom.pmf(k, n, rate) for k, (low, high) in enumerate(ends) if low <= rate <= high)
        assert held >= 0.95


def test_no_trials_have_no_rate():
    assert wilson_interval(0, 0) is None and clopper_pearson(0, 0) is None


def test_the_page_shows_the_promise_kept():
    page = (ROOT / "docs" / "intervals.md").read_text(encoding="utf-8")
    assert "made" in page
    rows = [line for line in page.splitlines() if line.startswith("| 24 |")]
    held = [float(row.split("|")[6]) for row in rows]
    # 1,000 simulations a row: 97 within two Monte-Carlo standard errors.
    assert len(rows) == 36 and all(90 <= value <= 98.1 for value in held)
