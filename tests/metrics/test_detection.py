"""Average precision against pycocotools and faster-coco-eval, under weights, with ties, and where it is undefined."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from metrics.made_boxes import coco_precision, made
from veritrain.errors import UsageError
from veritrain.metrics import detection
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection import (
    RECALLS,
    GroupedDetections,
    detection_scores,
    interpolated_precision,
    mean_of_defined,
    recalls_reached,
)
from veritrain.metrics.matching import AREAS, MatchTable, match_detections

N, C = 8, 4
ONE = np.ones((1, 1))


def ours(detections, truths, **options) -> np.ndarray:
    """(T, C) average precision."""
    grouped = GroupedDetections(match_detections(detections, truths, N, C, **options), np.zeros(N, int), 1)
    return np.stack([grouped.average_precision(ONE, [iou])[0] for iou in grouped.thresholds])


@pytest.mark.parametrize("seed", range(60))
def test_it_equals_pycocotools_with_ties_empty_images_and_absent_classes(seed):
    detections, truths = made(seed, decimals=1 if seed % 6 else 6)
    expected = coco_precision(detections, truths, N, C)[..., 0]
    found = ours(detections, truths)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, equal_nan=True)
    scores = detection_scores(match_detections(detections, truths, N, C))
    known = ~np.isnan(expected[0])
    if not known.any():
        assert scores.map is scores.map_50 is scores.map_75 is None
    else:
        assert scores.map == pytest.approx(expected[:, known].mean(), abs=1e-9)
        assert scores.map_50 == pytest.approx(expected[0, known].mean(), abs=1e-9)
        assert scores.map_75 == pytest.approx(expected[5, known].mean(), abs=1e-9)
    assert scores.per_class[C - 1] is None, "a class without an object has no score"
    assert (scores.n_images, scores.n_truths, scores.n_detections) == (N, len(truths), len(detections))


@pytest.mark.parametrize("seed", range(100, 110))
def test_sizes_and_the_limit_of_detections_equal_pycocotools(seed):
    detections, truths = made(seed)
    expected = coco_precision(detections, truths, N, C, most=5)
    for place, area in enumerate(AREAS):
        found = ours(detections, truths, area=area, max_detections=5)
        np.testing.assert_allclose(found, expected[..., place], rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("seed", range(200, 205))
def test_it_equals_faster_coco_eval(seed):
    faster = pytest.importorskip("faster_coco_eval.core", reason="faster-coco-eval is not installed")
    detections, truths = made(seed, decimals=6)
    labels = {"evaluation": faster_evaluation(faster)}
    expected = coco_precision(detections, truths, N, C, **labels)[..., 0]
    np.testing.assert_allclose(ours(detections, truths), expected, rtol=0, atol=1e-9, equal_nan=True)


def faster_evaluation(faster):
    """Its evaluation wants its own data sets."""

    class Evaluation(faster.COCOeval_faster):
        def __init__(self, labels, found, kind):
            own = faster.COCO(labels.dataset)
            rows = [{**row, "area": None} for row in found.dataset["annotations"]]
            plain = [{key: row[key] for key in ("image_id", "category_id", "bbox", "score")} for row in rows]
            super().__init__(own, own.loadRes(plain), kind)

    return Evaluation


@cache
def grouped(seed: int, ties: str = "order", decimals: int = 6) -> tuple[GroupedDetections, Detections, Truths]:
    detections, truths = made(seed, decimals=decimals)
    groups = np.array([0, 0, 1, 1, 1, 2, 3, 3])
    return GroupedDetections(match_detections(detections, truths, N, C), groups, 4, ties=ties), detections, truths


def repeated(detections: Detections, truths: Truths, times: np.ndarray) -> tuple[Detections, Truths, int]:
    """The images as often as told, each time as images of their own."""
    source = np.repeat(np.arange(N), times)
    rows = [(np.flatnonzero(detections.images == i), np.flatnonzero(truths.images == i)) for i in source]
    own = [np.concatenate(part).astype(int) if len(source) else np.zeros(0, int) for part in zip(*rows, strict=True)]
    at = [np.repeat(np.arange(len(source)), [len(row[k]) for row in rows]) for k in range(2)]
    found = Detections(at[0], detections.boxes[own[0]], detections.scores[own[0]], detections.classes[own[0]])
    return found, Truths(at[1], truths.boxes[own[1]], truths.classes[own[1]]), len(source)


@pytest.mark.parametrize("seed", [1, 2, 7])
def test_weights_count_groups_as_often_as_they_say(seed):
    table, detections, truths = grouped(seed)
    weights = np.random.default_rng(seed).integers(0, 4, (15, 4))
    weights[0] = 1
    found, mean = table.average_precision(weights), table.mean_average_precision(weights, [0.5])
    for row, values, average in zip(weights, found, mean, strict=True):
        more, labels, n = repeated(detections, truths, row[table.groups])
        scores = detection_scores(match_detections(more, labels, n, C))
        expected = [np.nan if value is None else value for value in scores.per_class]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12, equal_nan=True)
        assert average == pytest.approx(np.nan if scores.map_50 is None else scores.map_50, abs=1e-12, nan_ok=True)


def test_weightings_are_scored_in_blocks(monkeypatch):
    weights = np.random.default_rng(0).integers(0, 4, (15, 4))
    whole = grouped(7)[0].average_precision(weights)
    monkeypatch.setattr(detection, "BLOCK", 100)
    again = GroupedDetections(grouped(7)[0].table, grouped(7)[0].groups, 4).average_precision(weights)
    assert np.array_equal(whole, again, equal_nan=True)


def test_a_class_that_a_resample_lacks_is_left_out_of_the_mean():
    table, _, _ = grouped(1)
    only = np.flatnonzero(table.truths[:, 0] > 0)
    weights = np.ones((1, 4), int)
    weights[0, only] = 0
    each = table.average_precision(weights)[0]
    assert np.isnan(each[0])
    assert table.mean_average_precision(weights)[0] == pytest.approx(np.nanmean(each), nan_ok=True)


def constant(order: np.ndarray) -> MatchTable:
    """One box in each of 20 images, always with the same score; 8 of them hit."""
    images = np.arange(20)
    boxes = np.tile([0.0, 0, 10, 10], (20, 1))
    hit = order[:8]
    return match_detections(
        Detections(images, boxes, np.full(20, 0.5), images * 0), Truths(np.sort(hit), boxes[:8], hit * 0), 20, 1
    )


def test_ties_in_order_depend_on_the_order_of_images_and_ties_together_do_not():
    first, last = constant(np.arange(20)), constant(np.arange(20)[::-1])
    assert detection_scores(first).map_50 == 1.0, "the reference's rule rewards a lucky order"
    assert detection_scores(last).map_50 == pytest.approx(0.4)
    for table in (first, last):
        assert detection_scores(table, ties="together").map_50 == pytest.approx(0.4)


def test_without_ties_both_rules_agree():
    for seed in (1, 2, 3):
        order, together = (grouped(seed, ties)[0] for ties in ("order", "together"))
        weights = np.random.default_rng(0).integers(0, 3, (5, 4))
        assert np.array_equal(order.average_precision(weights), together.average_precision(weights), equal_nan=True)


def test_ties_together_read_precision_at_thresholds_alone():
    """By hand: 3 of 4 hit at 0.9 and 1 of 2 at 0.4, of 5 objects: recall .6 at .75, .8 at 4/6."""
    boxes = np.tile([0.0, 0, 10, 10], (6, 1))
    hit = np.array([0, 1, 2, 4, 6])
    detections = Detections(np.arange(6), boxes, [0.9] * 4 + [0.4] * 2, np.zeros(6, int))
    table = match_detections(detections, Truths(hit, boxes[:5], hit * 0), 7, 1)
    expected = (61 * 0.75 + 20 * 4 / 6) / 101
    assert detection_scores(table, ties="together").map_50 == pytest.approx(expected)


def test_perfect_detections_score_exactly_one():
    _, truths = made(5)
    found = Detections(truths.images, truths.boxes, np.linspace(0.1, 1, len(truths)), truths.classes)
    scores = detection_scores(match_detections(found, truths, N, C))
    assert scores.map == scores.map_50 == 1.0 and len(truths) > 10


def test_a_class_with_objects_and_no_detection_scores_zero():
    _, truths = made(5)
    nothing = np.zeros(0, int)
    scores = detection_scores(match_detections(Detections(nothing, [], [], nothing), truths, N, C))
    assert scores.map == 0.0 and scores.per_class_50 == (0.0, 0.0, 0.0, None)


def test_without_images_everything_is_undefined():
    nothing = np.zeros(0, int)
    table = match_detections(Detections(nothing, [], [], nothing), Truths(nothing, [], nothing), 0, 2)
    assert detection_scores(table).map is None


def test_interpolation_by_hand():
    """Hits at ranks 1 and 3 of 2 objects: precision 1 up to recall .5, 2/3 up to 1."""
    value = interpolated_precision(np.array([[1.0], [2.0]]), np.array([[1.0], [3.0]]), np.array([2.0]))
    assert value[0] == pytest.approx((51 * 1 + 50 * 2 / 3) / 101)
    assert np.isnan(interpolated_precision(np.zeros((0, 2)), np.zeros((0, 2)), np.array([0.0, 3.0]))).tolist() == [
        True,
        False,
    ]


def test_recalls_are_counted_as_a_search_counts_them():
    objects = np.arange(1.0, 700)
    shares = np.concatenate([np.arange(n + 1) / n for n in objects])
    near = np.concatenate([RECALLS, np.nextafter(RECALLS[1:], 0), np.nextafter(RECALLS[:-1], 1), shares])
    assert np.array_equal(recalls_reached(near), np.searchsorted(RECALLS, near, side="right"))


def test_means_leave_out_what_is_undefined():
    assert mean_of_defined(np.array([[1.0, np.nan, 3.0]])).tolist() == [2.0]
    assert np.isnan(mean_of_defined(np.array([[np.nan, np.nan]]))).all()


@pytest.mark.parametrize(
    "wrong", [{"groups": np.zeros(3, int)}, {"ties": "random"}], ids=["groups of another set", "unknown rule of ties"]
)
def test_what_does_not_fit_is_refused(wrong):
    with pytest.raises(UsageError):
        GroupedDetections(match_detections(*made(1), N, C), **wrong)


def test_weights_of_other_groups_are_refused():
    with pytest.raises(UsageError):
        grouped(1)[0].average_precision(np.ones((2, 3)))


def test_only_the_last_weightings_are_kept():
    table = GroupedDetections(match_detections(*made(1), N, C))
    for k in range(20):
        table.average_precision(np.full((1, 1), k))
    assert len(table._found) <= 6
