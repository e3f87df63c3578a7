"""The attention that is drawn is the network's own, at the places where calibration and windows say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tiny_street import VIEWS, batch_of, tiny_frame, tiny_task
from veritrain.data.frames import FrameSet
from veritrain.data.geometry import project
from veritrain.data.paired_view import view_tokens
from veritrain.experiments.attention_map import CHOSEN, chosen_cells, chosen_tokens, draw_attention, looks_of, why_none


@pytest.fixture(scope="module")
def seen():
    frame = tiny_frame("1", "t/0", anomalous=True, seed=6)
    torch.manual_seed(0)
    model = tiny_task().model()
    frames = FrameSet([frame], VIEWS)
    batch = batch_of(frames)
    rng = np.random.default_rng(0)
    view = rng.random((VIEWS.rows, VIEWS.columns)).astype(np.float32)
    pixels = rng.random(frame.image.shape[:2]).astype(np.float32)
    return frame, model, batch, view, pixels, looks_of(frame, batch, model.attention_maps(batch), view, pixels, VIEWS)


def test_weights_of_tokens_and_cells_are_the_networks(seen):
    _, model, batch, _, _, looks = seen
    maps = model.attention_maps(batch)
    rows = batch["seen_mask"][0].nonzero().flatten()
    assert np.allclose(looks.weights, maps["points_to_image"][0, rows].mean(-1), atol=1e-6)
    assert np.allclose(looks.weights.sum(1), 1, atol=1e-5) and np.allclose(looks.cell_weights.sum(1), 1, atol=1e-5)
    cell = int(looks.cells[0])
    assert np.allclose(looks.cell_weights[0], maps["image_to_points"][0, cell].mean(-1), atol=1e-6)


def test_tokens_lie_where_they_project_with_the_highest_score_of_their_cells(seen):
    frame, _, batch, view, _, looks = seen
    arrays = batch["view"][0].numpy()
    tokens = view_tokens(arrays)
    for row, token in enumerate(batch["seen"][0][batch["seen_mask"][0]].tolist()):
        place, inside = project(
            tokens[token : token + 1, :3], frame.calibration.intrinsics, frame.calibration.camera_from_lidar,
            frame.image.shape[:2],
        )  # fmt: skip
        assert inside[0] and np.allclose(place[0], looks.places[row])
        top, left = token // (VIEWS.columns // 2) * 4, token % (VIEWS.columns // 2) * 2
        block = np.s_[top : top + 4, left : left + 2]
        assert looks.scores[row] == view[block][arrays[-1][block] > 0].max()
        middle = looks.boxes[row][len(looks.boxes[row]) // 2]
        assert ((looks.places[row] >= middle) & (looks.places[row] < middle + VIEWS.image_stride)).all()


def test_a_cell_reads_tokens_that_project_into_it(seen):
    *_, pixels, looks = seen
    for row, cell in enumerate(looks.cells):
        corner = np.array([cell % looks.across, cell // looks.across]) * looks.stride
        for token in looks.readable[row][looks.readable[row] >= 0]:
            assert ((looks.places[token] >= corner) & (looks.places[token] < corner + looks.stride)).all()
        block = pixels[corner[1] : corner[1] + looks.stride, corner[0] : corner[0] + looks.stride]
        assert looks.cell_scores[row] == pytest.approx(block.mean(), abs=1e-6)
    assert (np.diff(looks.cell_scores) <= 0).all()


def test_the_strongest_are_chosen_apart_and_others_spread(seen):
    looks = seen[-1]
    strong, spread = chosen_tokens(looks)
    assert strong[0] == looks.scores.argmax() and len(strong) == len(spread) == CHOSEN
    assert not set(strong) & set(spread)
    distances = [np.abs(looks.places[a] - looks.places[b]).max() for a in strong for b in strong if a < b]
    assert min(distances) > 2 * looks.stride
    assert chosen_cells(looks)[0] == 0


def test_the_picture_is_written(seen, tmp_path):
    assert draw_attention(seen[0], seen[-1], tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width == 1200


def test_without_attention_it_is_said():
    assert why_none(tiny_task().model()) is None
    assert why_none(tiny_task("late").model()) == "a network with fusion late has no attention"
    assert why_none(torch.nn.Linear(1, 1)) == "this network offers no attention maps"
