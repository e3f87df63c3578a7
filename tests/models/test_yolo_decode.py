"""Decoding by hand, and against a loop over cells."""

from __future__ import annotations

import math

import pytest
import torch

from veritrain.models.options import YoloOptions
from veritrain.models.yolo import Detect
from veritrain.models.yolo_decode import corners_of, decode, decode_level


def test_by_hand():
    """One anchor of 2 x 3 cells on a 2 x 2 level of stride 8; the cell in row 1, column 0."""
    raw = torch.zeros(1, 1, 2, 2, 6)
    raw[0, 0, 1, 0] = torch.tensor([0.0, math.log(3), math.log(3), 0.0, math.log(4), -math.log(9)])
    found = decode_level(raw, torch.tensor([[2.0, 3.0]]), 8)
    x, y = (2 * 0.5 - 0.5 + 0) * 8, (2 * 0.75 - 0.5 + 1) * 8
    assert found.shape == (1, 4, 6)
    assert found[0, 2].tolist() == pytest.approx([x, y, (2 * 0.75) ** 2 * 16, 1.0 * 24, 0.8, 0.1], rel=1e-6)
    assert found[0, 0].tolist() == pytest.approx([4.0, 4.0, 16.0, 24.0, 0.5, 0.5])


def test_against_a_loop_over_levels_anchors_and_cells():
    generator = torch.Generator().manual_seed(0)
    detect = Detect((8, 8, 8), 2, YoloOptions().anchors)
    output = {name: torch.randn(2, 3, rows, rows + 1, 7, generator=generator) for name, rows in
              zip(("p3", "p4", "p5"), (4, 2, 1), strict=True)}  # fmt: skip
    expected = []
    for level, (name, stride) in enumerate(zip(output, (8, 16, 32), strict=True)):
        for anchor in range(3):
            width, height = YoloOptions().anchors[level][anchor]
            for row in range(output[name].shape[2]):
                for column in range(output[name].shape[3]):
                    share = 1 / (1 + (-output[name][0, anchor, row, column].double()).exp())
                    x, y, w, h = share[:4].tolist()
                    expected.append(
                        [(2 * x - 0.5 + column) * stride, (2 * y - 0.5 + row) * stride, (2 * w) ** 2 * width,
                         (2 * h) ** 2 * height, *share[4:].tolist()]
                    )  # fmt: skip
    found = decode(output, detect)
    assert found.shape == (2, 3 * (20 + 6 + 2), 7) and found.dtype == torch.float32
    torch.testing.assert_close(found[0].double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-5)


def test_sixteen_bit_outputs_are_decoded_in_float32():
    raw = torch.randn(1, 3, 80, 80, 9, generator=torch.Generator().manual_seed(0)).bfloat16()
    found = decode_level(raw, torch.ones(3, 2), 8)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, decode_level(raw.float(), torch.ones(3, 2), 8), rtol=0, atol=0)


def test_corners():
    assert corners_of(torch.tensor([[10.0, 20.0, 4.0, 6.0]])).tolist() == [[8.0, 17.0, 12.0, 23.0]]
