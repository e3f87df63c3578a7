"""Curves of classes: the monotone curve averages to the average precision, and its band holds it."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.made_boxes import coco_judged, made
from metrics.made_suite import suite
from veritrain.metrics.detection import GroupedDetections
from veritrain.metrics.matching import match_detections
from veritrain.statistics.detection_curves import class_curves

N, C = 8, 4
NAMES = ("ship", "dam", "airport", "vehicle")


@pytest.mark.parametrize("seed", [1, 3, 7])
def test_precision_at_recalls_is_that_of_pycocotools(seed):
    detections, truths = made(seed)
    expected = coco_judged(detections, truths, N, C, limits=(1, 10, 100))["precision"][..., 0, -1]
    grouped = GroupedDetections(match_detections(detections, truths, N, C), np.zeros(N, int), 1)
    for cls in range(C):
        for iou in (0.5, 0.75):
            found = grouped.precision_at_recalls(np.ones((1, 1)), cls, iou)[0]
            assert np.where(np.isnan(found), -1, found) == pytest.approx(expected[grouped.table.at(iou), :, cls])


def test_under_weights_its_mean_is_the_average_precision():
    grouped = suite().grouped()
    weights = np.random.default_rng(0).integers(0, 3, (20, 24))
    for cls in range(C):
        curves = grouped.precision_at_recalls(weights, cls, 0.5)
        assert curves.mean(axis=1) == pytest.approx(grouped.average_precision(weights, [0.5])[:, cls], nan_ok=True)


def test_curves_have_their_points_counts_and_bands():
    ours = suite()
    found = class_curves(ours.grouped(), NAMES, n_resamples=100)
    assert list(found["classes"]) == list(NAMES) and found["left_out"] == {} and found["groups"] == 24
    for cls, name in enumerate(NAMES):
        curve = found["classes"][name]
        assert np.mean(curve["precision"]) == pytest.approx(ours.per_class("map_50")[cls])
        low, middle, high = (np.array(curve[key]) for key in ("low", "precision", "high"))
        assert (low <= high).all() and np.mean((low <= middle) & (middle <= high)) > 0.9
        assert curve["objects"] == (ours.truths.classes == cls).sum()
        assert len(curve["points"]["recall"]) == len(curve["points"]["precision"]) > 5


def test_classes_without_an_object_are_left_out_with_their_detections_and_few_groups_have_no_band():
    detections, truths = made(3)
    grouped = GroupedDetections(match_detections(detections, truths, N, C), np.array([0, 0, 0, 0, 1, 1, 2, 2]), 3)
    found = class_curves(grouped, NAMES, n_resamples=20)
    assert found["left_out"] == {"vehicle": int((detections.classes == 3).sum())}
    assert {curve["low"] for curve in found["classes"].values()} == {None}
