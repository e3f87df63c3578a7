"""The tables of frames, returns and pixels: values, weights, exchanges, and histograms of pairs of groups."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiny_street import tiny_set, tiny_task
from veritrain.metrics.histogram import scores_of_counts
from veritrain.metrics.ranking import ranking_scores
from veritrain.tasks.baselines import constant_like
from veritrain.tasks.levels import labels_at, scores_at
from veritrain.tasks.ranking_tables import BINS, RankingTables, pair_tables
from veritrain.training.evaluate import predict_set


@pytest.fixture(scope="module")
def street():
    """Predictions over 8 groups of 3 frames that know something, and the names of the groups."""
    data = tiny_set(8, seed=3)
    torch.manual_seed(0)
    predictions = dict(predict_set(tiny_task(), tiny_task().model(), data))
    rng = np.random.default_rng(0)
    for level in ("frame", "point", "pixel"):
        labels = predictions[f"{level}_labels"]
        predictions[f"{level}_scores"] = (0.7 * rng.random(labels.shape) + 0.3 * (labels == 1)).astype(np.float32)
    return predictions, [frame.group for frame in data.frames]


def test_values_chance_and_counts_are_those_of_the_task(street):
    predictions, groups = street
    tables, task = RankingTables(predictions, groups), tiny_task()
    plain, chance = task.score(predictions), task.chance(predictions)
    assert set(tables.metrics) == set(plain) and tables.n_groups == 8
    for metric in tables.metrics:
        assert tables.value(metric) == plain[metric] and tables.chance(metric) == chance[metric]
        labels = labels_at(predictions, metric.rpartition("_")[0])
        assert tables.counts(metric) == ((labels >= 0).sum(), (labels == 1).sum())
        assert tables.higher_is_better(metric) == (not metric.endswith("fpr95"))
        one = tables.under(np.ones((1, 8)), metric)[0]
        assert one == pytest.approx(plain[metric], abs=2e-3), "dense scores are binned"


def test_levels_may_be_asked_for_in_any_order(street):
    tables = RankingTables(*street)
    first = {metric: tables.value(metric) for metric in tables.metrics}
    assert [tables.value(metric) for metric in tables.metrics[::-1]] == list(first.values())[::-1]


def test_strata_tell_which_groups_hold_a_positive(street):
    predictions, groups = street
    tables = RankingTables(predictions, groups)
    held = [any(predictions["frame_labels"][np.array(groups) == name] == 1) for name in np.unique(groups)]
    assert tables.strata("frame_auroc").tolist() == held and 0 < sum(held) < 8


def test_only_the_auroc_of_a_constant_cannot_move(street):
    predictions, groups = street
    constant = RankingTables(constant_like(predictions), groups)
    assert constant.reach("frame_auroc") == constant.reach("point_auroc") == 0.5
    assert constant.reach("frame_ap") == RankingTables(predictions, groups).reach("frame_auroc") == 1.0


def test_a_level_without_scores_has_no_metrics(street):
    predictions, groups = street
    partial = {key: value for key, value in predictions.items() if key != "pixel_scores"}
    assert not [metric for metric in RankingTables(partial, groups).metrics if "pixel" in metric]


def test_object_levels_take_the_scores_of_the_level_they_are_part_of(street):
    predictions, groups = street
    labels = labels_at(predictions, "object_point")
    known = labels >= 0
    expected = ranking_scores(scores_at(predictions, "object_point")[known], labels[known]).ap
    assert RankingTables(predictions, groups).value("object_point_ap") == pytest.approx(expected)


def dense(seed: int, lengths=(3, 3, 3, 3), levels: int = 40):
    """(N, 4, 5) scores of few levels, labels with unknowns, (N,) groups out of order."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"g{k}" for k in range(len(lengths))], lengths)[::-1]
    size = (len(groups), 4, 5)
    return rng.integers(0, levels, size) / levels, rng.choice([-1, 0, 0, 1], size).astype(np.int8), groups


def test_the_diagonal_is_the_plain_histogram():
    scores, labels, groups = dense(0)
    positives, negatives = pair_tables(scores, labels, groups)
    assert positives.shape == negatives.shape == (4, 4, BINS)
    for g, name in enumerate(np.unique(groups)):
        own = groups == name
        for table, label in ((positives, 1), (negatives, 0)):
            expected = np.unique(scores[own][labels[own] == label], return_counts=True)[1]
            assert table[g, g][table[g, g] > 0].tolist() == expected.tolist(), "40 levels fit into the bins"
    summed = scores_of_counts(*(np.einsum("aab->b", table) for table in (positives, negatives)))
    plain = ranking_scores(scores[labels >= 0], labels[labels >= 0])
    assert (summed.auroc, summed.ap, summed.fpr95) == pytest.approx((plain.auroc, plain.ap, plain.fpr95))


def test_off_the_diagonal_the_maps_of_the_other_group_apply():
    scores, labels, groups = dense(1, lengths=(3, 2, 4))
    positives, negatives = pair_tables(scores, labels, groups)
    names = np.unique(groups)
    for a, mine in enumerate(names):
        for b, theirs in enumerate(names):
            own, other = np.flatnonzero(groups == mine), np.flatnonzero(groups == theirs)
            kept: dict[int, list[float]] = {0: [], 1: []}
            for k, frame in enumerate(own):
                giver = labels[other[k % len(other)]]
                for place in np.ndindex(giver.shape):
                    if labels[frame][place] >= 0 and giver[place] >= 0:
                        kept[int(giver[place])].append(scores[frame][place])
            for table, label in ((positives, 1), (negatives, 0)):
                counts = np.unique(kept[label], return_counts=True)[1]
                assert table[a, b][table[a, b] > 0].tolist() == counts.tolist()


def test_many_levels_lose_little():
    rng = np.random.default_rng(2)
    labels = rng.choice([-1, 0, 0, 0, 1], (12, 20, 30)).astype(np.int8)
    scores = rng.random(labels.shape) + 0.4 * (labels == 1)
    tables = pair_tables(scores, labels, np.repeat(list("abcd"), 3))
    summed = scores_of_counts(*(np.einsum("aab->b", table) for table in tables))
    plain = ranking_scores(scores[labels >= 0], labels[labels >= 0])
    assert abs(summed.auroc - plain.auroc) < 1e-3 and abs(summed.ap - plain.ap) < 5e-3


def test_constant_scores_make_one_bin():
    _, labels, groups = dense(3)
    positives, negatives = pair_tables(np.full(labels.shape, 0.3), labels, groups)
    assert (positives > 0).sum(2).max() == (negatives > 0).sum(2).max() == 1
