"""Recall under weights and limits, and the surest detections of an image."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.made_boxes import coco_judged, made
from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections
from veritrain.metrics.detection_recall import GroupedRecall, surest_of_images
from veritrain.metrics.matching import match_detections

N, C = 8, 4


@pytest.mark.parametrize("seed", range(20))
def test_recall_of_each_class_and_overlap_equals_pycocotools(seed):
    detections, truths = made(seed)
    expected = coco_judged(detections, truths, N, C, limits=(1, 3, 100))["recall"][:, :, 0]
    whole = match_detections(detections, truths, N, C)
    for place, limit in enumerate((1, 3, 100)):
        grouped = GroupedRecall(whole.limited(limit), np.zeros(N, int), 1)
        for t, iou in enumerate(whole.thresholds):
            found = grouped.recall(np.ones((1, 1)), [iou])[0]
            assert np.allclose(np.where(np.isnan(found), -1, found), expected[t, :, place], rtol=0, atol=1e-12)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_limited_table_is_that_of_limited_detections(limit):
    for seed in range(10):
        detections, truths = made(seed)
        for area in ("all", "medium"):
            cut = match_detections(detections, truths, N, C, area=area).limited(limit)
            expected = match_detections(detections, truths, N, C, area=area, max_detections=limit)
            for name in ("images", "classes", "scores", "matched", "truths"):
                assert np.array_equal(getattr(cut, name), getattr(expected, name))
            assert (cut.ignored is None) == (expected.ignored is None)
            assert cut.ignored is None or np.array_equal(cut.ignored, expected.ignored)


def test_weights_and_pools():
    """Group 0 finds 1 of 2 of class 0, group 1 all 3 of it and none of 1 of class 1."""
    table = match_detections(*made(1), 2 * N, C)
    grouped = GroupedRecall(table, np.arange(2 * N) % 2, 2)
    grouped.hits = np.zeros_like(grouped.hits)
    grouped.hits[:, 0, 0], grouped.hits[:, 1, 0] = 1, 3
    grouped.truths = np.array([[2, 0, 0, 0], [3, 1, 0, 0]])
    recall = grouped.recall([[1, 1], [3, 1], [1, 0]])
    assert recall[:, 0] == pytest.approx([4 / 5, 6 / 9, 1 / 2])
    assert recall[:2, 1].tolist() == [0.0, 0.0] and np.isnan(recall[2, 1]) and np.isnan(recall[:, 2]).all()
    assert grouped.pooled([[1, 1], [3, 1]], [0, 1]) == pytest.approx([4 / 6, 6 / 10])
    assert np.isnan(grouped.pooled([[1, 1]], [2])[0])


def test_the_surest_of_an_image_are_kept_over_all_classes():
    detections = Detections([0, 1, 0, 0, 0], [[0.0, 0, 1, 1]] * 5, [0.2, 0.1, 0.9, 0.5, 0.5], [0, 0, 1, 2, 3])
    kept = surest_of_images(detections, 2)
    assert kept.images.tolist() == [0, 0, 1] and kept.classes.tolist() == [1, 2, 0], "of equal scores the first"
    with pytest.raises(UsageError):
        surest_of_images(detections, 0)
    with pytest.raises(UsageError):
        GroupedRecall(match_detections(*made(1), N, C), np.zeros(3, int))
