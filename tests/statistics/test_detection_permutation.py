"""Exchanged boxes against matching again by hand, for every exchange there is."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

from metrics.made_boxes import made
from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection import detection_scores
from veritrain.metrics.matching import match_detections
from veritrain.metrics.operating_point import counts_at
from veritrain.statistics.detection_permutation import pair_matches, permutation_test_detections

N, C = 8, 4
GROUPS = np.array([0, 0, 1, 1, 1, 2, 3, 3], np.int64)
THRESHOLD = 0.4


@cache
def pairs(seed: int):
    detections, truths = made(seed)
    return pair_matches(detections, truths, GROUPS, C), detections, truths


def exchanged(truths: Truths, order: tuple[int, ...]) -> Truths:
    """Group a gets the labels of group order[a], image after image."""
    rows, images = [], []
    for a, b in enumerate(order):
        own, source = (np.flatnonzero(np.equal(GROUPS, group)) for group in (a, b))
        for k, image in enumerate(own):
            there = np.flatnonzero(truths.images == source[k % source.size])
            rows += there.tolist()
            images += [image] * there.size
    return Truths(images, truths.boxes[rows], truths.classes[rows])


def scores_of(detections: Detections, truths: Truths) -> dict[str, float | None]:
    table = match_detections(detections, truths, N, C)
    plain = detection_scores(table, ties="together")
    rates = counts_at(table, THRESHOLD).rates().macro()
    return {
        "map": plain.map,
        "map_50": plain.map_50,
        "map_75": plain.map_75,
        **{name: float(value[0]) for name, value in rates._asdict().items()},
    }


@cache
def by_hand(seed: int) -> list[dict[str, float | None]]:
    _, detections, truths = pairs(seed)
    return [scores_of(detections, exchanged(truths, order)) for order in itertools.permutations(range(4))]


@pytest.mark.parametrize("metric", ["map", "map_50", "map_75", "precision", "recall", "f1"])
@pytest.mark.parametrize("seed", [1, 7, 8])
def test_all_exchanges_are_those_matched_by_hand(metric, seed):
    table, detections, truths = pairs(seed)
    found = permutation_test_detections(table, metric, threshold=THRESHOLD)
    observed = scores_of(detections, truths)[metric]
    null = np.array([scores[metric] for scores in by_hand(seed)])
    assert found.exhaustive and found.n_permutations == 24
    assert found.observed == pytest.approx(observed, abs=1e-12)
    assert found.null_mean == pytest.approx(null.mean(), abs=1e-12)
    assert found.null_quantiles == pytest.approx(np.quantile(null, [0.05, 0.5, 0.95]), abs=1e-12)
    assert found.p_value == np.mean(null >= observed - 1e-12)


def places(seed: int, groups: int = 12, frames: int = 3):
    """Each group has its own place and class; a detector that knows it, one that has the place of another group."""
    rng = np.random.default_rng(seed)
    images = np.arange(groups * frames)
    corner = np.repeat(rng.integers(0, 200, (groups, 2)), frames, axis=0) + rng.integers(0, 3, (images.size, 2))
    boxes = np.concatenate([corner, corner + 40], axis=1).astype(float)
    classes = np.repeat(np.arange(groups) % 3, frames)
    return images, boxes, classes, np.repeat(np.arange(groups), frames), rng.random(images.size)


def test_a_detector_that_knows_is_beyond_all_exchanges():
    images, boxes, classes, groups, scores = places(0)
    truths, found = Truths(images, boxes, classes), Detections(images, boxes, scores, classes)
    result = permutation_test_detections(pair_matches(found, truths, groups, 3), "map_50")
    assert result.observed == 1.0 and result.p_value == 0.001 and result.n_permutations == 999
    assert result.null_mean < 0.4


def test_the_same_boxes_for_every_image_are_not():
    """A position map scores above nothing, and just so after any exchange, wherever its groups stand in the set."""
    images, boxes, classes, groups, _ = places(1)
    truths = Truths(images, boxes, classes)
    every = np.repeat(images, 6)
    constant = Detections(every, np.tile(boxes[:18:3], (images.size, 1)), np.tile(np.linspace(1, 0.5, 6), images.size),
                          np.tile(classes[:18:3], images.size))  # fmt: skip
    result = permutation_test_detections(pair_matches(constant, truths, groups, 3), "map_50", n_permutations=199)
    assert result.observed > 0.03 and result.p_value > 0.2


def test_classes_without_an_object_under_an_exchange_leave_the_mean():
    """Group 1 has no object at all: whoever gets its labels has nothing to find."""
    zeros = np.zeros(2, int)
    box = [[0.0, 0, 10, 10]]
    found = Detections([0, 1], box * 2, [0.9, 0.8], zeros)
    result = permutation_test_detections(pair_matches(found, Truths([0], box, [0]), [0, 1], 2), "map_50")
    assert result.observed == 1.0 and result.null_mean == pytest.approx((1 + 0.5) / 2) and result.undefined == 0


def test_equal_labels_limit_what_can_be_shown():
    box = [[0.0, 0, 10, 10]]
    found = Detections(np.arange(4), box * 4, [0.9, 0.8, 0.7, 0.6], np.zeros(4, int))
    table = pair_matches(found, Truths(np.arange(4), box * 4, np.zeros(4, int)), np.arange(4), 1)
    assert table.equal_labels == (4,)
    assert permutation_test_detections(table).smallest_p == permutation_test_detections(table).p_value == 1.0


def test_what_cannot_be_tested_is_refused():
    table = pairs(1)[0]
    with pytest.raises(UsageError, match="threshold"):
        permutation_test_detections(table, "f1")
    with pytest.raises(UsageError, match="map_50"):
        permutation_test_detections(table, "accuracy")
    detections, truths = made(1)
    half = pair_matches(detections, truths, GROUPS, C, thresholds=[0.5])
    with pytest.raises(UsageError, match="not matched"):
        permutation_test_detections(half, "map_75")
