"""Levels: what is kept among objects, and to whom each element belongs."""

from __future__ import annotations

import numpy as np

from veritrain.tasks.levels import is_scored, labels_at, levels_of, samples_at, scores_at


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
