"""Misses and false alarms: as many as the scores count, each of its kind, the worst first."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.made_boxes import crowded
from veritrain.metrics.boxes import Detections, Truths, every_iou
from veritrain.metrics.detection_confusion import detection_confusion
from veritrain.metrics.detection_errors import detection_errors


def box(left: float, side: float = 10) -> list[float]:
    return [left, 0.0, left + side, side]


@pytest.mark.parametrize("seed", range(8))
def test_there_are_as_many_as_the_scores_count(seed):
    detections, truths, images, classes = crowded(seed)
    found = detection_errors(detections, truths, images, classes, threshold=0.4)
    confusion = detection_confusion(detections, truths, images, classes, threshold=0.4)
    hits = np.trace(confusion.counts)
    assert len(found.misses) == confusion.counts[:-1].sum() - hits
    assert len(found.alarms) == confusion.counts[:, :-1].sum() - hits
    assert found.images.sum(axis=0).tolist() == [len(found.misses), len(found.alarms)]
    assert [one.overlap for one in found.misses] == sorted(one.overlap for one in found.misses)
    assert [one.score for one in found.alarms] == sorted((one.score for one in found.alarms), reverse=True)


@pytest.mark.parametrize("seed", range(4))
def test_the_nearest_is_the_nearest(seed):
    detections, truths, images, classes = crowded(seed)
    calls = detections.taken(detections.scores >= 0.4)
    for one in detection_errors(detections, truths, images, classes, threshold=0.4).misses:
        overlaps = every_iou([one.box], calls.boxes[calls.images == one.image])
        assert one.overlap == pytest.approx(overlaps.max(initial=0.0))
        assert (one.score is None) == (one.overlap == 0)


def test_each_kind_of_miss():
    """Six objects of class 0, far apart: found at 0.2 only, of another class, badly placed, alone, and two for one."""
    truths = Truths([0] * 6, [box(0), box(100), box(200), box(300, 40), box(400), box(402)], [0] * 6)
    detections = Detections(
        [0] * 5, [box(0), box(100), box(206), box(401), box(2)], [0.2, 0.9, 0.9, 0.9, 0.1], [0, 1, 0, 0, 0]
    )
    found = detection_errors(detections, truths, 1, 2, threshold=0.5)
    kinds = {one.box[0]: one.kind for one in found.misses}
    shared = next(iter({400.0, 402.0} & set(kinds)))
    assert kinds == {0: "below threshold", 100: "class", 200: "place", 300: "nothing near", shared: "shared"}
    assert found.misses[0].box[0] == 300, "the largest of those that nothing came near"
    at = {one.box[0]: one for one in found.misses}
    assert at[0].from_threshold == 0.2 and at[100].from_threshold is None
    assert (at[100].of_class, at[100].score, at[100].overlap) == (1, 0.9, 1.0)
    assert at[300].of_class is None and at[300].area == 1600


def test_each_kind_of_false_alarm():
    truths = Truths([0, 0], [box(0), box(100)], [0, 1])
    detections = Detections(
        [0] * 5, [box(0), box(1), box(101), box(106), box(300)], [0.9, 0.8, 0.7, 0.6, 0.55], [0, 0, 0, 0, 0]
    )
    found = detection_errors(detections, truths, 1, 2, threshold=0.5)
    assert [one.kind for one in found.alarms] == ["duplicate", "class", "place", "background"]
    assert [one.of_class for one in found.alarms] == [0, 1, 1, None]
    told = found.as_json(2)
    assert told["false_alarms"]["of_kind"] == {"background": 1, "class": 1, "duplicate": 1, "place": 1}
    assert len(told["false_alarms"]["surest"]) == 2 and told["misses"]["worst"][0]["cls"] == 1


def test_what_need_not_be_found_is_no_miss_and_images_are_ranked():
    truths = Truths([0, 1, 2, 2], [box(0)] * 4, [0] * 4, ignored=np.array([True, False, False, False]))
    detections = Detections([1, 0], [box(500), box(0)], [0.9, 0.9], [0, 0])
    found = detection_errors(detections, truths, 4, 1, threshold=0.5)
    assert found.images.tolist() == [[0, 0], [1, 1], [2, 0], [0, 0]]
    assert found.worst_images(5) == [2, 1] and found.worst_images(1) == [2]
