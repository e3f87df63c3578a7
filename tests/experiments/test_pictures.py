"""Pictures of single samples: heat where the score is high, an outline where the label is."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.data.sample import Calibration, Frame
from veritrain.experiments.above import OUTLINE
from veritrain.experiments.pictures import SCALE, chosen_frames, heat_map, scores_of_returns


@pytest.fixture
def frame():
    labels = np.zeros((12, 18), np.int8)
    labels[4:8, 6:10] = 1
    points = np.array([[10.0, 0.0, -1.0, 0.5], [0.0, 20.0, 0.0, 0.5]], np.float32)
    return Frame(
        id="t/s/1",
        group="t/s",
        kind="static",
        image=np.full((12, 18, 3), 90, np.uint8),
        points=points,
        frame_label=1,
        point_labels=np.array([1, 0], np.int8),
        point_ids=np.array([29, 1], np.int32),
        pixel_labels=labels,
        calibration=Calibration(intrinsics=np.eye(3), camera_from_lidar=np.eye(4)),
    )


def test_the_heat_is_where_the_score_is(frame):
    scores = np.zeros((12, 18), np.float32)
    scores[:, :3] = 1.0
    picture = np.asarray(heat_map(frame, scores)).astype(int)
    assert picture.shape == (12 * SCALE, 18 * SCALE, 3)
    assert np.abs(picture[:, : 3 * SCALE] - 90).max() > 50
    assert (picture[:, 14 * SCALE :] == 90).all()


def test_the_label_is_outlined_and_not_filled(frame):
    picture = np.asarray(heat_map(frame, None))
    green = (picture == OUTLINE).all(-1)
    assert green[4 * SCALE, 6 * SCALE]
    assert not green[6 * SCALE, 8 * SCALE]
    assert not green[0, 0]


def test_scores_go_back_to_the_returns_they_belong_to():
    whole = {"point_scores": np.arange(5, dtype=np.float32), "point_counts": np.array([2, 3])}
    assert scores_of_returns(whole, 1, 3).tolist() == [2, 3, 4]
    part = {**whole, "point_rows": np.array([4, 1, 0, 5, 2])}
    assert np.array_equal(scores_of_returns(part, 0, 6), [np.nan, 1, np.nan, np.nan, 0, np.nan], equal_nan=True)
    assert np.array_equal(scores_of_returns(part, 1, 6), [2, np.nan, 4, np.nan, np.nan, 3], equal_nan=True)
    assert np.isnan(scores_of_returns({"frame_scores": np.zeros(2)}, 1, 6)).all()


def test_only_errors_are_shown_as_errors_and_one_of_a_scenario():
    labels = np.array([1, 1, 1, 1, 0, 0, 0, 0, -1])
    scores = np.array([0.1, 0.2, 0.49, 0.5, 0.9, 0.8, 0.5, 0.49, 0.99])
    groups = ["a", "a", "b", "c", "d", "d", "e", "f", "g"]
    chosen = chosen_frames(labels, scores, groups, 0.5, 3)
    assert chosen["worst misses"] == [0, 2] and chosen["worst false alarms"] == [4, 6]
    assert len(chosen["random frames"]) == 3 and 8 not in chosen["random frames"]
    assert chosen_frames(labels, scores, groups, 0.5, 1)["worst misses"] == [0]
    assert chosen_frames(labels, scores, groups, 0.05, 3)["worst misses"] == []
    assert chosen_frames(labels, scores, groups, 0.95, 3)["worst false alarms"] == []
    nothing = chosen_frames(labels, scores, groups, None, 3)
    assert nothing["worst misses"] == [] == nothing["worst false alarms"]
