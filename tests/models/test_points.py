"""The LiDAR tower: two grids, and an azimuth that goes round."""

from __future__ import annotations

import pytest
import torch

from veritrain.data.paired_view import TOKEN
from veritrain.models.points import RangeViewEncoder


def encoder(width: int = 8) -> RangeViewEncoder:
    torch.manual_seed(0)
    return RangeViewEncoder(6, width)


@pytest.mark.parametrize(("rows", "columns"), [(16, 36), (64, 180), (4, 8)])
@pytest.mark.parametrize("width", [8, 32])
def test_a_fine_grid_and_one_cell_for_each_token(rows, columns, width):
    tower = encoder(width)
    fine, coarse = tower(torch.randn(2, 6, rows, columns))
    assert fine.shape == (2, tower.fine_width, rows // 2, columns)
    assert coarse.shape == (2, width, rows // TOKEN[0], columns // TOKEN[1])


def test_every_parameter_gets_a_gradient():
    tower = encoder()
    fine, coarse = tower(torch.randn(2, 6, 16, 36))
    (fine.square().sum() + coarse.square().sum()).backward()
    silent = [name for name, p in tower.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert not silent


def test_in_evaluation_a_sample_hears_nothing_of_the_others():
    tower = encoder().eval()
    view = torch.randn(3, 6, 16, 36, requires_grad=True)
    fine, coarse = tower(view)
    (gradient,) = torch.autograd.grad(fine[1].sum() + coarse[1].sum(), view)
    assert gradient[1].abs().any() and not gradient[[0, 2]].any()


@pytest.mark.parametrize("columns", [1, 5, 18, -1])
def test_the_fine_grid_turns_with_the_sensor(columns):
    """Turning the car by whole columns turns the features, also over the seam behind it."""
    tower = encoder().eval()
    view = torch.randn(1, 6, 16, 36, generator=torch.Generator().manual_seed(1))
    here, turned = tower(view)[0], tower(view.roll(columns, dims=-1))[0]
    torch.testing.assert_close(turned, here.roll(columns, dims=-1), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(here, here.roll(columns, dims=-1), atol=1e-2)


def test_the_tokens_turn_with_the_sensor_away_from_the_seam():
    tower = encoder().eval()
    view = torch.randn(1, 6, 16, 72, generator=torch.Generator().manual_seed(1))
    here, turned = tower(view)[1], tower(view.roll(2, dims=-1))[1]
    inner = (..., slice(9, -9))
    torch.testing.assert_close(turned[inner], here.roll(1, dims=-1)[inner], rtol=1e-4, atol=1e-5)


def test_the_first_column_sees_the_last():
    tower = encoder().eval()
    view = torch.randn(1, 6, 16, 36, requires_grad=True)
    (gradient,) = torch.autograd.grad(tower(view)[0][..., 0].sum(), view)
    seen = gradient.abs().sum((0, 1, 2)) > 0
    assert seen[-1] and seen[1] and not seen[10:26].any()
