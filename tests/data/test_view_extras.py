"""Arrays for some networks alone: compared with slow computations, point by point."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tiny_street import HEIGHT, VIEWS, WIDTH, batch_of, tiny_frame, tiny_frames
from veritrain.data.frames import ExchangedInput, FrameSet, exchanged_groups
from veritrain.data.geometry import project
from veritrain.data.paired_view import flat_cells, flipped, paired_view, view_tokens
from veritrain.data.view_extras import (
    OF_POINTS,
    REFERENCE_METRES,
    cell_places,
    extra_arrays,
    scores_of_returns,
)

ALL = replace(VIEWS, pixels=True, rays=True, returns=300)


def frame_of(seed: int = 3):
    return tiny_frame("0", "town/a", anomalous=True, seed=seed)


def extras_of(frame, views=ALL):
    return extra_arrays(frame, views, paired_view(frame, views))


def test_nothing_is_made_that_nobody_asked_for():
    assert extras_of(frame_of(), VIEWS) == {}
    assert set(extras_of(frame_of(), replace(VIEWS, pixels=True))) == {"seen_pixels"}
    assert set(extras_of(frame_of(), replace(VIEWS, rays=True))) == {"cell_places"}


def test_a_token_projects_where_its_nearest_return_does():
    frame = frame_of()
    arrays = paired_view(frame, ALL)
    pixels, seen, mask = extras_of(frame)["seen_pixels"], arrays["seen"], arrays["seen_mask"]
    tokens = view_tokens(arrays["view"])
    for place in np.flatnonzero(mask):
        x, y, z, _ = frame.calibration.camera_from_lidar @ [*tokens[seen[place], :3], 1.0]
        column, row, _ = frame.calibration.intrinsics @ [x / z, y / z, 1]
        np.testing.assert_allclose(pixels[place], [column, row], rtol=1e-4, atol=1e-3)
        middle = arrays["window"][place, 4]
        assert (int(row // 4), int(column // 4)) == divmod(middle, WIDTH // 4)
    assert mask.any() and not pixels[~mask].any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_an_image_cell_lies_on_its_ray_twenty_metres_out(mirrored):
    frame = flipped(frame_of()) if mirrored else frame_of()
    places = cell_places(frame, 4)
    assert places.shape == (HEIGHT // 4 * (WIDTH // 4), 3) and (places[:, 0] > 0).all()
    calibration = frame.calibration
    back, seen = project(places, calibration.intrinsics, calibration.camera_from_lidar, (HEIGHT, WIDTH))
    row, column = np.mgrid[0 : HEIGHT // 4, 0 : WIDTH // 4].reshape(2, -1) * 4 + 2
    assert seen.all()
    np.testing.assert_allclose(back, np.stack([column, row], 1), atol=1e-3)
    camera = -calibration.camera_from_lidar[:3, :3].T @ calibration.camera_from_lidar[:3, 3]
    np.testing.assert_allclose(np.linalg.norm(places - camera, axis=1), REFERENCE_METRES, rtol=1e-5)


def test_returns_stand_where_they_say_and_hold_what_the_view_holds():
    frame = frame_of()
    extras = extras_of(frame)
    at = extras["returns_at"]
    assert sorted(at) == list(range(len(frame.points)))
    features = extras["returns"][at]
    np.testing.assert_allclose(features[:, :3] * (30, 30, 3), frame.points[:, :3], rtol=1e-5)
    np.testing.assert_allclose(features[:, 3], frame.points[:, 3])
    np.testing.assert_allclose(features[:, 4], np.log1p(np.linalg.norm(frame.points[:, :3], axis=1)) / 4, rtol=1e-5)
    assert np.array_equal(extras["returns_cell"][at], flat_cells(frame.points, ALL))
    assert extras["returns_pooled"].sum() == 300 and extras["returns_pooled"][:300].all()
    assert not extras_of(frame, replace(ALL, returns=9999))["returns_pooled"].sum() < len(frame.points)


def test_collating_pads_and_says_what_is_padding():
    data = FrameSet(tiny_frames(), ALL)
    batch = batch_of(data, [0, 1, 5])
    lengths = [len(data.frames[i].points) for i in (0, 1, 5)]
    assert batch["returns"].shape == (3, max(lengths), 5) and batch["returns_mask"].sum(1).tolist() == lengths
    assert len(set(lengths)) > 1
    for b, n in enumerate(lengths):
        assert not batch["returns"][b, n:].any() and not batch["returns_pooled"][b, n:].any()
        assert torch.equal(
            batch["returns"][b, :n], torch.from_numpy(data.sample([0, 1, 5][b], epoch=0, seed=0)["returns"])
        )
        cells = batch["returns_cell"][b][batch["returns_at"][b]]
        assert torch.equal(cells, batch["point_cells"][b])


def test_exchanged_points_bring_their_returns_and_own_ones_are_not_among_them():
    data = FrameSet(tiny_frames(), ALL)
    exchanged, donor = ExchangedInput(data, "points", seed=3), exchanged_groups(data.frames, 3)
    own, mixed = (one.sample(2, epoch=0, seed=0) for one in (data, exchanged))
    other = data.sample(donor[2], epoch=0, seed=0)
    assert all(np.array_equal(mixed[key], other[key]) for key in OF_POINTS)
    assert len(mixed["returns_at"]) == len(own["point_labels"]) and (mixed["returns_at"] == -1).all()
    assert np.array_equal(mixed["cell_places"], own["cell_places"])
    image = ExchangedInput(data, "image", seed=3).sample(2, epoch=0, seed=0)
    assert all(np.array_equal(image[key], own[key]) for key in (*OF_POINTS, "returns_at"))
    exchanged.collate([mixed, exchanged.sample(1, epoch=0, seed=0)])


def test_a_return_the_network_did_not_see_is_scored_by_its_cell():
    own, cells = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([7.0, 8.0, 9.0, 10.0])
    found = scores_of_returns(own, torch.tensor([2, -1, 0, -1]), cells)
    assert found.tolist() == pytest.approx([0.3, 8.0, 0.1, 10.0])
