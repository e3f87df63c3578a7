"""How a LiDAR token reads the image where it projects, beyond taking whole cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.models.image import block


def bilinear_windows(features: Tensor, pixels: Tensor, *, stride: int, side: int) -> Tensor:
    """Features around sub-pixel places, interpolated between the four nearest cells.

    Args:
        features: (B, C, h, w); cell (i, j) is centred on pixel (stride (j + 1/2), stride (i + 1/2)).
        pixels: (B, S, 2) column and row in pixels of the image.
        side: places a window has in each direction, one cell apart, the middle one at ``pixels``; odd.

    Returns:
        (B, S * side^2, C), rows of a window from top to bottom. Beyond the outermost centres the border goes on.
    """
    height, width = features.shape[-2:]
    reach = (torch.arange(side, device=pixels.device) - side // 2).to(pixels.dtype)
    steps = torch.stack([reach.repeat(side), reach.repeat_interleave(side)], dim=-1) * stride
    size = pixels.new_tensor([width * stride, height * stride])
    places = (pixels.unsqueeze(2) + steps) / size * 2 - 1
    # Half-precision coordinates would miss the sub-pixel place.
    exact = torch.promote_types(features.dtype, torch.float32)
    found = F.grid_sample(features.to(exact), places.to(exact), padding_mode="border", align_corners=False)
    return found.to(features.dtype).flatten(2).mT


class AlignmentNetwork(nn.Module):
    """A refined image map for the LiDAR tokens to read: out = x + g (net(x) - x).

    net is (3x3 convolution, batch normalisation, ReLU) twice and a 1x1 convolution; the gate g in (0, 1), one
    number a cell, is a 1x1 convolution to a quarter of the channels, ReLU, and one to a sigmoid.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        quarter = max(1, width // 4)
        self.net = nn.Sequential(block(width, width), block(width, width), nn.Conv2d(width, width, 1))
        self.gate = nn.Sequential(nn.Conv2d(width, quarter, 1), nn.ReLU(), nn.Conv2d(quarter, 1, 1), nn.Sigmoid())

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, h, w) -> (B, C, h, w)."""
        refined: Tensor = image + self.gate(image) * (self.net(image) - image)
        return refined
