"""Rates at a threshold, the best threshold and the curves, against brute force over thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from metrics.made_boxes import made
from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.matching import match_detections
from veritrain.metrics.operating_point import best_f1_score, counts_at, f1_curve, pr_curve

N, C = 8, 4
GROUPS = np.array([0, 0, 1, 1, 1, 2, 3, 3])


def matched(seed: int):
    return match_detections(*made(seed), N, C)


def by_hand(table, threshold: float, cls: int, iou: float = 0.5) -> tuple[int, int, int]:
    """Hits, called, objects of one class."""
    own = (table.classes == cls) & (table.scores >= threshold)
    return int(table.matched[own, table.at(iou)].sum()), int(own.sum()), int(table.truths[:, cls].sum())


@pytest.mark.parametrize("iou", [0.5, 0.75])
@pytest.mark.parametrize("seed", range(4))
def test_rates_are_those_of_the_called_detections(seed, iou):
    table = matched(seed)
    for threshold in (0.0, 0.35, 0.5, 2.0):
        rates = counts_at(table, threshold, iou=iou).rates()
        for cls in range(C):
            hits, called, objects = by_hand(table, threshold, cls, iou)
            if not objects:
                assert np.isnan([rate[0, cls] for rate in rates]).all()
                continue
            assert rates.recall[0, cls] == hits / objects
            assert rates.f1[0, cls] == 2 * hits / (called + objects)
            assert rates.precision[0, cls] == hits / called if called else np.isnan(rates.precision[0, cls])


def test_f1_is_that_of_scikit_learn_on_the_same_counts():
    hits, called, objects = 6, 10, 9
    outcomes = [(1, 1)] * hits + [(0, 1)] * (called - hits) + [(1, 0)] * (objects - hits)
    expected = precision_recall_fscore_support(*zip(*outcomes, strict=True), average="binary")[:3]
    boxes = np.tile([0.0, 0, 1, 1], (13, 1))
    rows = np.arange(called)
    objects_at = np.r_[np.arange(hits), np.arange(called, called + objects - hits)]
    table = match_detections(
        Detections(rows, boxes[:called], np.ones(called), rows * 0),
        Truths(objects_at, boxes[: len(objects_at)], objects_at * 0),
        13,
        1,
    )
    rates = counts_at(table, 1.0).rates()
    assert [rate[0, 0] for rate in rates] == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(3))
def test_weights_count_groups_as_often_as_they_say(seed):
    table = matched(seed)
    counts = counts_at(table, 0.4, GROUPS)
    weights = np.random.default_rng(seed).integers(0, 4, (10, 4))
    found = counts.under(weights)
    for k, row in enumerate(weights):
        times = row[GROUPS[table.images]]
        for cls in range(C):
            own = (table.classes == cls) & (table.scores >= 0.4)
            hits, called = (times[own] * table.matched[own, 0]).sum(), times[own].sum()
            objects = (row[GROUPS] * table.truths[:, cls]).sum()
            expected = 2 * hits / (called + objects) if objects else np.nan
            assert found.f1[k, cls] == pytest.approx(expected, nan_ok=True)
    macro = found.macro()
    assert macro.f1 == pytest.approx(
        [np.nanmean(row) if not np.isnan(row).all() else np.nan for row in found.f1], nan_ok=True
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_best_threshold_is_the_best_of_all(seed):
    table = matched(seed)
    best = best_f1_score(table)
    if best is None:
        assert not table.matched[:, 0].any()
        return
    every = {t: counts_at(table, t).rates().macro().f1[0] for t in np.unique(table.scores)}
    assert best.mean_f1 == pytest.approx(max(every.values()))
    assert best.threshold == max(t for t, f1 in every.items() if f1 == pytest.approx(max(every.values())))
    expected = counts_at(table, best.threshold).rates().f1[0]
    assert [np.nan if value is None else value for value in best.per_class] == pytest.approx(expected, nan_ok=True)


def test_the_curve_ends_at_the_lowest_hit_and_is_thinned():
    table = match_detections(*made(7, decimals=6), N, C)
    curve, thin = f1_curve(table, limit=None), f1_curve(table, limit=5)
    assert curve.thresholds[0] > curve.thresholds[-1] == table.scores[table.matched[:, 0]].min()
    for place in (0, len(curve.thresholds) // 2):
        expected = counts_at(table, curve.thresholds[place]).rates().f1[0]
        assert curve.per_class[:, place] == pytest.approx(expected, nan_ok=True)
    assert len(thin.thresholds) == 5 < len(curve.thresholds)


def test_precision_and_recall_of_the_curve_are_those_of_its_thresholds():
    table = match_detections(*made(7, decimals=6), N, C)
    recall, precision = pr_curve(table, 0)
    assert (np.diff(recall) > 0).all() and recall[-1] == counts_at(table, 0.0).rates().recall[0, 0]
    hits = np.flatnonzero(table.matched[table.rows_of(0), 0])
    assert precision[0] == 1 / (hits[0] + 1)
    assert pr_curve(table, C - 1) is None, "no object, no curve"


def test_nothing_hit_means_no_threshold():
    nothing = np.zeros(0, int)
    truths = Truths([0], [[0.0, 0, 1, 1]], [0])
    table = match_detections(Detections(nothing, [], [], nothing), truths, 1, 1)
    assert best_f1_score(table) is None
    rates = counts_at(table, 0.5).rates()
    assert np.isnan(rates.precision).all() and rates.recall[0, 0] == rates.f1[0, 0] == 0.0
    assert [len(part) for part in pr_curve(table, 0)] == [0, 0]


def test_ignored_detections_are_not_called():
    zeros = np.zeros(2, int)
    table = match_detections(
        Detections(zeros, [[0.0, 0, 20, 20], [0.0, 0, 200, 200]], [0.9, 0.8], zeros),
        Truths(zeros, [[0.0, 0, 20, 20], [0.0, 0, 200, 200]], zeros),
        1,
        1,
        area="small",
    )
    assert [rate[0, 0] for rate in counts_at(table, 0.0).rates()] == [1.0, 1.0, 1.0]


def test_a_nan_threshold_and_groups_of_another_set_are_refused():
    table = matched(1)
    with pytest.raises(UsageError):
        counts_at(table, float("nan"))
    with pytest.raises(UsageError):
        counts_at(table, 0.5, np.zeros(3, int))
