"""LiDAR towers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from veritrain.models.image import block, residual_blocks


class RangeViewEncoder(nn.Module):
    """Features of a sweep on the sensor's own grid (rows: elevation, columns: azimuth).

    A stem at full azimuth keeps narrow things apart; residual blocks on coarse tokens see the surroundings.
    The stem's columns wrap around, since azimuth does; the coarse blocks pad with zeros behind the car.
    """

    def __init__(self, channels: int, width: int, blocks: int = 2) -> None:
        super().__init__()
        self.fine_width = max(8, width // 2)
        self.stem = nn.Sequential(
            block(channels, self.fine_width, stride=(2, 1)), block(self.fine_width, self.fine_width)
        )
        self.down = block(self.fine_width, width, stride=2)
        self.blocks = residual_blocks(width, blocks)

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, R, A), R a multiple of 4, A even -> fine (B, width/2, R/2, A), coarse (B, width, R/4, A/2)."""
        fine = self.stem(_wrapped(view))[..., :, WRAP:-WRAP]
        coarse = self.blocks(self.down(fine))
        return fine, coarse


WRAP = 2
"""Columns of the other end that the stem's two convolutions see on each side."""


def _wrapped(view: Tensor) -> Tensor:
    return torch.cat([view[..., -WRAP:], view, view[..., :WRAP]], dim=-1)
