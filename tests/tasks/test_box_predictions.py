"""Boxes of a batch become predictions in pixels of the stored images."""

from __future__ import annotations

import numpy as np
import torch

from veritrain.tasks.box_predictions import found_in_batch, truths_of_batch
from veritrain.tasks.box_tables import BoxTables

# Two stored images of 200 x 100 (width x height) in a letterbox of 64 x 64: scaled to 64 x 32, 16 rows below the top.
BATCH = {
    "image": torch.zeros(2, 3, 64, 64),
    "placed": torch.tensor([[100, 200, 32, 64, 16, 0]] * 2),
    "index": torch.tensor([7, 3]),
    "targets": torch.tensor(
        [[1, 2, 0.5, 0.5, 0.25, 0.25], [0, 1, 0.25, 0.5, 0.5, 0.5], [1, 0, 0.5, 0.5, 1.0, 0.5]], dtype=torch.float32
    ),
}


def test_truths_lie_in_the_stored_image_in_the_order_of_the_images():
    found = truths_of_batch(BATCH)
    assert found["index"].tolist() == [7, 3] and found["truth_counts"].tolist() == [1, 2]
    assert found["truth_classes"].tolist() == [1, 2, 0]
    wanted = [[0, 0, 100, 100], [75, 25, 125, 75], [0, 0, 200, 100]]
    np.testing.assert_allclose(found["truth_boxes"], wanted, atol=1e-4)


def test_what_was_found_goes_the_same_way_and_scores_as_what_it_is():
    rows = [
        torch.tensor([[0, 16, 32, 48, 0.9, 1]]),
        torch.tensor([[24.0, 24, 40, 40, 0.8, 2], [0, 16, 64, 48, 0.7, 0]]),
    ]
    found = {**truths_of_batch(BATCH), **found_in_batch(rows, BATCH)}
    assert found["box_counts"].tolist() == [1, 2] and found["box_classes"].tolist() == [1, 2, 0]
    tables = BoxTables.of(found, ["a", "b"], ("x", "y", "z"))
    assert tables.value("map") == 1.0


def test_images_without_a_box():
    found = found_in_batch([torch.zeros(0, 6), torch.zeros(0, 6)], BATCH)
    assert found["box_counts"].tolist() == [0, 0] and found["boxes"].shape == (0, 4)
    nothing = {**BATCH, "targets": torch.zeros(0, 6)}
    assert truths_of_batch(nothing)["truth_counts"].tolist() == [0, 0]
    assert BoxTables.of({**truths_of_batch(BATCH), **found}, ["a", "b"], ("x", "y", "z")).value("map_50") == 0.0
