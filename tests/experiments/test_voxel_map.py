"""Voxels of the picture: AnoVox's grid, the highest score of their returns, and a picture that fits its paper."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tiny_street import tiny_frame
from veritrain.data.voxels import CELL, cells_of_points, centres_of_cells
from veritrain.experiments.voxel_map import draw_voxels, outline, voxels_of

PLACE = (0.0, 0.0, 1.8)


@pytest.fixture
def frame():
    return tiny_frame("1", "t/0", anomalous=True, seed=5)


def test_each_voxel_has_the_highest_score_and_any_label_of_its_returns(frame):
    scores = np.random.default_rng(0).random(len(frame.points)).astype(np.float32)
    scores[::5] = np.nan
    middles, level, labelled = voxels_of(frame, scores, PLACE)
    assert labelled.any() and not labelled.all()
    seen = 0
    for middle, highest, label in zip(middles, level, labelled, strict=True):
        inside = (np.abs(frame.points[:, :3] - middle) <= CELL / 2 + 1e-5).all(1) & ~np.isnan(scores)
        assert inside.any() and scores[inside].max() == highest
        assert label == (frame.point_labels[inside] == 1).any()
        seen += int(inside.sum())
    assert seen == int((~np.isnan(scores)).sum())


def test_middles_lie_in_the_cells_they_are_the_middles_of():
    points = np.random.default_rng(1).uniform((-30, -30, -8), (30, 30, 10), (200, 3))
    cells = cells_of_points(points, PLACE)
    middles = centres_of_cells(cells, PLACE)
    assert np.array_equal(cells_of_points(middles, PLACE), cells)
    assert np.abs(middles - points).max() <= CELL / 2 + 1e-9


def test_the_picture_outlines_labels_and_is_left_out_without_a_score(frame, tmp_path):
    scores = np.full(len(frame.points), 0.1, np.float32)
    assert draw_voxels(frame, scores, PLACE, tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.size == (1200, 900)
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    green = (np.abs(pixels - (0, 158, 115)).sum(-1) < 40).sum()
    plain = replace(frame, point_labels=np.zeros_like(frame.point_labels))
    assert draw_voxels(plain, scores, PLACE, tmp_path / "two.png")
    with Image.open(tmp_path / "two.png") as picture:
        assert green > 50 > (np.abs(np.asarray(picture.convert("RGB")).astype(int) - (0, 158, 115)).sum(-1) < 40).sum()
    assert not draw_voxels(frame, np.full(len(frame.points), np.nan, np.float32), PLACE, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_the_outline_of_voxels_is_that_of_the_body_they_make():
    middles = np.array([[x, 0.0, 0.0] for x in (0.0, CELL, 2 * CELL)])
    edges = outline(middles)
    lengths = np.linalg.norm(edges[:, 0] - edges[:, 1], axis=1)
    # a bar of three: four long sides in three pieces each, and two ends of four edges
    assert len(edges) == 12 + 8 and np.allclose(lengths, CELL)
    assert len(outline(middles[[0, 2]])) == 24
