"""Matching against a plain loop over boxes, its order of ties, sizes, limits and errors."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.made_boxes import made
from veritrain.errors import UsageError
from veritrain.metrics import matching
from veritrain.metrics.boxes import Detections, Truths, every_iou
from veritrain.metrics.matching import IOU_THRESHOLDS, RankedDetections, match_detections, match_ranked

N, C = 8, 4


def by_loop(detections: Detections, truths: Truths, iou: float, most: int = 100) -> list[tuple]:
    """(class, -score, image, place, hit) of every counted detection, one box after the other."""
    rows = []
    for image in range(N):
        for cls in range(C):
            own = np.flatnonzero((detections.images == image) & (detections.classes == cls))
            own = own[np.argsort(-detections.scores[own], kind="stable")][:most]
            there = np.flatnonzero((truths.images == image) & (truths.classes == cls))
            overlap = every_iou(detections.boxes[own], truths.boxes[there])
            free = np.ones(len(there), bool)
            for place in range(len(own)):
                reached = [j for j in range(len(there)) if free[j] and overlap[place, j] >= iou]
                best = max(reached, key=lambda j: (overlap[place, j], j), default=None)
                if best is not None:
                    free[best] = False
                rows.append((cls, -detections.scores[own[place]], image, place, best is not None))
    return sorted(rows, key=lambda row: row[:4])


@pytest.mark.parametrize("most", [100, 2])
@pytest.mark.parametrize("seed", range(12))
def test_a_table_is_what_a_loop_over_boxes_finds(seed, most):
    detections, truths = made(seed)
    table = match_detections(detections, truths, N, C, max_detections=most)
    for iou in (0.5, 0.75, 0.95):
        expected = by_loop(detections, truths, float(IOU_THRESHOLDS[table.at(iou)]), most)
        found = zip(table.classes, -table.scores, table.images, table.matched[:, table.at(iou)], strict=True)
        assert [row[:3] + row[4:] for row in expected] == list(found)
    counts = [[((truths.images == i) & (truths.classes == c)).sum() for c in range(C)] for i in range(N)]
    assert table.truths.tolist() == counts and table.ignored is None
    assert (table.n_images, table.n_classes) == (N, C)


def test_pairs_are_compared_in_chunks(monkeypatch):
    detections, truths = made(5)
    whole = match_detections(detections, truths, N, C)
    monkeypatch.setattr(matching, "CHUNK", 7)
    assert np.array_equal(match_detections(detections, truths, N, C).matched, whole.matched)
    assert whole.matched.any()


def square(side: float, left: float = 0.0) -> list[float]:
    return [left, 0.0, left + side, side]


def one_image(found, scores, there) -> matching.MatchTable:
    """All boxes in image 0 and of class 0."""
    zeros = [np.zeros(len(boxes), int) for boxes in (found, there)]
    return match_detections(Detections(zeros[0], found, scores, zeros[0]), Truths(zeros[1], there, zeros[1]), 1, 1)


def test_of_equal_scores_the_first_given_takes_the_object():
    table = one_image([square(10), square(9)], [0.5, 0.5], [square(10)])
    assert table.matched[:, 0].tolist() == [True, False]
    assert table.matched[:, 9].tolist() == [True, False]
    swapped = one_image([square(9), square(10)], [0.5, 0.5], [square(10)])
    assert swapped.matched[:, 0].tolist() == [True, False], "81 % is enough at 0.5"
    assert swapped.matched[:, 9].tolist() == [False, True], "and not at 0.95"


def test_of_equal_overlaps_the_object_given_last_is_taken():
    """Which leaves the first one to a second detection that reaches it alone."""
    objects = [[0.0, 0, 10, 10], [4.0, 0, 14, 10]]
    table = one_image([[2.0, 0, 12, 10], [0.0, 0, 9, 10]], [0.9, 0.8], objects)
    assert table.matched[:, 0].tolist() == [True, True]
    other = one_image([[2.0, 0, 12, 10], [5.0, 0, 14, 10]], [0.9, 0.8], objects)
    assert other.matched[:, 0].tolist() == [True, False]


def test_equal_scores_of_different_images_keep_the_order_of_the_images():
    zeros, objects = np.zeros(3, int), np.array([square(5)] * 3)
    table = match_detections(
        Detections([2, 0, 1], objects, [0.5] * 3, zeros), Truths([1], objects[:1], [0]), 3, 1, thresholds=0.5
    )
    assert table.images.tolist() == [0, 1, 2] and table.matched[:, 0].tolist() == [False, True, False]


def test_only_the_surest_of_an_image_and_class_count():
    detections = Detections([0] * 4, [square(5)] * 4, [0.1, 0.4, 0.2, 0.3], [0, 0, 0, 1])
    table = match_detections(detections, Truths([], [], np.zeros(0, int)), 1, 2, max_detections=2)
    assert table.scores.tolist() == [0.4, 0.2, 0.3]


def test_objects_of_another_size_are_neither_missed_nor_found():
    found, there = [square(20), square(200), square(50, 300)], [square(20), square(200)]
    zeros = np.zeros(3, int)
    detections, truths = Detections(zeros, found, [0.9, 0.8, 0.7], zeros), Truths(zeros[:2], there, zeros[:2])
    small = match_detections(detections, truths, 1, 1, area="small", thresholds=0.5)
    assert small.truths.tolist() == [[1]]
    assert small.matched[:, 0].tolist() == [True, True, False] and small.ignored[:, 0].tolist() == [False, True, True]
    medium = match_detections(detections, truths, 1, 1, area="medium", thresholds=0.5)
    assert medium.truths.tolist() == [[0]] and medium.ignored[:, 0].tolist() == [True, True, False]


def test_detections_are_ordered_once_for_many_labels():
    detections, truths = made(3)
    ranked = RankedDetections(detections, N, C)
    for other in (truths, made(4)[1]):
        found, expected = match_ranked(ranked, other), match_detections(detections, other, N, C)
        assert np.array_equal(found.matched, expected.matched) and np.array_equal(found.truths, expected.truths)


def test_without_boxes_there_is_a_table():
    nothing = np.zeros(0, int)
    empty = match_detections(Detections(nothing, [], [], nothing), Truths(nothing, [], nothing), 3, 2)
    assert empty.matched.shape == (0, 10) and empty.truths.tolist() == [[0, 0]] * 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n_images": 1}, "image numbers below 1"),
        ({"n_classes": 2}, "class numbers below 2"),
        ({"thresholds": [0.7, 0.5]}, "ascending"),
        ({"thresholds": [0.0]}, "ascending"),
        ({"area": "tiny"}, "small"),
        ({"max_detections": 0}, "max_detections >= 1"),
    ],
)
def test_what_cannot_be_matched_is_refused(change, told):
    detections, truths = made(1)
    with pytest.raises(UsageError) as error:
        match_detections(detections, truths, **{"n_images": N, "n_classes": C, **change})
    assert told in str(error.value)


def test_an_overlap_that_was_not_matched_has_no_column():
    table = match_detections(*made(1), N, C, thresholds=[0.5, 0.75])
    assert table.at(0.75) == 1
    with pytest.raises(UsageError):
        table.at(0.6)
