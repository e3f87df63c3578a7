"""Units: report 002's arrays are caught and named, sound ones pass, and so does a detector that learned nothing."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.metrics.box_units import check_units, demand_one_unit

N, SIDE = 30, 800.0
SIZES = np.full((N, 2), SIDE)


def labels(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(M, 4) corners in pixels of 800 x 800 images, and their images."""
    rng = np.random.default_rng(seed)
    images = np.repeat(np.arange(N), rng.integers(1, 5, N))
    corner = rng.uniform(0, 600, (len(images), 2))
    return np.concatenate([corner, corner + rng.uniform(20, 200, corner.shape)], axis=1), images


def found(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Good predictions in pixels beside as many false alarms."""
    boxes, images = labels()
    rng = np.random.default_rng(seed)
    false = np.sort(rng.uniform(0, SIDE, (len(boxes), 2, 2)), axis=1).reshape(-1, 4)
    own = boxes + rng.normal(0, 4, boxes.shape)
    scores = np.r_[rng.uniform(0.5, 1, len(boxes)), rng.uniform(0, 0.6, len(boxes))]
    return np.r_[own, false], np.r_[images, images], scores


def shares(boxes: np.ndarray) -> np.ndarray:
    return boxes / SIDE


def centred(boxes: np.ndarray) -> np.ndarray:
    return np.c_[(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]]


def sized(boxes: np.ndarray) -> np.ndarray:
    return np.c_[boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]


def test_sound_predictions_pass_in_pixels_and_in_shares():
    boxes, images, scores = found()
    truth, at = labels()
    for unit in (lambda b: b, shares):
        check = demand_one_unit(unit(boxes), images, scores, unit(truth), at, sizes=SIZES)
        assert check.problem is None and check.as_they_are > 0.8 and check.inside_out == 0


def test_perfect_predictions_of_report_002_are_caught_and_named():
    """Predictions as corners in pixels of the 224 x 224 input, labels as centre and size in shares: AP 0."""
    truth, at = labels()
    perfect = shares(truth) * 224
    with pytest.raises(UsageError) as caught:
        demand_one_unit(perfect, at, np.ones(len(at)), centred(shares(truth)), at)
    told = str(caught.value)
    assert "not in one unit" in told
    assert "labels are read as centre and size" in told and "divided by 224" in told
    assert "0.000 as they are, 1.000 read so" in told
    assert "expected: both as x1, y1, x2, y2 in pixels of the stored image" in told and "do:" in told


FAULTS = {
    "labels in shares": (lambda b: b, shares, "divided by"),
    "predictions in shares": (shares, lambda b: b, "times"),
    "left in the input": (lambda b: b * 224 / SIDE, lambda b: b, "times 3.57"),
    "labels as centre and size": (lambda b: b, centred, "the labels are read as centre and size"),
    "predictions as centre and size": (centred, lambda b: b, "the predictions are read as centre and size"),
    "predictions as corner and size": (sized, lambda b: b, "the predictions are read as corner and size"),
    "y before x": (lambda b: b[:, [1, 0, 3, 2]], lambda b: b, "y first"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named(fault):
    predictions, truths, words = FAULTS[fault]
    boxes, images, scores = found()
    truth, at = labels()
    check = check_units(predictions(boxes), images, scores, truths(truth), at, sizes=SIZES)
    assert words in check.problem and check.best > 0.8 > check.as_they_are + 0.4
    with pytest.raises(UsageError):
        demand_one_unit(predictions(boxes), images, scores, truths(truth), at, sizes=SIZES)


@pytest.mark.parametrize("seed", range(8))
def test_a_detector_that_learned_nothing_is_not_accused(seed):
    """Random boxes, and the same boxes in every image where objects are likely: both are wrong, and in pixels."""
    truth, at = labels(seed)
    rng = np.random.default_rng(seed)
    images = np.repeat(np.arange(N), 20)
    random = np.sort(rng.uniform(0, SIDE, (len(images), 2, 2)), axis=1).reshape(-1, 4)
    assert check_units(random, images, rng.random(len(images)), truth, at, sizes=SIZES).problem is None
    fixed = np.tile(random[:20], (N, 1))
    assert check_units(fixed, images, np.ones(len(images)), truth, at, sizes=SIZES).problem is None
    nearby = truth[0] + rng.normal(0, 3, (len(truth), 4))
    constant = nearby[:1].repeat(N, axis=0)
    twice = constant[:, [1, 0, 3, 2]]
    check = check_units(twice, np.arange(N), np.ones(N), np.sort(nearby.reshape(-1, 2, 2), 1).reshape(-1, 4), at)
    assert check.problem is None, "a reading that suits any image's labels is no evidence"


def test_corners_are_not_read_as_sizes_which_would_make_everything_overlap():
    """Small false alarms beside the hits: read as sizes on both sides, every box reaches to the far corner."""
    boxes, images, _ = found()
    truth, at = labels()
    rng = np.random.default_rng(0)
    check = check_units(boxes, images, rng.random(len(images)), truth, at, sizes=SIZES)
    assert check.problem is None and check.best < check.as_they_are


def test_shares_against_pixels_are_told_by_their_range_alone():
    truth, at = labels()
    rng = np.random.default_rng(0)
    bad = np.sort(rng.uniform(0, SIDE, (200, 2, 2)), axis=1).reshape(-1, 4)
    images = rng.integers(0, N, 200)
    check = check_units(bad, images, rng.random(200), shares(truth), at)
    assert check.problem == "the labels are shares of the image and the predictions are not"
    other = check_units(shares(bad), images, rng.random(200), truth, at)
    assert other.problem == "the predictions are shares of the image and the labels are not"
    assert other.labels[1] > 200 and other.predictions[1] <= 1


def test_labels_that_are_no_corners_are_told_even_beside_bad_predictions():
    truth, at = labels()
    rng = np.random.default_rng(0)
    bad = np.sort(rng.uniform(0, SIDE, (100, 2, 2)), axis=1).reshape(-1, 4)
    check = check_units(bad, rng.integers(0, N, 100), rng.random(100), centred(truth), at)
    assert "labels are no corners" in check.problem and check.inside_out > 0


@pytest.mark.parametrize("empty", ["predictions", "labels"])
def test_with_one_side_empty_there_is_nothing_to_compare(empty):
    truth, at = labels()
    nothing = np.zeros((0, 4)), np.zeros(0, int)
    sides = {"predictions": (*nothing, np.zeros(0), truth, at), "labels": (truth, at, np.ones(len(at)), *nothing)}
    check = demand_one_unit(*sides[empty])
    assert check.problem is None and check.as_json()["best"] is None
