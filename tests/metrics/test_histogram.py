"""Streaming ranking scores: additive, order-preserving, and within their own bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain.errors import UsageError
from veritrain.metrics.histogram import ScoreHistogram, score_bins, scores_of_counts, scores_of_groups
from veritrain.metrics.ranking import SortedScores, ranking_scores


def made(seed, n=4000, share=0.1):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < share
    labels[:2] = [True, False]
    return 1 / (1 + np.exp(-(rng.normal(size=n) + 1.5 * labels - 2))), labels


def filled(scores, labels, **options):
    histogram = ScoreHistogram(**options)
    histogram.update(scores, labels)
    return histogram


@pytest.mark.parametrize("seed", range(5))
def test_scores_already_on_the_grid_are_exact(seed):
    scores, labels = made(seed)
    grid = np.floor(scores * 1024) / 1024
    binned, exact = filled(grid, labels, bins=1024).scores(), ranking_scores(grid, labels)
    assert binned.auroc == pytest.approx(exact.auroc, abs=1e-12)
    assert binned.ap == pytest.approx(exact.ap, abs=1e-12)
    assert (binned.fpr95, binned.n, binned.positives) == (exact.fpr95, exact.n, exact.positives)


@pytest.mark.parametrize("bins", [8, 64, 1024, 65_536])
@pytest.mark.parametrize("seed", range(4))
def test_the_exact_scores_lie_within_the_bounds(bins, seed):
    scores, labels = made(seed, share=[0.003, 0.03, 0.3, 0.9][seed])
    histogram = filled(scores, labels, bins=bins)
    binned, exact, bounds = histogram.scores(), ranking_scores(scores, labels), histogram.error_bounds()
    for name in ("auroc", "ap", "fpr95"):
        assert abs(getattr(binned, name) - getattr(exact, name)) <= getattr(bounds, name) + 1e-12, name


def test_the_error_at_full_resolution_is_as_the_docstring_says():
    scores, labels = made(1, n=300_000, share=0.03)
    binned, exact = filled(scores, labels).scores(), ranking_scores(scores, labels)
    assert binned.auroc == pytest.approx(exact.auroc, abs=1e-6)
    assert binned.ap == pytest.approx(exact.ap, abs=5e-5)
    assert binned.fpr95 == pytest.approx(exact.fpr95, abs=2e-4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 199))
@settings(max_examples=30, deadline=None)
def test_adding_histograms_is_joining_the_streams(seed, cut):
    scores, labels = made(seed, n=200)
    scores = scores * 1.5 - 0.2  # some outside the range
    joined = filled(scores, labels, bins=64)
    added = filled(scores[:cut], labels[:cut], bins=64) + filled(scores[cut:], labels[cut:], bins=64)
    batches = filled(scores[:cut], labels[:cut], bins=64)
    batches.update(scores[cut:], labels[cut:])
    for other in (added, batches):
        assert np.array_equal(other.positives, joined.positives)
        assert np.array_equal(other.negatives, joined.negatives)
        assert (other.clipped, other.scores()) == (joined.clipped, joined.scores())


def test_adding_leaves_both_terms_alone():
    left, right = filled([0.1], [1], bins=4), filled([0.9], [0], bins=4)
    total = left + right
    total.update([0.5], [1])
    assert left.positives.sum() == 1 and right.positives.sum() == 0


@given(st.lists(st.floats(-2, 3, allow_nan=False), min_size=2, max_size=50))
@settings(max_examples=100, deadline=None)
def test_bins_keep_the_order(values):
    ordered = np.sort(np.array(values))
    assert (np.diff(score_bins(ordered, 0.0, 1.0, 100)) >= 0).all()


def test_ends_of_the_range_and_clipping():
    histogram = filled([0.0, 1.0, -0.5, 1.5, 0.25], [1, 1, 0, 0, 0], bins=4)
    assert histogram.positives.tolist() == [1, 0, 0, 1]
    assert histogram.negatives.tolist() == [1, 1, 0, 1]
    assert histogram.clipped == 2


def test_counts_have_no_int32_limit():
    histogram = filled([0.1, 0.9], [0, 1], bins=2)
    for _ in range(33):
        histogram = histogram + histogram
    assert histogram.scores().n == 2**34 and histogram.scores().auroc == 1.0


def test_one_class_is_undefined():
    histogram = filled([0.1, 0.2], [0, 0], bins=4)
    assert histogram.scores().auroc is None and histogram.scores().n == 2
    assert histogram.error_bounds().ap is None
    assert np.isnan(scores_of_counts([0, 0], [1, 1]).auroc)


def test_group_weights_equal_the_sorted_form():
    scores, labels = made(4, n=900)
    grid, groups = np.floor(scores * 256) / 256, np.arange(900) // 100
    each = [filled(grid[groups == g], labels[groups == g], bins=256) for g in range(9)]
    weights = np.random.default_rng(0).integers(0, 4, size=(20, 9))
    found = scores_of_groups([h.positives for h in each], [h.negatives for h in each], weights)
    expected = SortedScores(grid, labels, groups).scores(weights)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_what_does_not_fit_raises():
    with pytest.raises(UsageError, match="do not add up"):
        ScoreHistogram(bins=4) + ScoreHistogram(bins=8)
    with pytest.raises(UsageError, match="range and bins"):
        ScoreHistogram(low=1.0, high=0.0)
    with pytest.raises(UsageError, match="do not fit"):
        ScoreHistogram(bins=4, positives=np.zeros(3, np.int64))
    with pytest.raises(UsageError, match="not finite"):
        ScoreHistogram().update([np.nan], [1])
    with pytest.raises(UsageError, match="do not match"):
        scores_of_groups(np.ones((3, 4)), np.ones((3, 4)), np.ones((2, 5)))
