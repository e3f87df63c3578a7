"""The sweep from above: returns are where they are, the strongest is seen, and the picture says what is what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tiny_street import tiny_frame
from veritrain.data.sample import Calibration, Frame
from veritrain.experiments.above import (
    LOUD,
    METRES,
    NOTHING,
    OUTLINE,
    SIDE,
    STRIP,
    UNSCORED,
    WITHOUT,
    from_above,
    highest_scores,
    places,
)


@pytest.fixture
def frame():
    points = np.array([[10.0, 0.0, -1.0, 0.5], [0.0, 20.0, 0.0, 0.5]], np.float32)
    return Frame(
        id="t/s/1",
        group="t/s",
        kind="static",
        image=np.full((12, 18, 3), 90, np.uint8),
        points=points,
        frame_label=1,
        point_labels=np.array([0, 0], np.int8),
        point_ids=np.array([29, 1], np.int32),
        pixel_labels=np.zeros((12, 18), np.int8),
        calibration=Calibration(intrinsics=np.eye(3), camera_from_lidar=np.eye(4)),
    )


def around(frame, scores, row):
    """The 4 x 4 pixels of the return in that row."""
    picture = np.asarray(from_above(frame, np.asarray(scores, np.float32))).astype(int)
    x, y = (int(part[row]) for part in places(frame.points))
    return picture[y - 1 : y + 3, x - 1 : x + 3].reshape(-1, 3)


def test_forward_is_up_and_left_is_left(frame):
    column, row = places(frame.points)
    assert column[0] == SIDE // 2 and row[0] == SIDE // 2 - SIDE * 10 / 2 / METRES
    assert row[1] == SIDE // 2 and column[1] == SIDE // 2 - SIDE * 20 / 2 / METRES
    assert around(frame, [0.9, 0.9], 0).sum(1).max() > 400 and around(frame, [0.9, 0.9], 1).sum(1).max() > 400


def test_a_high_score_is_brighter_than_a_low_one(frame):
    assert around(frame, [0.0, 0.95], 1).sum(1).max() > around(frame, [0.0, 0.05], 1).sum(1).max()


def test_returns_without_a_score_are_grey(frame):
    assert (around(frame, [np.nan, 0.9], 0) == UNSCORED).all(1).any()
    assert not (around(frame, [np.nan, 0.9], 1) == UNSCORED).all(1).any()


def test_a_square_shows_its_strongest_return_as_a_loop_would():
    rng = np.random.default_rng(0)
    column, row = rng.integers(-3, SIDE + 3, (2, 3000))
    column[:1000], row[:1000] = rng.integers(200, 230, (2, 1000))
    scores = rng.random(3000).astype(np.float32)
    scores[::7] = np.nan
    expected = np.full((SIDE, SIDE), NOTHING, np.float32)
    for x, y, score in zip(column, row, scores, strict=True):
        level = WITHOUT if np.isnan(score) else score
        for dx in range(-1, 3) if level >= LOUD else range(2):
            for dy in range(-1, 3) if level >= LOUD else range(2):
                if 0 <= x + dx < SIDE and 0 <= y + dy < SIDE:
                    expected[y + dy, x + dx] = max(expected[y + dy, x + dx], level)
    assert np.array_equal(highest_scores(column, row, scores), expected)


def test_labelled_returns_are_ringed_and_the_ring_is_explained():
    frame = tiny_frame("1", "t/0", anomalous=True, seed=4)
    scores = np.zeros(len(frame.points), np.float32)
    picture = np.asarray(from_above(frame, scores))
    assert picture.shape == (SIDE + STRIP, SIDE, 3)
    green = (picture == OUTLINE).all(-1)
    assert green[:SIDE].any() and green[SIDE:].any()
    plain = tiny_frame("1", "t/0", anomalous=False, seed=4)
    assert not (np.asarray(from_above(plain, np.zeros(len(plain.points), np.float32))) == OUTLINE).all(-1).any()


def test_a_sweep_without_a_return_is_drawn(frame):
    empty = replace(frame, points=frame.points[:0], point_labels=frame.point_labels[:0], point_ids=frame.point_ids[:0])
    assert from_above(empty, np.zeros(0, np.float32)).size == (SIDE, SIDE + STRIP)
