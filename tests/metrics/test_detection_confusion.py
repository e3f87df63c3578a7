"""The confusion of detections: its sums are those of the set, its diagonal the hits of average precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metrics.made_boxes import crowded, made
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection_confusion import detection_confusion
from veritrain.metrics.matching import match_detections
from veritrain.metrics.operating_point import counts_at

N, C = 8, 4


@pytest.mark.parametrize("iou", [0.5, 0.75])
@pytest.mark.parametrize("threshold", [0.0, 0.45, 2.0])
@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_and_the_diagonal_is_the_hits(seed, threshold, iou):
    detections, truths, images, classes = crowded(seed)
    found = detection_confusion(detections, truths, images, classes, threshold=threshold, iou=iou)
    table = match_detections(detections, truths, images, classes)
    counts = counts_at(table, threshold, iou=iou)
    assert np.array_equal(np.diag(found.counts)[:-1], counts.hits.sum(axis=0)) and found.counts[-1, -1] == 0
    assert np.array_equal(found.counts[:-1].sum(axis=1), table.truths.sum(axis=0))
    called = np.bincount(table.classes[table.scores >= threshold], minlength=classes)
    assert found.counts[:, :-1].sum() + found.left_out == called.sum()
    assert np.array_equal(found.counts[:, :-1].sum(axis=0), counts.called.sum(axis=0))
    assert found.left_out == 0 or truths.crowds.any()


def box(left: float) -> list[float]:
    return [left, 0.0, left + 10, 10.0]


def test_cells_by_hand():
    """0: found; 1: called 2 at its place; 2: missed; a false alarm of 1; a duplicate of 0 falls on background."""
    truths = Truths([0, 0, 0], [box(0), box(50), box(100)], [0, 1, 2])
    detections = Detections(
        [0] * 6, [box(0), box(1), box(50), box(200), box(100), box(300)], [0.9, 0.8, 0.9, 0.7, 0.1, 0.2],
        [0, 0, 2, 1, 2, 2],
    )  # fmt: skip
    found = detection_confusion(detections, truths, 1, 3, threshold=0.5)
    expected = [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0]]
    assert found.counts.tolist() == expected
    assert found.as_json()["counts"] == expected and found.as_json()["threshold"] == 0.5
    lower = detection_confusion(detections, truths, 1, 3, threshold=0.1)
    assert lower.counts.tolist() == [[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0], [1, 1, 1, 0]]


def test_the_own_class_comes_before_a_better_place():
    """A surer call of the wrong class at the very place does not take the object from the right class."""
    truths = Truths([0], [box(0)], [0])
    detections = Detections([0, 0], [box(0), box(2)], [0.9, 0.6], [1, 0])
    found = detection_confusion(detections, truths, 1, 2, threshold=0.5)
    assert found.counts.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_exchanged_classes_fill_the_other_diagonal():
    _, truths = made(3)
    swapped = Detections(truths.images, truths.boxes, np.ones(len(truths)), (truths.classes + 1) % C)
    found = detection_confusion(swapped, replace(truths, ignored=None), N, C, threshold=0.5)
    assert np.trace(found.counts) < len(truths) / 4
    assert sum(found.counts[c, (c + 1) % C] for c in range(C)) > len(truths) * 0.6


def test_without_anything_it_is_empty():
    nothing = np.zeros(0, int)
    found = detection_confusion(Detections(nothing, [], [], nothing), Truths(nothing, [], nothing), 2, 3, threshold=0.5)
    assert not found.counts.any() and found.counts.shape == (4, 4)
