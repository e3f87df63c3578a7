"""Overlaps against the reference, and boxes that are no boxes."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as reference

from metrics.made_boxes import made
from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths, box_areas, every_iou, images_of_counts, paired_iou


@pytest.mark.parametrize("seed", range(5))
def test_overlaps_equal_pycocotools_to_the_last_bit(seed):
    detections, truths = made(seed, 40)
    first, second = detections.boxes[:200], truths.boxes[:60]
    xywh = [np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], axis=1) for b in (first, second)]
    expected = reference.iou(xywh[0], xywh[1], [0] * len(second))
    assert np.array_equal(every_iou(first, second), expected)
    n = min(len(first), len(second))
    assert np.array_equal(paired_iou(first[:n], second[:n]), np.diag(expected[:n, :n]))


def test_overlaps_by_hand():
    one = np.array([[0.0, 0, 2, 2]])
    others = [[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [0, 0, 2, 1], [5, 5, 6, 6], [1, 1, 1, 1]]
    assert every_iou(one, others)[0].tolist() == pytest.approx([1, 1 / 3, 0, 0.5, 0, 0])
    assert box_areas(others).tolist() == [4, 4, 4, 2, 1, 0]


def test_counts_become_images():
    assert images_of_counts([2, 0, 1]).tolist() == [0, 0, 2]
    assert images_of_counts([]).tolist() == []


def test_nothing_is_a_set_too():
    nothing = Detections(np.zeros(0, int), np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    assert len(nothing) == len(nothing.taken(np.zeros(0, bool))) == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"boxes": [[3.0, 0, 1, 1]]}, "x1 <= x2"),
        ({"boxes": [[0.0, 0, np.nan, 1]]}, "finite"),
        ({"images": [-1]}, "0 or more"),
        ({"classes": [0.0]}, "integers"),
        ({"images": [0, 1]}, "(1,)"),
    ],
)
def test_what_is_no_box_is_refused(change, told):
    given = {"images": [0], "boxes": [[0.0, 0, 1, 1]], "classes": [0]}
    assert len(Truths(**given)) == 1
    with pytest.raises(UsageError) as error:
        Truths(**{**given, **change})
    assert told in str(error.value)


@pytest.mark.parametrize("scores", [[np.nan], [np.inf], [0.1, 0.2]])
def test_scores_that_rank_nothing_are_refused(scores):
    with pytest.raises(UsageError):
        Detections([0], [[0.0, 0, 1, 1]], scores, [0])
