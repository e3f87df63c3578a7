"""Ranking scores again under group weights: equal to the plain ones where they must be, close where binned."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.metrics import grouped
from veritrain.metrics.grouped import GroupedScores, group_histograms
from veritrain.metrics.ranking import ranking_scores

METRICS = ("auroc", "ap", "fpr95")


def flat(seed: int, n: int = 4000, groups: int = 12, *, rate: float = 0.05):
    """Scores that know something, labels, and the group of each."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < rate).astype(np.int8)
    return (rng.random(n) + 0.5 * labels).astype(np.float32), labels, np.sort(rng.integers(0, groups, n))


def repeated(level, weights):
    """The same samples, those of group g ``weights[g]`` times: the bootstrap done by hand."""
    scores, labels, groups = level
    times = np.asarray(weights)[groups]
    return np.repeat(scores, times), np.repeat(labels, times)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("exact", [True, False])
def test_unit_weights_give_the_plain_scores(metric, exact, seed):
    level = flat(seed, 600)
    found = GroupedScores(*level, 12, exact=exact).under(np.ones((1, 12)), metric)
    assert found == pytest.approx(getattr(ranking_scores(*level[:2]), metric), abs=1e-9), "600 scores fit the bins"


@pytest.mark.parametrize("exact", [True, False])
def test_weights_count_groups_as_often_as_they_say(exact):
    level = flat(7, 600)
    weights = np.random.default_rng(1).integers(0, 4, (20, 12))
    table = GroupedScores(*level, 12, exact=exact)
    for metric in METRICS:
        expected = [getattr(ranking_scores(*repeated(level, row)), metric) for row in weights]
        np.testing.assert_allclose(table.under(weights, metric), expected, atol=1e-9)


@pytest.mark.parametrize(("metric", "tolerance"), [("auroc", 1e-4), ("ap", 2e-3), ("fpr95", 2e-3)])
def test_dense_histograms_come_close_to_exact_scores(metric, tolerance):
    level = flat(2, 200_000)
    weights = np.random.default_rng(0).integers(0, 3, (6, 12))
    binned = GroupedScores(*level, 12, exact=False).under(weights, metric)
    exact = GroupedScores(*level, 12, exact=True).under(weights, metric)
    assert np.abs(binned - exact).max() < tolerance
    assert not np.array_equal(binned, exact), "200,000 scores do not fit the bins"


def test_bins_lie_where_the_scores_are():
    """Scores that crowd at the lower end, as those of rare anomalies do, keep their order."""
    scores, labels, groups = flat(4, 20_000)
    crowded = (scores.astype(np.float64) ** 8 * 1e-4).astype(np.float32)
    for metric, tolerance in (("auroc", 1e-4), ("ap", 5e-3)):
        found = GroupedScores(crowded, labels, groups, 12, exact=False).under(np.ones((1, 12)), metric)[0]
        assert found == pytest.approx(getattr(ranking_scores(scores, labels), metric), abs=tolerance)


def test_without_a_positive_a_resample_is_undefined():
    scores, labels, groups = flat(5, 600)
    labels = labels * (groups == 3)
    weights = np.ones((2, 12))
    weights[1, 3] = 0
    for exact in (True, False):
        found = GroupedScores(scores, labels, groups, 12, exact=exact).under(weights, "auroc")
        assert np.isfinite(found[0]) and np.isnan(found[1])


def test_a_group_without_a_known_label_keeps_its_weight_column():
    scores, labels, groups = flat(6, 600)
    known = groups != 5
    table = GroupedScores(scores[known], labels[known], groups[known], 12, exact=True)
    weights = np.ones((2, 12))
    weights[1, 5] = 9
    found = table.under(weights, "auroc")
    assert found[0] == found[1] == pytest.approx(ranking_scores(scores[known], labels[known]).auroc, abs=1e-9)


def test_counting_in_parts_gives_the_same_counts(monkeypatch):
    scores, labels, groups = flat(8, 1000)
    whole = group_histograms(scores, labels, groups, 12)
    assert whole[0].sum() == (labels == 1).sum() and whole[1].sum() == (labels == 0).sum()
    monkeypatch.setattr(grouped, "COUNTED_AT_ONCE", 7)
    for one, other in zip(whole, group_histograms(scores, labels, groups, 12), strict=True):
        np.testing.assert_array_equal(one, other)
