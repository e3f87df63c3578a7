"""VOC's average precision against a loop that goes through its development kit's steps in exact fractions."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from metrics.made_boxes import made
from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection import GroupedDetections
from veritrain.metrics.voc import area_under_envelope, eleven_point, match_voc

N, C = 8, 4
ONE = np.ones((1, 1))


def overlap(a: np.ndarray, b: np.ndarray, one: int) -> Fraction:
    """Intersection over union of two boxes of whole numbers, sides longer by ``one``."""
    a, b = ([int(value) for value in box] for box in (a, b))
    width = min(a[2], b[2]) - max(a[0], b[0]) + one
    height = min(a[3], b[3]) - max(a[1], b[1]) + one
    if width <= 0 or height <= 0:
        return Fraction(0)
    area = [(box[2] - box[0] + one) * (box[3] - box[1] + one) for box in (a, b)]
    return Fraction(width * height, sum(area) - width * height)


def by_loop(detections: Detections, truths: Truths, cls: int, *, inclusive: bool, iou: Fraction) -> tuple:
    """(11-point, area) of one class, detection by detection; None without an object."""
    difficult = truths.need_not_be_found
    rows = np.flatnonzero(detections.classes == cls)
    rows = rows[np.lexsort((detections.images[rows], -detections.scores[rows]))]
    objects = int(((truths.classes == cls) & ~difficult).sum())
    if not objects:
        return None, None
    taken, hits, alarms, points = set(), 0, 0, []
    for row in rows:
        there = np.flatnonzero((truths.images == detections.images[row]) & (truths.classes == cls))
        overlaps = [overlap(detections.boxes[row], truths.boxes[one], int(inclusive)) for one in there]
        best = max(range(len(there)), key=lambda k: (overlaps[k], -k), default=None)
        if best is not None and overlaps[best] >= iou:
            if difficult[there[best]]:
                continue
            first = there[best] not in taken
            taken.add(there[best])
        else:
            first = False
        hits, alarms = hits + first, alarms + (not first)
        points.append((Fraction(hits, objects), Fraction(hits, hits + alarms)))
    eleven = sum(max((p for r, p in points if r >= Fraction(t, 10)), default=Fraction(0)) for t in range(11)) / 11
    area, before = Fraction(0), Fraction(0)
    for r in sorted({r for r, _ in points}):
        area += (r - before) * max(p for at, p in points if at >= r)
        before = r
    return eleven, area


@pytest.mark.parametrize("inclusive", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_both_rules_equal_the_kit_step_by_step(seed, inclusive):
    detections, truths = made(seed, decimals=1 if seed % 2 else 6)
    difficult = np.random.default_rng(seed).random(len(truths)) < 0.2
    truths = replace(truths, ignored=difficult)
    table = match_voc(detections, truths, N, C, inclusive=inclusive)
    found = [
        GroupedDetections(table, np.zeros(N, int), 1, rule=rule).average_precision(ONE)[0]
        for rule in (eleven_point, area_under_envelope)
    ]
    for cls in range(C):
        expected = by_loop(detections, truths, cls, inclusive=inclusive, iou=Fraction(1, 2))
        for value, wanted in zip((found[0][cls], found[1][cls]), expected, strict=True):
            assert value == pytest.approx(np.nan if wanted is None else float(wanted), abs=1e-12, nan_ok=True)


def single(found: list, scores: list[float], there: list, **options) -> GroupedDetections:
    zeros = [np.zeros(len(boxes), int) for boxes in (found, there)]
    table = match_voc(Detections(zeros[0], found, scores, zeros[0]), Truths(zeros[1], there, zeros[1]), 1, 1, **options)
    return GroupedDetections(table, rule=area_under_envelope)


def test_a_taken_object_is_not_exchanged_for_the_next_one():
    """Both detections overlap the first object most; COCO's rule would give the second one the other object."""
    objects = [[0.0, 0, 10, 10], [3.0, 0, 13, 10]]
    table = single([[0.0, 0, 10, 10], [1.0, 0, 11, 10]], [0.9, 0.8], objects).table
    assert table.matched[:, 0].tolist() == [True, False]


def test_one_more_pixel_a_side_changes_which_side_of_the_threshold_a_pair_is_on():
    """4 x 1 against 2 x 1 corners apart: 3/5 of pixels against 1/2... with the pixel added, 2/4 = 0.5 without."""
    pair = [[0.0, 0, 2, 4]], [0.5], [[0.0, 0, 4, 4]]
    assert single(*pair).average_precision(ONE)[0, 0] == 1.0
    assert single(*pair, iou=0.55).average_precision(ONE)[0, 0] == 0.0
    assert single(*pair, iou=0.55, inclusive=True).average_precision(ONE)[0, 0] == 1.0


def test_tenths_of_recall_are_reached_exactly():
    """3 of 10 found at precision 1 reach 0, .1, .2 and .3; 6 and 7 of 10 likewise."""
    for found in range(1, 11):
        hits = np.arange(1.0, found + 1)[:, None]
        assert eleven_point(hits, hits, np.array([10.0]))[0] == pytest.approx((found + 1) / 11)
        assert area_under_envelope(hits, hits, np.array([10.0]))[0] == pytest.approx(found / 10)


def test_without_objects_there_is_no_score_and_without_hits_it_is_zero():
    for rule in (eleven_point, area_under_envelope):
        nothing = rule(np.zeros((0, 2)), np.zeros((0, 2)), np.array([0.0, 2.0]))
        assert np.isnan(nothing[0]) and nothing[1] == 0.0
        some = rule(np.array([[0.0, 1.0]]), np.array([[3.0, 2.0]]), np.array([0.0, 1.0]))
        assert np.isnan(some[0]) and some[1] == 0.5


def test_an_overlap_out_of_range_is_refused():
    with pytest.raises(UsageError):
        match_voc(*made(1), N, C, iou=0.0)
