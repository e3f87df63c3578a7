"""The image tower: shape, locality, and nothing shared between samples."""

from __future__ import annotations

import pytest
import torch

from veritrain.models.image import ResidualBlock, SmallImageEncoder, block, residual_blocks


def encoder(width: int = 8) -> SmallImageEncoder:
    torch.manual_seed(0)
    return SmallImageEncoder(width)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_any_number_of_blocks_the_last_is_dilated(count):
    blocks = residual_blocks(8, count)
    assert [one.first.dilation for one in blocks] == [(1, 1)] * (count - 1) + [(2, 2)]
    assert len(SmallImageEncoder(8, count).blocks) == count
    assert blocks(torch.randn(2, 8, 6, 6)).shape == (2, 8, 6, 6)


@pytest.mark.parametrize(("height", "width"), [(32, 48), (64, 96), (4, 4)])
@pytest.mark.parametrize("channels", [8, 24])
def test_one_feature_cell_for_four_by_four_pixels(height, width, channels):
    tower = encoder(channels)
    assert tower(torch.randn(2, 3, height, width)).shape == (2, channels, height // 4, width // 4)
    assert tower.stride == 4


def test_every_parameter_gets_a_gradient():
    tower = encoder()
    tower(torch.randn(2, 3, 32, 48)).square().sum().backward()
    silent = [name for name, p in tower.named_parameters() if p.grad is None or not p.grad.abs().any()]
    assert not silent


def test_in_evaluation_a_sample_hears_nothing_of_the_others():
    tower = encoder().eval()
    images = torch.randn(3, 3, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(tower(images)[1].sum(), images)
    assert gradient[1].abs().any()
    assert not gradient[[0, 2]].any()


def test_a_shift_by_one_cell_shifts_the_features():
    tower = encoder().eval()
    image = torch.zeros(1, 3, 96, 96)
    image[..., 44:52, 44:52] = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    there, here = tower(image.roll((4, -8), dims=(-2, -1))), tower(image)
    moved = here.roll((1, -2), dims=(-2, -1))
    inner = (..., slice(9, -9), slice(9, -9))
    torch.testing.assert_close(there[inner], moved[inner], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(here[inner], moved[inner], atol=1e-3)


def test_a_cell_sees_its_surroundings_and_nothing_far_away():
    tower = encoder().eval()
    image = torch.randn(1, 3, 128, 128, requires_grad=True)
    (gradient,) = torch.autograd.grad(tower(image)[0, :, 16, 16].sum(), image)
    seen = torch.nonzero(gradient[0].abs().sum(0))
    low, high = seen.min(0).values, seen.max(0).values
    assert (low <= 64 - 12).all() and (high >= 67 + 12).all(), "more than a patch"
    assert (low >= 64 - 32).all() and (high <= 67 + 32).all()


def test_a_residual_block_starts_from_what_it_was_given():
    part = ResidualBlock(8).eval()
    torch.nn.init.zeros_(part.second_norm.weight)
    x = torch.randn(1, 8, 6, 6)
    assert torch.equal(part(x), x.relu())


@pytest.mark.parametrize(("stride", "size"), [(1, (8, 12)), (2, (4, 6)), ((2, 1), (4, 12)), ((1, 2), (8, 6))])
def test_a_block_strides_as_it_is_told(stride, size):
    assert block(3, 5, stride=stride)(torch.randn(2, 3, 8, 12)).shape == (2, 5, *size)
