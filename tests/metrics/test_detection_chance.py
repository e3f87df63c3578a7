"""Chance levels against every order there is, and against orders drawn by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from metrics.made_boxes import made
from veritrain.metrics import detection_chance
from veritrain.metrics.boxes import Detections
from veritrain.metrics.detection import detection_scores
from veritrain.metrics.detection_chance import chance_average_precision, chance_of_class, chance_of_table, chance_rates
from veritrain.metrics.expectation import Expected
from veritrain.metrics.matching import match_detections
from veritrain.metrics.operating_point import counts_at

N, C = 8, 4


def plain_precision(hit: np.ndarray, objects: int) -> float:
    """COCO's definition read aloud: at each recall the greatest precision at that recall or beyond."""
    hits = np.cumsum(hit)
    precision, recall = hits / np.arange(1, len(hit) + 1), hits / objects
    return float(np.mean([max(precision[recall >= r], default=0.0) for r in np.linspace(0, 1, 101)]))


@pytest.mark.parametrize(("n", "hits", "objects"), [(5, 2, 2), (6, 3, 7), (7, 1, 1), (4, 4, 5), (8, 2, 40)])
def test_few_detections_are_enumerated(n, hits, objects):
    orders = [np.isin(np.arange(n), chosen) for chosen in itertools.combinations(range(n), hits)]
    found = chance_average_precision(n, hits, objects)
    assert found.value == pytest.approx(np.mean([plain_precision(hit, objects) for hit in orders]))
    assert found.standard_error == 0.0


def test_the_simulation_agrees_with_the_enumeration(monkeypatch):
    exact = chance_average_precision(14, 5, 6)
    monkeypatch.setattr(detection_chance, "MOST_ENUMERATED", 0)
    found = chance_average_precision(14, 5, 6, draws=4000, seed=3)
    assert exact.standard_error == 0.0 < found.standard_error < 0.01
    assert abs(found.value - exact.value) < 4 * found.standard_error


def test_many_detections_agree_with_orders_drawn_by_hand():
    rng = np.random.default_rng(0)
    hit = np.arange(60) < 20
    by_hand = [plain_precision(rng.permutation(hit), 25) for _ in range(300)]
    found = chance_average_precision(60, 20, 25, draws=2000)
    error = np.hypot(np.std(by_hand) / 300**0.5, found.standard_error)
    assert abs(np.mean(by_hand) - found.value) < 4 * error
    assert found.value > 20 / 60 * 20 / 25, "the monotone curve lies above the share of hits"


def test_the_ends_are_exact():
    assert chance_average_precision(9, 0, 4) == Expected(0.0, 0.0)
    assert chance_average_precision(9, 0, 0) == Expected(None, None)
    assert chance_average_precision(3, 3, 3) == Expected(1.0, 0.0)
    assert chance_average_precision(900, 300, 300) == chance_average_precision(900, 300, 300)


def shuffled(detections: Detections, rng) -> Detections:
    """Scores drawn anew without ties; what overlaps what stays."""
    return Detections(detections.images, detections.boxes, rng.random(len(detections)), detections.classes)


def test_of_a_table_it_is_the_mean_over_classes_with_an_object():
    table = match_detections(*made(7, decimals=6), N, C)
    each = [chance_of_class(table, cls, [0.5]).value for cls in range(C)]
    assert each[C - 1] is None
    assert chance_of_table(table, [0.5]).value == pytest.approx(np.mean(each[:-1]))
    every = chance_of_table(table)
    assert 0 < every.value < chance_of_table(table, [0.5]).value and every.standard_error < 0.01


def test_random_scores_on_boxes_apart_average_to_chance():
    """Where no object has two detections, drawing scores anew is a random order of the same hits."""
    _, truths = made(3)
    far = Detections(
        np.r_[truths.images, truths.images],
        np.r_[truths.boxes, truths.boxes + 1000],
        np.zeros(2 * len(truths)),
        np.r_[truths.classes, truths.classes],
    )
    rng = np.random.default_rng(1)
    drawn = [detection_scores(match_detections(shuffled(far, rng), truths, N, C)).map_50 for _ in range(60)]
    chance = chance_of_table(match_detections(far, truths, N, C), [0.5])
    assert abs(np.mean(drawn) - chance.value) < 4 * np.hypot(np.std(drawn) / 60**0.5, chance.standard_error)


def test_chance_rates_are_those_of_random_calls():
    table = match_detections(*made(7, decimals=6), N, C)
    chance = chance_rates(table, 0.6, iou=0.5)
    counts, every = counts_at(table, 0.6), counts_at(table, -np.inf)
    for cls in range(C - 1):
        share = every.hits[0, cls] / every.called[0, cls]
        assert chance.precision[0, cls] == pytest.approx(share)
        assert chance.recall[0, cls] == pytest.approx(counts.called[0, cls] * share / counts.truths[0, cls])
    assert np.isnan(chance.f1[0, C - 1])
    rng = np.random.default_rng(0)
    own = table.matched[table.rows_of(0), 0]
    m, objects = int(counts.called[0, 0]), int(counts.truths[0, 0])
    drawn = [2 * rng.permutation(own)[:m].sum() / (m + objects) for _ in range(3000)]
    assert abs(np.mean(drawn) - chance.f1[0, 0]) < 4 * np.std(drawn) / 3000**0.5
