"""The between-group test: uniform without signal, small with it, equal to brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from veritrain.errors import UsageError
from veritrain.metrics.histogram import score_bins
from veritrain.metrics.ranking import ranking_scores
from veritrain.statistics import permutation
from veritrain.statistics.permutation import (
    PairTables,
    between_group_permutation,
    pair_tables,
    permutation_test,
    permutation_test_dense,
    permutation_test_frames,
    permutation_test_tables,
)


def made(seed, groups=8, frames=12, signal=0.0):
    """Group offsets, windows of 5 at a random place in every second group."""
    rng = np.random.default_rng(seed)
    start = rng.integers(0, frames - 4, size=(groups, 1))
    labels = (np.arange(frames) >= start) & (np.arange(frames) < start + 5) & (np.arange(groups) % 2 == 0)[:, None]
    scores = rng.normal(size=(groups, frames)) + rng.normal(size=(groups, 1)) + signal * labels
    return scores.ravel(), labels.ravel().astype(int), np.repeat(np.arange(groups), frames)


def brute_force(scores, labels, groups, score):
    """Every exchange, by hand: group a is judged by the labels of group b."""
    ids, values = np.unique(groups), []
    for order in itertools.permutations(ids):
        moved = np.empty_like(labels)
        for a, b in zip(ids, order, strict=True):
            size = np.count_nonzero(groups == a)
            moved[groups == a] = np.tile(labels[groups == b], 9)[:size]
        known = moved >= 0
        values.append(score(moved[known], scores[known]))
    return np.array(values)


@pytest.mark.parametrize(("statistic", "score"), [("auroc", roc_auc_score), ("ap", average_precision_score)])
@pytest.mark.parametrize("kind", ["plain", "ties", "lengths", "unknown"])
def test_every_exchange_equals_brute_force(statistic, score, kind):
    scores, labels, groups = made(3, groups=5, signal=0.8)
    if kind == "ties":
        scores = np.round(scores)
    if kind == "lengths":
        keep = ~((groups == 1) & (np.arange(60) % 3 == 0)) & ~((groups == 4) & (np.arange(60) > 53))
        scores, labels, groups = scores[keep], labels[keep], groups[keep]
    if kind == "unknown":
        labels = np.where(np.arange(60) % 7 == 0, -1, labels)
    found = permutation_test_frames(scores, labels, groups, statistic, n_permutations=9999)
    every = brute_force(scores, labels, groups, score)
    assert found.exhaustive and found.n_permutations == 120 and found.n_groups == 5
    assert found.observed == pytest.approx(every[0], abs=1e-12)
    assert found.p_value == pytest.approx(np.mean(every >= every[0] - 1e-9))
    assert found.null_mean == pytest.approx(every.mean(), abs=1e-12)
    assert found.null_quantiles == pytest.approx(tuple(np.quantile(every, [0.05, 0.5, 0.95])), abs=1e-12)


def test_random_exchanges_agree_with_all_of_them():
    case = made(5, groups=7, signal=0.4)
    every = permutation_test_frames(*case, n_permutations=5039)
    some = permutation_test_frames(*case, n_permutations=4000, seed=1)
    assert every.exhaustive and not some.exhaustive
    assert some.p_value == pytest.approx(every.p_value, abs=4 * np.sqrt(0.25 / 4000))
    assert some.null_mean == pytest.approx(every.null_mean, abs=0.01)


def test_p_is_uniform_without_signal():
    p = [permutation_test_frames(*made(seed), n_permutations=199, seed=seed).p_value for seed in range(400)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 2.6 * np.sqrt(0.05 * 0.95 / 400)


def test_p_is_small_with_signal():
    p = [permutation_test_frames(*made(seed, signal=2.5), n_permutations=199).p_value for seed in range(20)]
    assert np.mean(np.array(p) <= 0.05) > 0.8


def test_a_score_that_knows_only_the_position_shows_nothing():
    # All windows stand at the same place: frames score by place alone, AUROC is high, p is not low.
    labels = np.tile(np.isin(np.arange(12), range(4, 9)).astype(int), 8)
    scores = np.tile(-np.abs(np.arange(12) - 6.0), 8)
    found = permutation_test_frames(scores, labels, np.repeat(np.arange(8), 12))
    assert found.observed > 0.9 and found.p_value == 1.0
    assert found.smallest_p == 1.0  # equal label sequences: the test could not have shown anything


def test_smallest_p_is_reached_by_a_perfect_score():
    labels = np.repeat([1, 0, 0, 0, 0, 0], 4)
    found = permutation_test_frames(labels + 0.0, labels, np.repeat(np.arange(6), 4))
    assert found.p_value == pytest.approx(found.smallest_p) == pytest.approx(1 / 6)


def test_observed_scores_equal_the_metrics():
    scores, labels, groups = made(2, signal=1.0)
    exact = ranking_scores(np.round(scores, 1), labels)
    for name in ("auroc", "ap"):
        found = permutation_test_frames(np.round(scores, 1), labels, groups, name, n_permutations=20)
        assert found.observed == pytest.approx(getattr(exact, name), abs=1e-12)


def test_one_class_gives_no_p():
    found = permutation_test_frames(np.arange(6.0), np.zeros(6), np.repeat([0, 1, 2], 2), n_permutations=20)
    assert (found.p_value, found.observed, found.null_mean, found.null_quantiles) == (None, None, None, None)
    assert found.undefined == found.n_permutations == 6


def test_undefined_exchanges_count_against_the_claim():
    # Group 0 has one frame, so a positive that sits late in another sequence is cut off.
    scores, labels = np.array([0.0, 1, 2, 3]), np.array([0, 0, 0, 1])
    found = permutation_test_frames(scores, labels, [0, 1, 1, 1], n_permutations=20)
    assert found.undefined == 1 and found.p_value == 1.0


def test_dense_tables_equal_frames_on_the_same_bins():
    scores, labels, groups = made(4, groups=6, signal=1.0)
    labels = np.where(np.arange(labels.size) % 11 == 0, -1, labels)
    bins = score_bins(scores, -4, 4, 64)
    each = [groups == g for g in range(6)]
    tables = pair_tables([bins[m] for m in each], [labels[m] for m in each], 64)
    for statistic in ("auroc", "ap"):
        dense = permutation_test_dense(tables, statistic, n_permutations=999)
        frames = permutation_test_frames(bins, labels, groups, statistic, n_permutations=999)
        assert dense == frames


def test_tables_that_do_not_fit_raise():
    with pytest.raises(UsageError, match="not tables"):
        permutation_test_tables(np.ones((2, 3, 4)), np.ones((2, 3, 4)))
    for bins, labels in (([[0]], [[0], [1]]), ([[2]], [[0]]), ([[-1]], [[0]]), ([[0]], [[2]]), ([[]], [[0]])):
        with pytest.raises(UsageError):
            pair_tables(bins, labels, 2)


def test_pair_tables_by_hand():
    tables = pair_tables([[0, 1, 1], [2]], [[1, 0, -1], [0]], 3)
    assert tables.positives[0, 0].tolist() == [1, 0, 0] and tables.negatives[0, 0].tolist() == [0, 1, 0]
    assert tables.positives[1, 0].tolist() == [0, 0, 1] and tables.negatives[0, 1].tolist() == [1, 2, 0]
    assert isinstance(tables, PairTables)


def test_additive_tables_equal_brute_force():
    table = np.random.default_rng(0).normal(size=(6, 6)) + np.eye(6)
    found = between_group_permutation(table, n_permutations=9999)
    every = np.array([sum(table[a, b] for a, b in enumerate(order)) for order in itertools.permutations(range(6))])
    assert found.exhaustive and found.observed == pytest.approx(np.trace(table))
    assert found.p_value == pytest.approx(np.mean(every >= every[0] - 1e-12))
    higher = between_group_permutation(table, observed=100.0)
    assert higher.p_value == pytest.approx(1 / 720) and higher.observed == pytest.approx(100.0)


def test_rank_sums_of_pairs_give_the_same_p_as_frames():
    scores, labels, groups = made(8, groups=6, signal=0.7)
    ranks = stats.rankdata(scores).reshape(6, 12)
    found = between_group_permutation(ranks @ labels.reshape(6, 12).T)
    assert found.p_value == permutation_test_frames(scores, labels, groups).p_value


def test_any_score_can_be_tested():
    own = permutation_test(lambda exchange: (exchange == np.arange(9)).sum(axis=1), 9, n_permutations=999)
    assert own.observed == 9.0 and own.p_value == 1 / 1000 and own.smallest_p == 1 / 1000
    assert own.null_mean == pytest.approx(1.0, abs=0.15)  # one fixed point on average


def test_equal_seeds_give_equal_results():
    case = made(1)
    assert permutation_test_frames(*case, n_permutations=99, seed=3) == permutation_test_frames(
        *case, n_permutations=99, seed=3
    )


def test_blocks_do_not_change_the_result(monkeypatch):
    case = made(1)
    whole = permutation_test_frames(*case, n_permutations=500)
    monkeypatch.setattr(permutation, "BLOCK", 96 * 500)
    assert permutation_test_frames(*case, n_permutations=500) == whole


@pytest.mark.parametrize(
    ("scores", "labels", "groups"),
    [
        ([0.1, np.nan], [0, 1], [0, 1]),
        ([0.1, 0.2], [0, 2], [0, 1]),
        ([0.1, 0.2], [0, 1], [0]),
        ([0.1, 0.2], [0, 1], [0, 0]),
    ],
    ids=["nan", "label 2", "shape", "one group"],
)
def test_what_cannot_be_exchanged_raises(scores, labels, groups):
    with pytest.raises(UsageError):
        permutation_test_frames(scores, labels, groups)


def test_unknown_statistics_and_tables_raise():
    with pytest.raises(UsageError, match="unknown statistic"):
        permutation_test_frames([0.1, 0.2], [0, 1], [0, 1], "f1")
    with pytest.raises(UsageError, match="table of pairs"):
        between_group_permutation(np.ones((2, 3)))
