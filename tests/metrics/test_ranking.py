"""Ranking scores against scikit-learn, against enumeration, and by their properties."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from veritrain.errors import UsageError
from veritrain.metrics import ranking

CLOSE = 1e-9


def sklearn_fpr95(labels, scores):
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    return fpr[np.argmax(tpr >= 0.95)]


def drawn_case(seed):
    """One of 50 rankings: five kinds of score, sizes 2 to 2,000, from no ties to one single value."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 2000))
    labels = rng.random(n) < rng.choice([0.01, 0.1, 0.5, 0.95])
    labels[:2] = [True, False]
    raw = rng.normal(size=n) + rng.choice([0, 1, 3]) * labels
    kinds = [
        raw.astype(np.float64),
        np.round(raw, int(rng.integers(0, 3))).astype(np.float32),
        (raw * 3).astype(np.int64),
        np.where(np.abs(raw) < 1, np.copysign(0.0, raw), raw),  # 0.0 and -0.0 are one score
        np.round(1 / (1 + np.exp(-raw)), 2).astype(np.float16),
    ]
    return kinds[seed % 5], labels.astype(rng.choice([np.int64, np.uint8, np.bool_]))


@pytest.mark.parametrize("seed", range(50))
def test_equal_to_scikit_learn(seed):
    scores, labels = drawn_case(seed)
    ours = ranking.ranking_scores(scores, labels)
    assert ours.auroc == pytest.approx(roc_auc_score(labels, scores), abs=CLOSE)
    assert ours.ap == pytest.approx(average_precision_score(labels, scores), abs=CLOSE)
    assert ours.fpr95 == pytest.approx(sklearn_fpr95(labels, scores), abs=CLOSE)
    assert (ours.n, ours.positives) == (len(labels), int(labels.sum()))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.bool_])
def test_all_tied_is_chance_and_prevalence(dtype):
    scores = ranking.ranking_scores(np.ones(10, dtype), [1] * 3 + [0] * 7)
    assert (scores.auroc, scores.ap, scores.fpr95) == (0.5, pytest.approx(0.3), 1.0)


def test_one_positive_below_all():
    scores = ranking.ranking_scores([1.0, 2.0, 3.0, 4.0], [1, 0, 0, 0])
    assert (scores.auroc, scores.ap, scores.fpr95) == (0.0, 0.25, 1.0)


def test_float64_is_not_rounded_to_float32():
    # 1 + 1e-12 and 1 are one float32 number: rounding would make this a tie.
    assert ranking.auroc(np.array([1 + 1e-12, 1.0]), [1, 0]) == 1.0


def test_fpr_is_read_at_the_first_threshold_that_reaches_the_rate():
    # 19 of 20 positives is exactly 0.95, so the 20th, below every negative, is not needed.
    scores = np.concatenate([np.arange(100, 119), [0], np.arange(1, 11)])
    labels = np.array([1] * 20 + [0] * 10)
    assert ranking.fpr_at_tpr(scores, labels) == 0.0
    assert ranking.fpr_at_tpr(scores, labels, tpr=0.951) == 1.0


@pytest.mark.parametrize("tpr", [0.95, 0.55, 0.9, 0.7, 1.0])
def test_hits_needed_is_the_least_that_reaches_the_rate(tpr):
    # 0.55 * 100 is 55.00000000000001 in floating point, yet 55 of 100 reach 0.55.
    for positives in range(1, 400):
        expected = next(k for k in range(positives + 1) if k / positives >= tpr)
        assert ranking.hits_needed(positives, tpr) == expected


@pytest.mark.parametrize("labels", [[0, 0], [1, 1], []])
def test_one_class_is_undefined(labels):
    scores = ranking.ranking_scores(np.zeros(len(labels)), labels)
    assert (scores.auroc, scores.ap, scores.fpr95) == (None, None, None)
    assert ranking.roc_points(np.zeros(len(labels)), labels) is None
    assert ranking.pr_points(np.zeros(len(labels)), labels) is None
    assert ranking.fpr_at_tpr(np.zeros(len(labels)), labels) is None


