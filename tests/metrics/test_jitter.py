"""The oracle and the shifted labels: sound scores pass, each way of scoring wrongly is told."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from metrics.made_boxes import made
from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths, paired_iou
from veritrain.metrics.detection import detection_scores
from veritrain.metrics.jitter import FRACTIONS, as_detections, jitter_curve, shifted
from veritrain.metrics.matching import match_detections

N, C = 40, 3


def spread(seed: int = 0) -> Truths:
    rng = np.random.default_rng(seed)
    images = np.repeat(np.arange(N), rng.integers(0, 5, N))
    corner = rng.uniform(0, 700, (len(images), 2))
    boxes = np.concatenate([corner, corner + rng.uniform(10, 90, corner.shape)], axis=1)
    return Truths(images, boxes, rng.integers(0, C, len(images)))


def scorer(truths: Truths, name: str = "map", change=lambda found: found):
    def score(found: Detections) -> float | None:
        table = match_detections(change(found), truths, N, C)
        return getattr(detection_scores(table, ties="together"), name)

    return score


@pytest.mark.parametrize("name", ["map", "map_50", "map_75"])
@pytest.mark.parametrize("seed", range(3))
def test_a_sound_score_starts_at_1_and_falls_without_a_cliff(seed, name):
    truths = spread(seed)
    curve = jitter_curve(truths, scorer(truths, name))
    assert curve.oracle == 1.0 and curve.problems == () and curve.objects == len(truths)
    assert (np.diff(curve.scores) <= 0.02).all() and curve.scores[-1] < 0.15
    assert (np.diff(curve.overlaps) < 0).all() and curve.overlaps[0] == 1.0
    steps = -np.diff(np.array(curve.scores))
    assert steps.max() < (0.8 if name == "map_75" else 0.5), "it falls in steps, not at once"
    assert curve.as_json()["oracle"] == 1.0 and curve.fractions == FRACTIONS


def test_each_box_moves_by_its_own_size_and_away_for_good():
    truths = spread()
    overlap = [paired_iou(shifted(truths, fraction), truths.boxes) for fraction in FRACTIONS]
    for before, later in itertools.pairwise(overlap):
        assert ((later < before) | (before == 0)).all()
    moved = shifted(truths, 0.5) - truths.boxes
    far = np.hypot(*(moved[:, :2] / (truths.boxes[:, 2:] - truths.boxes[:, :2])).T)
    assert far.max() <= 0.5 and far.mean() == pytest.approx(0.25, abs=0.05) and np.allclose(moved[:, :2], moved[:, 2:])
    assert as_detections(truths, 0.5).scores.tolist() == [1.0] * len(truths)


def scaled(found: Detections) -> Detections:
    return Detections(found.images, found.boxes * 224, found.scores, found.classes)


FAULTS = {
    "another unit": (scaled, "the labels themselves score 0"),
    "classes off by one": (
        lambda f: Detections(f.images, f.boxes, f.scores, (f.classes + 1) % C), "the labels themselves score"
    ),
    "images off by one": (
        lambda f: Detections((f.images + 1) % N, f.boxes, f.scores, f.classes), "the labels themselves score"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_predictions_that_are_scored_wrongly_are_told(fault):
    change, words = FAULTS[fault]
    truths = spread()
    assert any(words in problem for problem in jitter_curve(truths, scorer(truths, change=change)).problems)


def test_a_score_that_asks_for_equality_is_told():
    truths = spread()

    def equal(found: Detections) -> float:
        return float(np.mean(np.all(found.boxes == truths.boxes, axis=1)))

    (problem,) = jitter_curve(truths, equal).problems
    assert "which overlap by 0.9" in problem and "score 0" in problem


def test_a_score_that_does_not_look_at_boxes_is_told():
    (problem,) = jitter_curve(spread(), lambda found: 1.0).problems
    assert "moved by up to 2 of their size still score 1" in problem


def test_a_score_that_rises_is_told():
    values = iter([1.0, 0.95, 0.9, 0.5, 0.6, *[0.1] * 7])
    (problem,) = jitter_curve(spread(), lambda found: next(values)).problems
    assert "shifted by up to 0.2 of" in problem and "more than the 0.5 of those shifted by up to 0.1" in problem


def test_objects_beyond_the_limit_are_not_held_against_the_oracle():
    """121 objects in one image, 100 detections count: no detector scores 1, and that is told elsewhere."""
    corner = np.stack(np.meshgrid(np.arange(11), np.arange(11)), -1).reshape(-1, 2) * 50.0
    truths = Truths(np.zeros(121, int), np.c_[corner, corner + 30], np.zeros(121, int))
    assert "score 0.8" in jitter_curve(truths, scorer(truths)).problems[0]
    assert jitter_curve(truths, scorer(truths), unreachable=21).problems == ()


def test_labels_without_an_area_and_crowds_are_left_out():
    truths = spread()
    flat = Truths(
        np.r_[truths.images, 0, 1],
        np.r_[truths.boxes, [[5.0, 5, 5, 9]], [[1.0, 1, 300, 300]]],
        np.r_[truths.classes, 0, 0],
        crowds=np.r_[np.zeros(len(truths), bool), False, True],
    )
    curve = jitter_curve(flat, scorer(flat))
    assert (curve.objects, curve.degenerate) == (len(truths), 1) and curve.oracle < 1 and curve.problems == ()


def test_without_objects_the_curve_is_undefined():
    nothing = np.zeros(0, int)
    truths = Truths(nothing, [], nothing)
    curve = jitter_curve(truths, scorer(truths))
    assert set(curve.scores) == {None} and curve.problems == ()
    values = iter([1.0, None, *[0.0] * 10])
    assert jitter_curve(spread(), lambda found: next(values)).problems == (
        "the score is defined for some shifts and undefined for others",
    )


@pytest.mark.parametrize("fractions", [(0.1, 0.2), (0.0, 0.2, 0.2), ()])
def test_shifts_that_do_not_grow_from_nothing_are_refused(fractions):
    with pytest.raises(UsageError):
        jitter_curve(made(1)[1], lambda found: 1.0, fractions=fractions)
