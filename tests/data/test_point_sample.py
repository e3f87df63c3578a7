"""Part of a sweep: spread over all azimuths, the same for the same seed, no return twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain.data.point_sample import cloud_of, padded_clouds, point_sample
from veritrain.data.sample import UNKNOWN


def sweep(count: int, seed: int = 0) -> np.ndarray:
    """A sweep as a file holds it: in order of azimuth from behind, clockwise."""
    rng = np.random.default_rng(seed)
    azimuth = np.sort(rng.uniform(-np.pi, np.pi, count))[::-1]
    distance = rng.uniform(2, 90, count)
    xyz = [distance * np.cos(azimuth), distance * np.sin(azimuth), rng.uniform(-2, 3, count), rng.random(count)]
    return np.column_stack(xyz).astype(np.float32)


def azimuth_of(points: np.ndarray) -> np.ndarray:
    return np.arctan2(points[:, 1], points[:, 0])


@settings(max_examples=60, deadline=None)
@given(count=st.integers(0, 300), most=st.integers(1, 300), seed=st.integers(0, 9))
def test_as_many_as_asked_for_and_none_twice(count, most, seed):
    points = sweep(count, seed)
    rows = point_sample(points, most, (seed, 1, 2))
    assert len(rows) == min(count, most) == len(set(rows.tolist()))
    assert rows.dtype == np.int64 and ((rows >= 0) & (rows < count)).all()


@settings(max_examples=40, deadline=None)
@given(count=st.integers(2, 400), most=st.integers(1, 60), seed=st.integers(0, 9))
def test_every_slice_of_the_sweep_gives_one(count, most, seed):
    """Ranked by azimuth, the k-th row falls in the k-th of ``most`` slices of equally many returns."""
    points = sweep(count, seed)
    if count <= most:
        return
    rank = np.argsort(np.argsort(-azimuth_of(points), kind="stable"))
    for k, row in enumerate(point_sample(points, most, (seed,))):
        assert k * count // most <= rank[row] < (k + 1) * count // most


def test_it_covers_all_azimuths_where_the_first_rows_are_one_sector():
    points = sweep(20_000)
    chosen, first = azimuth_of(points[point_sample(points, 1000, (0, 0, 0))]), azimuth_of(points[:1000])
    sectors = np.linspace(-np.pi, np.pi, 37)
    assert (np.histogram(chosen, sectors)[0] > 10).all()
    assert (np.histogram(first, sectors)[0] > 0).sum() <= 3, "the fault of report 001"


def test_the_same_seed_gives_the_same_rows_and_another_gives_others():
    points = sweep(5000)
    one = point_sample(points, 200, (1, 2, 3))
    assert np.array_equal(one, point_sample(points.copy(), 200, (1, 2, 3)))
    for other in ((1, 2, 4), (1, 3, 3), (2, 2, 3)):
        assert not np.array_equal(one, point_sample(points, 200, other))


def test_every_return_is_drawn_sometimes():
    points = sweep(100)
    drawn = {int(row) for epoch in range(200) for row in point_sample(points, 30, (0, epoch, 0))}
    assert drawn == set(range(100))


def test_a_cloud_is_a_copy_with_labels_beside_it():
    points, labels = sweep(50), np.arange(50).astype(np.int8)
    before = points.copy()
    found = cloud_of(points, labels, 20, (0, 0, 0))
    rows = found["cloud_index"]
    assert np.array_equal(found["cloud_labels"], labels[rows])
    assert np.array_equal(found["cloud"], points[rows])
    assert np.array_equal(points, before)


def test_padding_is_marked_and_unknown():
    clouds = [cloud_of(sweep(n), np.ones(n, np.int8), 9, (0,)) for n in (3, 0, 40)]
    batch = padded_clouds(clouds)
    assert batch["cloud"].shape == (3, 9, 4) and batch["cloud_mask"].sum(1).tolist() == [3, 0, 9]
    for key, empty in (("cloud", 0), ("cloud_index", -1), ("cloud_labels", UNKNOWN)):
        assert (batch[key][~batch["cloud_mask"]] == empty).all()
        assert np.array_equal(batch[key][0][:3], clouds[0][key])


def test_frames_without_any_return_still_make_a_batch():
    nothing = cloud_of(np.zeros((0, 4), np.float32), np.zeros(0, np.int8), 9, (0,))
    batch = padded_clouds([nothing, nothing])
    assert batch["cloud"].shape == (2, 1, 4) and not batch["cloud_mask"].any()


def test_a_cloud_of_another_length_than_its_labels_keeps_room_for_both():
    """What exchanging the points of two frames makes."""
    own, other = (cloud_of(sweep(n), np.ones(n, np.int8), 99, (0,)) for n in (7, 4))
    batch = padded_clouds([{**own, "cloud": other["cloud"]}])
    assert batch["cloud_mask"].sum() == 4 and (batch["cloud_index"] >= 0).sum() == 7 and batch["cloud"].shape[1] == 7


@pytest.mark.parametrize("most", [7, 100, 299])
def test_a_sample_is_spread_over_all_directions(most):
    """Points stored sector by sector: the first would see a narrow part."""
    rng = np.random.default_rng(0)
    azimuth = np.sort(rng.uniform(-np.pi, np.pi, 2000))
    points = np.stack([np.cos(azimuth), np.sin(azimuth)], 1)
    chosen = point_sample(points, most, (0,))
    assert len(chosen) == len(set(chosen)) == most
    shares = np.floor(np.sort(chosen) / (2000 / most)).astype(int)
    assert np.abs(shares - np.arange(most)).max() <= 1, "one from each equal share"
    assert np.ptp(azimuth[:most]) < np.ptp(azimuth[chosen]) and np.ptp(azimuth[chosen]) > 4.5
    assert np.array_equal(chosen, point_sample(points, most, (0,))), "the same draw again"


def test_a_sample_prefers_no_ring():
    """Rings in turns: every fourth point would be one ring alone."""
    points = np.stack([np.cos(np.linspace(-3, 3, 4000)), np.sin(np.linspace(-3, 3, 4000))], 1)
    rings = np.arange(4000) % 4
    counts = np.bincount(rings[point_sample(points, 1000, (0,))], minlength=4)
    assert counts.min() > 200
