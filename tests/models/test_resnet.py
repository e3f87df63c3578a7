"""The ResNet tower is torchvision's, with the normalisation inside; the merge is a feature pyramid's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchvision

from veritrain.models.resnet import IMAGENET_MEAN, IMAGENET_STD, ResNetEncoder, TopDownMerge


@pytest.fixture(scope="module")
def tower() -> ResNetEncoder:
    torch.manual_seed(0)
    return ResNetEncoder("resnet18").eval()


def test_it_is_torchvisions_network_on_normalised_pixels(tower):
    reference = torchvision.models.resnet18(weights=None).eval()
    missing, unexpected = reference.load_state_dict(tower.state_dict(), strict=False)
    assert (missing, unexpected) == (["fc.weight", "fc.bias"], [])
    reference.fc = torch.nn.Identity()
    pixels = torch.randint(0, 256, (2, 3, 64, 96), dtype=torch.uint8)
    given = torchvision.transforms.functional.normalize(pixels / 255, IMAGENET_MEAN, IMAGENET_STD)
    found = tower(pixels / 127.5 - 1)[-1].mean((2, 3))
    torch.testing.assert_close(found, reference(given), rtol=1e-4, atol=1e-5)


def test_four_maps_from_stride_4_to_32(tower):
    shapes = [tuple(one.shape) for one in tower(torch.rand(1, 3, 64, 96))]
    assert shapes == [(1, 64, 16, 24), (1, 128, 8, 12), (1, 256, 4, 6), (1, 512, 2, 3)]


def test_resnet50_has_the_channels_it_says():
    tower = ResNetEncoder("resnet50").eval()
    maps = tower(torch.rand(1, 3, 32, 32))
    assert tuple(one.shape[1] for one in maps) == tower.channels == (256, 512, 1024, 2048)
    assert sum(p.numel() for p in tower.parameters()) == 25_557_032 - 2048 * 1000 - 1000


def test_the_normalisation_is_no_weight(tower):
    assert not {"mean", "std"} & set(tower.state_dict())


def test_the_merge_adds_what_is_coarser():
    """By hand: identity laterals, one channel, an identity smoothing kernel."""
    merge = TopDownMerge((1, 1, 1), 1).eval()
    for lateral in merge.lateral:
        torch.nn.init.ones_(lateral.weight)
        torch.nn.init.zeros_(lateral.bias)
    torch.nn.init.dirac_(merge.smooth[0].weight)
    fine, middle = torch.rand(1, 1, 4, 8), torch.rand(1, 1, 2, 4)
    coarse = torch.rand(1, 1, 1, 2)
    expected = fine + F.interpolate(middle + coarse.repeat_interleave(2, 2).repeat_interleave(2, 3), scale_factor=2)
    torch.testing.assert_close(merge([fine, middle, coarse]), expected / (1 + 1e-5) ** 0.5)


@pytest.mark.parametrize("size", [(36, 52), (32, 48)])
def test_sizes_that_halve_unevenly_still_merge_to_stride_4(tower, size):
    merge = TopDownMerge(tower.channels, 8).eval()
    assert merge(tower(torch.rand(2, 3, *size))).shape == (2, 8, size[0] // 4, size[1] // 4)
