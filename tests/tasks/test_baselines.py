"""Baselines that never see a sensor value: what the place and the moment alone can score."""

from __future__ import annotations

import numpy as np
import pytest

from tiny_street import VIEWS, batch_of, tiny_frames, tiny_set, tiny_task
from veritrain.data.frames import FrameSet
from veritrain.data.sample import Frame
from veritrain.tasks.baselines import PositionMaps, constant_like, positions_in_group
from veritrain.training.evaluate import predict_set


def maps_of(dataset) -> PositionMaps:
    batch = batch_of(dataset)
    return PositionMaps.fit(
        [frame.group for frame in dataset.frames],
        batch["frame_label"].numpy().astype(np.int8),
        batch["view_labels"].numpy(),
        batch["pixel_labels"].numpy(),
    )


def predictions_of(dataset) -> dict:
    task = tiny_task()
    return dict(predict_set(task, task.model(), dataset))


def other_sensors(frame: Frame) -> Frame:
    """The same labels and places, every sensor value another: a dark image, all intensities and ranges changed."""
    points = frame.points * np.float32([2, 2, 2, 0.1])
    return Frame(**{**vars(frame), "image": frame.image // 3, "points": points})


def test_places_are_counted_within_each_group():
    assert positions_in_group(list("aabacb")).tolist() == [0, 1, 0, 2, 0, 1]
    assert positions_in_group([]).tolist() == []


def test_the_time_map_is_a_rate_with_one_added_to_each_class():
    groups = list("aaabbbcc")
    labels = np.int8([0, 1, 1, 0, 1, -1, 0, 0])
    dense = np.zeros((8, 4, 4), np.int8)
    found = PositionMaps.fit(groups, labels, dense, dense).time
    assert found == pytest.approx([1 / 5, 3 / 5, 2 / 3])


def test_the_dense_maps_show_where_anomalies_stood():
    labels = np.zeros((10, 20, 30), np.int8)
    labels[:, 5:9, 20:26] = 1
    labels[3, :, :15] = -1
    found = PositionMaps.fit(["a"] * 10, np.ones(10, np.int8), labels, labels)
    for where in (found.view, found.pixel):
        assert np.isfinite(where).all() and (where > 0).all() and (where <= 1).all()
        row, column = np.unravel_index(where.argmax(), where.shape)
        assert 5 <= row < 9 and 20 <= column < 26
        assert where[16, 3] < 0.05


@pytest.mark.parametrize("value", [0, 1, -1])
def test_maps_of_one_class_are_finite(value):
    labels = np.full((4, 8, 8), value, np.int8)
    found = PositionMaps.fit(list("aabb"), np.full(4, value, np.int8), labels, labels)
    assert all(np.isfinite(one).all() for one in (found.time, found.view, found.pixel))


@pytest.mark.parametrize("baseline", ["position map", "prior"])
def test_other_sensor_values_change_nothing(baseline):
    """Another image, other ranges and intensities, another network's scores: the same predictions."""
    data = tiny_set(seed=5)
    changed = FrameSet([other_sensors(frame) for frame in data.frames], VIEWS)
    maps, groups = maps_of(tiny_set()), [frame.group for frame in data.frames]
    first, second = predictions_of(data), predictions_of(changed)
    assert not np.array_equal(first["point_scores"], second["point_scores"]), "the network does see them"
    assert np.array_equal(first["point_cells"], second["point_cells"])

    def of(like):
        return constant_like(like) if baseline == "prior" else maps.predict(groups, like)

    for key, values in of(first).items():
        assert np.array_equal(values, of(second)[key]), key


def test_other_labels_change_nothing_but_the_labels():
    data = tiny_set(seed=5)
    maps, groups, like = maps_of(tiny_set()), [frame.group for frame in data.frames], predictions_of(data)
    spoilt = {key: (1 - values if key.endswith("_labels") else values) for key, values in like.items()}
    first, second = maps.predict(groups, like), maps.predict(groups, spoilt)
    for key in first:
        assert np.array_equal(first[key], second[key]) != key.endswith("_labels"), key


def test_no_score_of_the_network_is_carried_over():
    data = tiny_set(seed=5)
    maps, groups, like = maps_of(tiny_set()), [frame.group for frame in data.frames], predictions_of(data)
    marked = {key: (np.full_like(values, 0.77) if key.endswith("_scores") else values) for key, values in like.items()}
    for found in (maps.predict(groups, marked), constant_like(marked)):
        assert set(found) == set(like)
        assert not any((found[key] == found[key].dtype.type(0.77)).any() for key in found if key.endswith("_scores"))
        assert all(np.array_equal(found[key], like[key]) for key in found if not key.endswith("_scores"))


def test_each_return_gets_the_rate_of_its_cell():
    data = tiny_set(seed=5)
    maps, groups, like = maps_of(tiny_set()), [frame.group for frame in data.frames], predictions_of(data)
    found = maps.predict(groups, like)
    rows, columns = np.divmod(like["point_cells"], VIEWS.columns)
    np.testing.assert_allclose(found["point_scores"], maps.view[rows, columns], rtol=1e-6)
    assert all(np.allclose(one, maps.view) for one in found["view_scores"])


def test_a_longer_scenario_keeps_the_last_known_moment():
    short, long = tiny_set(4, 2), tiny_set(4, 5, seed=1)
    maps = maps_of(short)
    found = maps.predict([frame.group for frame in long.frames], predictions_of(long))
    expected = [maps.time[min(k, 1)] for _ in range(4) for k in range(5)]
    np.testing.assert_allclose(found["frame_scores"], expected, rtol=1e-6)


def test_the_prior_scores_exactly_at_the_trivial_level():
    like = predictions_of(tiny_set())
    task = tiny_task()
    scores = task.score(constant_like(like))
    for level in ("frame", "point", "pixel"):
        labels = like[f"{level}_labels"].reshape(-1)
        assert scores[f"{level}_auroc"] == pytest.approx(0.5)
        assert scores[f"{level}_ap"] == pytest.approx((labels == 1).sum() / (labels >= 0).sum())
        assert scores[f"{level}_fpr95"] == 1.0


def test_the_moment_alone_can_be_worth_something():
    """In the tiny street a scenario's first frame is never anomalous: the position map finds that, unlike the prior."""
    data = tiny_set(seed=5)
    groups = [frame.group for frame in data.frames]
    like = predictions_of(data)
    task = tiny_task()
    found = task.score(maps_of(tiny_set()).predict(groups, like))
    assert found["frame_auroc"] == pytest.approx(0.75), "8 of 16 normal frames are first ones"
    assert found["pixel_auroc"] > 0.55


def test_tiny_frames_of_another_seed_are_others():
    assert not np.array_equal(tiny_frames(1, 1)[0].image, tiny_frames(1, 1, seed=5)[0].image)
