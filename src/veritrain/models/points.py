"""LiDAR towers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from veritrain.models.image import ResidualBlock


class RangeViewEncoder(nn.Module):
    """Features of a sweep on the sensor's own grid (rows: elevation, columns: azimuth).

    A full-resolution stem keeps single returns apart; residual blocks at half resolution see the surroundings.
    Columns wrap around, since azimuth does.
    """

    stride = 2

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        half = max(8, width // 2)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, half, 3, padding=1, padding_mode="zeros"), nn.GroupNorm(8, half), nn.ReLU()
        )
        self.down = nn.Sequential(nn.Conv2d(half, width, 3, stride=2, padding=1), nn.GroupNorm(8, width), nn.ReLU())
        self.blocks = nn.Sequential(ResidualBlock(width), ResidualBlock(width, dilation=2))
        self.fine_width = half

    def forward(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, R, A), R and A even -> fine (B, width/2, R, A) and coarse (B, width, R/2, A/2)."""
        fine = self.stem(_wrap(view))[..., :, 1:-1]
        coarse = self.blocks(self.down(fine))
        return fine, coarse


def _wrap(view: Tensor) -> Tensor:
    """One column of the other end on each side."""
    return torch.cat([view[..., -1:], view, view[..., :1]], dim=-1)
