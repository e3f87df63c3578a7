"""Levels: what is kept among objects, and to whom each element belongs."""

from __future__ import annotations

import numpy as np
import torch

from tiny_street import tiny_set, tiny_task
from veritrain.tasks.levels import is_scored, labels_at, level_of, levels_of, samples_at, scores_at
from veritrain.training.evaluate import predict_set


def predictions() -> dict:
    """Two frames of 3 and 2 returns, 1 x 2 pixels."""
    return {
        "frame_labels": np.int8([1, 0]),
        "frame_scores": np.float32([0.9, 0.1]),
        "point_labels": np.int8([1, 0, 0, -1, 0]),
        "point_ids": np.int32([29, 14, 1, 114, 22]),
        "point_scores": np.float32([0.8, 0.6, 0.2, 0.5, 0.3]),
        "point_counts": np.array([3, 2]),
        "pixel_labels": np.int8([[[1, 0]], [[0, -1]]]),
        "pixel_scores": np.float16([[[0.5, 0.25]], [[0.75, 1.0]]]),
        "pixel_ids": np.uint8([[[100, 12]], [[11, 214]]]),
    }


def test_an_object_level_keeps_anomalies_and_normal_objects_alone():
    """Road (1) and sky (11) are left out, an agent (114, 214) is unknown anyway, car 14 and other 22 stay."""
    assert labels_at(predictions(), "object_point").tolist() == [1, 0, -1, -1, 0]
    assert labels_at(predictions(), "object_pixel").tolist() == [1, 0, -1, -1]
    assert labels_at(predictions(), "point").tolist() == [1, 0, 0, -1, 0]


def test_levels_are_there_when_their_labels_and_ids_are():
    every = predictions()
    assert levels_of(every) == ["frame", "point", "object_point", "pixel", "object_pixel"]
    without = {key: value for key, value in every.items() if not key.endswith("_ids")}
    assert levels_of(without) == ["frame", "point", "pixel"]
    assert levels_of({"frame_labels": every["frame_labels"]}) == ["frame"]
    unscored = {key: value for key, value in every.items() if key != "point_scores"}
    assert not is_scored(unscored, "object_point") and is_scored(unscored, "object_pixel")


def test_a_level_may_have_scores_of_its_own():
    own = {**predictions(), "object_point_scores": np.arange(5)}
    assert scores_at(predictions(), "object_point").tolist() == scores_at(predictions(), "point").tolist()
    assert scores_at(own, "object_point").tolist() == [0, 1, 2, 3, 4]
    assert scores_at(own, "point").tolist() == scores_at(predictions(), "point").tolist()


def test_each_element_belongs_to_its_frame():
    groups = np.array([7, 4])
    assert samples_at(predictions(), "frame", groups).tolist() == [7, 4]
    assert samples_at(predictions(), "object_point", groups).tolist() == [7, 7, 7, 4, 4]
    assert samples_at(predictions(), "object_pixel", groups).tolist() == [7, 7, 4, 4]


def street(groups: int, seed: int = 0):
    """Predictions of an untrained network, and the name of each frame's group."""
    data = tiny_set(groups, seed=seed)
    torch.manual_seed(0)
    return predict_set(tiny_task(), tiny_task().model(), data), data.frames


def test_each_score_belongs_to_the_group_of_its_frame():
    found, frames = street(12, seed=3)
    groups = [frame.group for frame in frames]
    of = np.unique(groups, return_inverse=True)[1]
    for level in ("frame", "point", "pixel"):
        scores, labels, group = level_of(found, level, of)
        assert len(scores) == len(labels) == len(group) == (found[f"{level}_labels"] >= 0).sum()
        assert set(labels) <= {0, 1}
        anomalous = {name for name, label in zip(groups, found["frame_labels"], strict=True) if label == 1}
        assert {np.unique(groups)[g] for g in group[labels == 1]} == anomalous


def test_returns_are_counted_frame_by_frame():
    found, frames = street(4)
    of = np.arange(12) // 3
    expected = [of[i] for i, frame in enumerate(frames) for label in frame.point_labels if label >= 0]
    assert level_of(found, "point", of)[2].tolist() == expected
    assert len({len(frame.points) for frame in frames}) > 1
