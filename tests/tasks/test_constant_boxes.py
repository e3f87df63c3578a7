"""The input-free detector finds the places of the labels, and is scored without regard to the order of images."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Truths, every_iou
from veritrain.metrics.detection import detection_scores
from veritrain.metrics.matching import match_detections
from veritrain.tasks import constant_boxes
from veritrain.tasks.constant_boxes import ConstantBoxes

PLACES = np.array([[0.0, 0, 40, 40], [100.0, 100, 160, 150], [0.0, 100, 30, 160]])


def labels(seed: int, n: int = 200, shares=(0.6, 0.3, 0.1), jitter: float = 3.0) -> Truths:
    """An object of class 0 in every image, at one of three places; one of class 1 in every second, always at one."""
    rng = np.random.default_rng(seed)
    images = np.r_[np.arange(n), np.arange(0, n, 2)]
    classes = np.r_[np.zeros(n, int), np.ones(len(images) - n, int)]
    place = np.where(classes == 0, rng.choice(3, len(images), p=shares), 2)
    return Truths(images, PLACES[place] + rng.uniform(-jitter, jitter, (len(images), 4)), classes)


def test_boxes_lie_where_labels_are_and_score_their_share_of_images():
    found = ConstantBoxes.fit(labels(0), 200, 2, boxes_per_class=3)
    own = found.classes == 0
    overlap = every_iou(found.boxes[own], PLACES)
    assert overlap.argmax(axis=1).tolist() == [0, 1, 2] and overlap.max(axis=1).min() > 0.85
    assert found.scores[own] == pytest.approx([0.6, 0.3, 0.1], abs=0.07)
    assert found.scores[~own] == pytest.approx([0.5]), "one box reaches all of class 1"
    assert (np.diff(found.scores[own]) <= 0).all()


def test_on_test_its_score_is_that_of_the_places():
    """Precision about .6 up to a recall of .6, then .9 / 2 up to .9, then 1 / 3: class 1 hits every second image."""
    baseline, truths = ConstantBoxes.fit(labels(0), 200, 2, boxes_per_class=3), labels(1, 400)
    table = match_detections(baseline.predict(400), truths, 400, 2)
    scores = detection_scores(table, ties="together")
    assert scores.per_class_50[0] == pytest.approx(0.6 * 0.6 + 0.3 * 0.45 + 0.1 / 3, abs=0.07)
    assert scores.per_class_50[1] == pytest.approx(0.5, abs=0.02)
    order = np.random.default_rng(0).permutation(400)
    moved = match_detections(baseline.predict(400), Truths(order[truths.images], truths.boxes, truths.classes), 400, 2)
    assert detection_scores(moved, ties="together") == scores


def test_a_box_moves_to_the_median_where_that_reaches_more():
    """Each label reaches two of the three others at 0.7, the box between them reaches all four."""
    shifts = np.array([[-9.0, 0], [9, 0], [0, 9], [0, -9]])
    boxes = np.array([0.0, 0, 100, 100]) + np.tile(shifts, (1, 2))
    assert (every_iou(boxes, boxes) >= 0.7).sum(axis=1).tolist() == [3, 3, 3, 3]
    found = ConstantBoxes.fit(Truths(np.arange(4), boxes, np.zeros(4, int)), 4, 1, iou=0.7)
    assert found.boxes.tolist() == [[0.0, 0, 100, 100]] and found.scores.tolist() == [1.0]


def test_images_of_different_sizes_share_relative_boxes():
    sizes = np.tile([[100, 50], [200, 300]], (50, 1))
    shares = np.array([0.1, 0.2, 0.5, 0.6])
    truths = Truths(np.arange(100), shares * np.tile(sizes, (1, 2)), np.zeros(100, int))
    found = ConstantBoxes.fit(truths, 100, 1, sizes=sizes)
    assert found.boxes == pytest.approx(shares[None]) and found.scores == pytest.approx([1.0])
    table = match_detections(found.predict(100, sizes), truths, 100, 1)
    assert detection_scores(table, ties="together").map == 1.0
    with pytest.raises(UsageError, match="width and height"):
        found.predict(100)
    with pytest.raises(UsageError):
        found.predict(100, np.ones((3, 2)))


def test_many_labels_are_sampled_as_candidates_and_all_are_counted(monkeypatch):
    whole = ConstantBoxes.fit(labels(0), 200, 2, boxes_per_class=3)
    monkeypatch.setattr(constant_boxes, "MOST_CANDIDATES", 50)
    found = ConstantBoxes.fit(labels(0), 200, 2, boxes_per_class=3)
    assert found.scores == pytest.approx(whole.scores, abs=0.03)


def test_a_class_without_a_label_has_no_box():
    found = ConstantBoxes.fit(labels(0), 200, 4)
    assert set(found.classes) == {0, 1} and len(found.predict(0)) == 0


def test_no_training_image_is_refused():
    with pytest.raises(UsageError):
        ConstantBoxes.fit(labels(0), 0, 2)
    with pytest.raises(UsageError):
        ConstantBoxes.fit(labels(0), 100, 2)


class TestOpen:
    def test_a_class_without_labels_has_the_boxes_that_suit_the_others(self):
        truths = labels(0)
        found = ConstantBoxes.fit_open(truths, 200, 2, 3, boxes_per_class=3)
        own = ConstantBoxes.fit(truths, 200, 2, boxes_per_class=3)
        base = found.of_classes(0, 2)
        np.testing.assert_array_equal(base.boxes, own.boxes)
        np.testing.assert_array_equal(base.scores, own.scores)
        novel = [found.of_classes(2 + number, 1) for number in range(3)]
        assert all(np.array_equal(novel[0].boxes, other.boxes) for other in novel[1:])
        assert set(every_iou(novel[0].boxes, PLACES).argmax(axis=1).tolist()) == {0, 1, 2}
        # All of class 1 and a tenth of class 0 lie at the third place: 0.6 of the images' objects, two classes.
        assert novel[0].scores.max() == pytest.approx(0.3, abs=0.04)

    def test_classes_are_numbered_anew(self):
        found = ConstantBoxes.fit_open(labels(0), 200, 2, 2).of_classes(2, 2)
        assert set(found.classes.tolist()) == {0, 1} and not found.relative
        assert set(found.predict(3).classes.tolist()) == {0, 1}
