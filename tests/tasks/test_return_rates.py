"""Rates by distance, row and number of near returns: counted by hand, and blind to everything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tiny_street import VIEWS, tiny_frames, tiny_set, tiny_task
from veritrain.data.sample import Frame
from veritrain.tasks.return_rates import BINS, ReturnRates
from veritrain.training.evaluate import predict_set


@pytest.fixture(scope="module")
def rates() -> ReturnRates:
    return ReturnRates.fit(tiny_frames(), VIEWS)


@pytest.fixture(scope="module")
def like() -> dict:
    task = tiny_task()
    return dict(predict_set(task, task.model(), tiny_set(seed=5)))


def distances(frames: list[Frame]) -> np.ndarray:
    return np.concatenate([np.linalg.norm(frame.points[:, :3].astype(np.float64), axis=1) for frame in frames])


def test_a_rate_is_counted_with_one_more_sample_at_the_overall_rate(rates):
    frames = tiny_frames()
    metres = distances(frames)
    labels, ids = (np.concatenate([getattr(f, name) for f in frames]) for name in ("point_labels", "point_ids"))
    for found, kept in ((rates.by_range, labels >= 0), (rates.object_by_range, np.isin(ids, [14, 29]) & (labels >= 0))):
        overall = (labels[kept] == 1).mean()
        for place in (0, 1, 5, BINS - 1):
            here = labels[kept & (metres // 2 == place)]
            assert found[place] == pytest.approx(((here == 1).sum() + overall) / (len(here) + 1))
    assert rates.by_range.argmax() == 1, "the disc stands at 3 to 3.5 m"
    rows = np.stack([frame.pixel_labels for frame in frames])
    known = (rows >= 0).sum((0, 2))
    expected = ((rows == 1).sum((0, 2)) + (rows == 1).sum() / known.sum()) / (known + 1)
    assert rates.by_row == pytest.approx(expected)


def test_what_lies_beyond_all_bins_is_in_the_last_one():
    frame = tiny_frames(1, 1)[0]
    far = replace(frame, points=frame.points * np.float32([100, 100, 100, 1]))
    found = ReturnRates.fit([far], VIEWS)
    assert len(found.by_range) == BINS and np.isfinite(found.by_range).all()


def test_scores_are_those_of_distance_row_and_near_returns_alone(rates, like):
    frames = tiny_frames(seed=5)
    found = rates.by_distance(frames, like)
    bins = np.minimum(distances(frames) // 2, BINS - 1).astype(int)
    np.testing.assert_allclose(found["point_scores"], rates.by_range[bins], rtol=1e-6)
    np.testing.assert_allclose(found["object_point_scores"], rates.object_by_range[bins], rtol=1e-6)
    assert all(np.allclose(image, rates.by_row[:, None]) for image in found["pixel_scores"])
    near = [int((np.linalg.norm(frame.points[:, :3], axis=1) < 20).sum()) for frame in frames]
    expected = rates.by_near[[int((rates.near_edges <= count).sum()) for count in near]]
    np.testing.assert_allclose(found["frame_scores"], expected, rtol=1e-6)
    assert len(np.unique(found["frame_scores"])) > 1


def test_image_intensity_and_the_network_change_nothing(rates, like):
    frames = tiny_frames(seed=5)
    others = [
        replace(frame, image=frame.image // 2, points=frame.points * np.float32([1, 1, 1, 0.1])) for frame in frames
    ]
    marked = {key: np.full_like(values, 0.77) if key.endswith("_scores") else values for key, values in like.items()}
    first, second = rates.by_distance(frames, like), rates.by_distance(others, marked)
    assert set(first) == set(second) and not any((values == np.float32(0.77)).any() for values in second.values())
    for key, values in first.items():
        assert np.array_equal(values, second[key]), key


def test_the_map_among_objects_does_not_see_the_road(like):
    """All cars where the anomaly never is, road everywhere: among objects the place gives it away, among all less."""
    frames = [
        replace(frame, point_ids=np.where((frame.point_ids == 14) & (frame.points[:, 0] > 0), 1, frame.point_ids))
        for frame in tiny_frames()
    ]
    rates = ReturnRates.fit(frames, VIEWS)
    scores = rates.by_place_among_objects(like)
    behind = np.concatenate([frame.points[:, 0] < 0 for frame in tiny_frames(seed=5)])
    assert scores[like["point_labels"] == 1].mean() > 0.5 > 0.1 > scores[behind].mean()


def test_missing_levels_are_not_invented(rates, like):
    frames = tiny_frames(seed=5)
    few = {key: values for key, values in like.items() if key.startswith(("frame", "index"))}
    assert set(rates.by_distance(frames, few)) == {"frame_scores", "frame_labels", "index"}


def test_the_range_baseline_scores_above_chance_where_distance_tells(rates, like):
    task = tiny_task()
    scores = task.score(rates.by_distance(tiny_frames(seed=5), like))
    assert scores["point_auroc"] > 0.9 and scores["object_point_ap"] > 0.5
    assert np.isfinite([value for value in scores.values() if value is not None]).all()