def test_scores_that_are_not_finite_are_counted():
    with pytest.raises(UsageError, match="3 of 5 scores are not finite") as error:
        ranking.ranking_scores([np.nan, np.inf, 0.1, np.nan, 0.2], [0, 1, 0, 1, 0])
    assert "2 NaN, 1 infinite" in str(error.value)


@pytest.mark.parametrize("labels", [[0, 1, -1], [0, 1, 255], [0.0, 1.0, np.nan], [0, 1, 0.5]])
def test_unknown_labels_ask_for_a_mask(labels):
    with pytest.raises(UsageError, match="1 of 3 labels") as error:
        ranking.ranking_scores([0.1, 0.2, 0.3], labels)
    assert "mask" in str(error.value)


@pytest.mark.parametrize(("scores", "labels"), [([0.1], [0, 1]), ([[0.1, 0.2]], [[0, 1]]), (["a", "b"], [0, 1])])
def test_wrong_shapes_and_kinds_raise(scores, labels):
    with pytest.raises(UsageError):
        ranking.ranking_scores(scores, labels)


rankings = st.integers(0, 2**32 - 1).map(
    lambda seed: (
        np.random.default_rng(seed).integers(-6, 7, size=40),
        np.concatenate([[1, 0], np.random.default_rng(seed + 1).integers(0, 2, size=38)]),
    )
)


@given(rankings)
@settings(max_examples=50, deadline=None)
def test_only_the_order_counts(case):
    scores, labels = case
    # exp keeps the order and the ties of small integers exactly.
    assert ranking.ranking_scores(np.exp(scores / 3.0), labels) == ranking.ranking_scores(scores, labels)


@given(rankings)
@settings(max_examples=50, deadline=None)
def test_swapping_the_classes_or_the_order_mirrors_auroc(case):
    scores, labels = case
    value = ranking.auroc(scores, labels)
    assert ranking.auroc(scores, 1 - labels) == pytest.approx(1 - value, abs=1e-12)
    assert ranking.auroc(-scores, labels) == pytest.approx(1 - value, abs=1e-12)


