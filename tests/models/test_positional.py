"""Places: the formula, the table, and where a token is."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tiny_street import batch_of, tiny_set
from veritrain.data.paired_view import view_tokens
from veritrain.models.positional import PositionalEncoding, metres_of, sincos, table_index, token_places


@pytest.mark.parametrize("width", [4, 6, 7, 32])
def test_sincos_is_the_formula(width):
    places = torch.tensor([[1.5, -20.0, 0.25], [0.0, 0.0, 0.0]], dtype=torch.float64)
    found = sincos(places, width)
    for row, place in zip(found, places.tolist(), strict=True):
        for entry in range(width):
            turn = math.sin if entry % 2 == 0 else math.cos
            expected = sum(turn(p / 10000 ** ((entry // 2 * 2) / width)) for p in place)
            assert float(row[entry]) == pytest.approx(expected, abs=1e-9)


def test_the_table_has_one_entry_for_each_bin():
    middles = torch.cartesian_prod(torch.arange(-60.0, 64, 8), torch.arange(-60.0, 64, 8), torch.arange(-3.0, 12, 2))
    assert table_index(middles).tolist() == list(range(16 * 16 * 8))
    far = torch.tensor([[-1e5, 1e5, 99.0], [-64.0, 63.9, 11.9]])
    assert table_index(far).tolist() == [15 * 8 + 7] * 2, "what lies outside takes the nearest bin"


def test_the_kinds_differ_and_hybrid_is_the_sum():
    torch.manual_seed(0)
    hybrid = PositionalEncoding("hybrid", 8)
    sin, table = PositionalEncoding("sincos", 8), PositionalEncoding("learned", 8)
    sin.linear, table.table = hybrid.linear, hybrid.table
    places = torch.randn(2, 5, 3) * 20
    torch.testing.assert_close(hybrid(places), sin(places) + table(places))
    assert sum(p.numel() for p in table.parameters()) == 2048 * 8 and sin.table is None and table.linear is None
    near = places + torch.tensor([0.01, 0.0, 0.0])
    assert not torch.equal(sin(near), sin(places)), "sincos tells a centimetre"


def test_tokens_are_where_their_nearest_return_is():
    batch = batch_of(tiny_set(), [0, 1, 4])
    batch["view"][:, :, 4:8, 10:20] = 0
    places, there = token_places(batch["view"])
    for view, place, one in zip(batch["view"].numpy(), places, there, strict=True):
        expected = view_tokens(view)
        assert np.array_equal(one.numpy(), expected[:, 3] > 0) and not one.all()
        np.testing.assert_allclose(place[one].numpy(), expected[one.numpy(), :3], rtol=1e-5)


def test_metres_are_those_of_the_returns():
    data = tiny_set()
    batch = batch_of(data, [1])
    metres = metres_of(batch["view"])[0]
    frame = data.frames[1]
    distance = np.linalg.norm(frame.points[:, :3], axis=1)
    nearest = int(distance.argmin())
    cell = int(batch["point_cells"][0][nearest])
    np.testing.assert_allclose(metres[cell].numpy(), frame.points[nearest, :3], rtol=1e-4)
