"""Late fusion's arithmetic."""

from __future__ import annotations

import torch

from veritrain.models.late import LateAverage, strongest_of_tokens, to_cells


def test_at_first_a_plain_mean_where_both_see():
    part = LateAverage()
    own, other = torch.tensor([1.0, 2.0]), torch.tensor([5.0, 50.0])
    for level in ("frame", "point", "pixel"):
        assert part(level, own, other, torch.tensor([True, False])).tolist() == [3.0, 2.0]


def test_the_weights_of_a_level_are_its_own_and_are_learned():
    part = LateAverage()
    with torch.no_grad():
        part.point.copy_(torch.tensor([3.0, 1.0]).log())
    both = torch.tensor([True])
    torch.testing.assert_close(part("point", torch.tensor([8.0]), torch.tensor([4.0]), both), torch.tensor([7.0]))
    torch.testing.assert_close(part("pixel", torch.tensor([8.0]), torch.tensor([4.0]), both), torch.tensor([6.0]))
    part("point", torch.tensor([8.0]), torch.tensor([4.0]), both).sum().backward()
    assert part.point.grad is not None and part.point.grad.abs().all() and part.pixel.grad is None


def test_a_token_has_its_strongest_return():
    grid, there = torch.randn(2, 8, 6), torch.rand(2, 8, 6) < 0.3
    there[0, :4, :2] = False
    found, has_any = strongest_of_tokens(grid, there)
    for b in range(2):
        for r in range(2):
            for c in range(3):
                block = (b, slice(4 * r, 4 * r + 4), slice(2 * c, 2 * c + 2))
                assert has_any[b, 3 * r + c] == there[block].any()
                if there[block].any():
                    assert found[b, 3 * r + c] == grid[block][there[block]].max()
    assert not has_any.all()


def test_cells_take_the_value_of_their_token():
    tokens = torch.arange(6.0).view(1, 6)
    cells = to_cells(tokens, 8, 6)
    assert cells.shape == (1, 8, 6) and cells[0, 5, 3] == 4.0 and cells[0, 3, 1] == 0.0