@given(rankings, st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_order_of_the_samples_does_not_count(case, random):
    scores, labels = case
    order = random.sample(range(40), 40)
    assert ranking.ranking_scores(scores[order], labels[order]) == ranking.ranking_scores(scores, labels)


@pytest.mark.parametrize(("n", "positives"), [(n, r) for n in range(2, 9) for r in range(1, n)])
def test_chance_levels_are_the_mean_over_all_orders(n, positives):
    orders = [np.isin(np.arange(n), chosen) for chosen in itertools.combinations(range(n), positives)]
    found = [ranking.ranking_scores(np.arange(n), labels) for labels in orders]
    assert np.mean([s.auroc for s in found]) == pytest.approx(ranking.chance_auroc(), abs=1e-12)
    assert np.mean([s.ap for s in found]) == pytest.approx(ranking.chance_ap(n, positives), abs=1e-12)
    assert np.mean([s.fpr95 for s in found]) == pytest.approx(ranking.chance_fpr95(positives), abs=1e-12)


def test_chance_levels_by_simulation():
    rng = np.random.default_rng(3)
    labels = np.arange(200) < 30
    found = [ranking.ranking_scores(rng.random(200), labels) for _ in range(4000)]
    for name, expected in [("ap", ranking.chance_ap(200, 30)), ("fpr95", ranking.chance_fpr95(30))]:
        values = np.array([getattr(s, name) for s in found])
        assert values.mean() == pytest.approx(expected, abs=4 * values.std() / np.sqrt(values.size))
    assert ranking.chance_ap(200, 30) > 30 / 200 + 0.01  # random AP is not the prevalence


def test_chance_levels_are_undefined_without_both_classes():
    assert ranking.chance_ap(5, 0) is None and ranking.chance_ap(5, 5) is None
    assert ranking.chance_fpr95(0) is None


def test_harmonic_series_and_its_expansion_meet():
    n = 1_000_000
    assert ranking._harmonic(n + 1) == pytest.approx(ranking._harmonic(n) + 1 / (n + 1), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_roc_points_span_the_exact_area(seed):
    scores, labels = drawn_case(seed)
    fpr, tpr = ranking.roc_points(scores, labels, limit=10**6)
    assert np.trapezoid(tpr, fpr) == pytest.approx(ranking.auroc(scores, labels), abs=CLOSE)
    assert (np.diff(fpr) >= 0).all() and (np.diff(tpr) >= 0).all()


@pytest.mark.parametrize("limit", [2, 7, 100])
def test_curves_are_thinned_but_keep_their_ends(limit):
    scores, labels = drawn_case(0)
    fpr, tpr = ranking.roc_points(scores, labels, limit)
    recall, precision = ranking.pr_points(scores, labels, limit)
    full_recall, full_precision = ranking.pr_points(scores, labels, 10**6)
    assert len(fpr) == len(tpr) <= limit and len(recall) == len(precision) <= limit
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert (recall[0], precision[0], recall[-1], precision[-1]) == (
        full_recall[0],
        full_precision[0],
        1,
        full_precision[-1],
    )


def test_pr_points_add_up_to_ap():
    scores, labels = drawn_case(1)
    recall, precision = ranking.pr_points(scores, labels, 10**6)
    assert np.diff(recall, prepend=0) @ precision == pytest.approx(ranking.average_precision(scores, labels))


def test_a_curve_needs_two_ends():
    with pytest.raises(UsageError):
        ranking.roc_points([0.1, 0.2], [0, 1], limit=1)


@pytest.mark.parametrize("seed", range(10))
def test_group_weights_equal_repeated_groups(seed, monkeypatch):
    monkeypatch.setattr(ranking, "BLOCK", 5000)  # several blocks
    scores, labels = drawn_case(seed)
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 7, size=len(labels)) * 10
    table = ranking.SortedScores(scores, labels, groups)
    weights = rng.integers(0, 4, size=(6, table.group_ids.size))
    found = table.scores(weights)
    for k, row in enumerate(weights):
        times = row[np.searchsorted(table.group_ids, groups)]
        expected = ranking.ranking_scores(np.repeat(scores, times), np.repeat(labels, times))
        for name in ("auroc", "ap", "fpr95"):
            value = getattr(expected, name)
            np.testing.assert_allclose(getattr(found, name)[k], np.nan if value is None else value, atol=CLOSE)


@pytest.mark.parametrize("seed", range(5))
def test_weights_of_one_are_the_plain_scores(seed):
    scores, labels = drawn_case(seed)
    table = ranking.SortedScores(scores, labels, np.arange(len(labels)) % 3)
    plain, weighted = ranking.ranking_scores(scores, labels), table.scores(np.ones(3, int))
    assert weighted.auroc[0] == pytest.approx(plain.auroc, abs=CLOSE)
    assert weighted.ap[0] == pytest.approx(plain.ap, abs=CLOSE)
    assert weighted.fpr95[0] == plain.fpr95


def test_strata_say_which_groups_hold_a_positive():
    table = ranking.SortedScores([1, 2, 3, 4], [0, 1, 0, 0], ["b", "a", "a", "c"])
    assert table.group_ids.tolist() == ["a", "b", "c"]
    assert table.strata.tolist() == [True, False, False]
    assert np.isnan(table.scores([[0, 1, 1]]).auroc).all()  # without group a there is no positive
    assert np.isnan(ranking.SortedScores([1.0, 2.0], [0, 0], [0, 1]).scores([1, 1]).ap).all()


def test_weights_and_groups_of_the_wrong_shape_raise():
    with pytest.raises(UsageError):
        ranking.SortedScores([1.0, 2.0], [0, 1], [0])
    with pytest.raises(UsageError):
        ranking.SortedScores([1.0, 2.0], [0, 1], [0, 1]).scores(np.ones((3, 5)))
