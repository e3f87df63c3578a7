"""Best possible recall against a loop, and anchors that fit what the given ones do not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from veritrain.data.autoanchor import best_possible_recall, check_anchors, fit_anchors
from veritrain.errors import DataError
from veritrain.losses.yolo_targets import assign
from veritrain.models.options import COCO_ANCHORS, STRIDES

COCO = np.array(COCO_ANCHORS)


def boxes(n: int = 300, low: float = 4.0, high: float = 400.0, seed: int = 0) -> np.ndarray:
    return np.exp(np.random.default_rng(seed).uniform(np.log(low), np.log(high), (n, 2)))


def test_recall_is_the_share_of_boxes_that_assignment_gives_to_any_anchor():
    sides = boxes()
    recall = best_possible_recall(sides, COCO)
    assert 0.5 < recall < 0.99
    targets = np.concatenate([np.zeros((300, 2)), np.full((300, 2), 0.5), sides / 640], 1)
    anchors = torch.tensor(COCO) / torch.tensor(STRIDES).view(3, 1, 1)
    found = assign(torch.from_numpy(targets), anchors, [(80, 80), (40, 40), (20, 20)])
    learned = set().union(*(matches.target.tolist() for matches in found))
    assert recall == len(learned) / 300


def test_by_hand():
    anchors = [[[10, 10]], [[40, 40]], [[160, 160]]]
    assert best_possible_recall(np.array([[10, 39], [39, 10], [2, 2], [641, 160], [639, 160]]), anchors) == 3 / 5
    assert best_possible_recall(np.array([[10, 41.0]]), anchors) == 0, "no square is within 4 of 10 x 41"
    assert best_possible_recall(np.array([[10, 41.0]]), anchors, threshold=4.2) == 1


def test_anchors_that_fit_are_kept():
    sides = boxes(low=20, high=60)
    found = check_anchors(sides, COCO_ANCHORS)
    assert not found.refitted and found.recall == found.new_recall > 0.98
    np.testing.assert_array_equal(found.anchors, COCO)
    fitting = np.mean([sum(max(*(s / a), *(a / s)) < 4 for a in COCO.reshape(-1, 2)) for s in sides])
    assert found.fitting == pytest.approx(fitting)


def test_anchors_that_do_not_fit_are_fitted_anew_and_are_better():
    sides = boxes(low=2, high=12)
    found = check_anchors(sides, COCO_ANCHORS)
    assert found.recall < 0.8 and found.refitted and found.new_recall > 0.98
    assert found.anchors.shape == (3, 3, 2)
    areas = found.anchors.prod(2).ravel()
    assert (np.diff(areas) >= 0).all(), "small ones on the fine level"
    assert best_possible_recall(sides, found.anchors) == found.new_recall


def test_mutations_improve_on_the_means_alone():
    def fitness(anchors: np.ndarray) -> float:
        ratio = sides[:, None] / anchors.reshape(1, -1, 2)
        best = np.minimum(ratio, 1 / ratio).min(2).max(1)
        return float((best * (best > 0.25)).mean())

    sides = boxes()
    means, evolved = fit_anchors(sides, rounds=0), fit_anchors(sides, rounds=300)
    assert fitness(evolved) > fitness(means) + 0.01
    np.testing.assert_array_equal(evolved, fit_anchors(sides, rounds=300))
    assert not np.array_equal(evolved, fit_anchors(sides, rounds=300, seed=1))


@pytest.mark.parametrize("sides", [[[30, 40]] * 5, [[30, 40], [300, 10]], [[30, 40]]])
def test_fewer_different_boxes_than_anchors(sides):
    found = fit_anchors(np.array(sides), rounds=20)
    assert found.shape == (3, 3, 2) and np.isfinite(found).all()
    assert best_possible_recall(np.array(sides), found) == 1


@pytest.mark.parametrize("sides", [np.zeros((0, 2)), [[3, 0]], [[3, -1]], [[3, np.nan]], [[np.inf, 3]]])
def test_boxes_without_an_area_are_refused(sides):
    with pytest.raises(DataError, match="anchors cannot be checked"):
        check_anchors(np.array(sides), COCO_ANCHORS)
