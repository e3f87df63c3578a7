"""A LiDAR tower on the returns themselves, each with features and a score of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.data.paired_view import HEIGHT_SCALE, RANGE_SCALE, TOKEN
from veritrain.models.image import block, residual_blocks

RETURN_CHANNELS = 5
"""Of a return: x, y, z (scaled metres), intensity, log(1 + range) / 4."""


@dataclass(frozen=True)
class Returns:
    """The returns that a forward pass sees, padded.

    Attributes:
        features: (B, N, 5) float.
        cells: (B, N) int64 flat range-view cell.
        there: (B, N) bool, False for padding.
        pooled: (B, N) bool: drawn into the sample that tokens are made of.
        grid: rows and columns of the range view.
    """

    features: Tensor
    cells: Tensor
    there: Tensor
    pooled: Tensor
    grid: tuple[int, int]

    @property
    def tokens(self) -> Tensor:
        """(B, N) int64 token of each return."""
        row, column = self.cells // self.grid[1], self.cells % self.grid[1]
        return (row // TOKEN[0]) * (self.grid[1] // TOKEN[1]) + column // TOKEN[1]

    @property
    def metres(self) -> Tensor:
        """(B, N, 3) x, y, z."""
        return self.features[..., :3] * self.features.new_tensor([1 / RANGE_SCALE, 1 / RANGE_SCALE, 1 / HEIGHT_SCALE])


def returns_of(batch: Mapping[str, Any], *, training: bool) -> Returns:
    """All returns of a batch; in training only those drawn into the sample, which stand first."""
    pooled = batch["returns_pooled"]
    most = max(1, int(pooled.sum(1).max())) if training else pooled.shape[1]
    there = batch["returns_mask"] & (pooled | (not training))
    return Returns(
        batch["returns"][:, :most],
        batch["returns_cell"][:, :most],
        there[:, :most],
        pooled[:, :most],
        (batch["view"].shape[-2], batch["view"].shape[-1]),
    )


def pool_by_cell(features: Tensor, cells: Tensor, size: int, mask: Tensor | None = None) -> Tensor:
    """Largest feature in each of ``size`` cells: (B, N, C) >= 0, (B, N) int64, (B, N) bool -> (B, size, C).

    0 where nothing (or nothing under the mask) falls.
    """
    batch, _, channels = features.shape
    if mask is not None:
        features = features * mask.unsqueeze(-1)
    empty = features.new_zeros(batch, size, channels)
    return empty.scatter_reduce(1, cells.unsqueeze(-1).expand(-1, -1, channels), features, "amax")


class RawPointsEncoder(nn.Module):
    """PointNet (Qi et al. 2017, section 4.2) with a max over the cells of the token grid instead of over the sweep.

    Each return goes through the same two layers (linear, layer normalisation, ReLU): no statistics over returns, so
    that padding has nothing to change. A third layer and the max make tokens; the convolutions of the range-view
    tower let tokens see their surroundings.
    """

    def __init__(self, width: int, blocks: int = 2) -> None:
        super().__init__()
        self.fine_width = max(8, width // 2)
        self.each = nn.Sequential(
            nn.Linear(RETURN_CHANNELS, self.fine_width),
            nn.LayerNorm(self.fine_width),
            nn.ReLU(),
            nn.Linear(self.fine_width, self.fine_width),
            nn.LayerNorm(self.fine_width),
            nn.ReLU(),
        )
        self.lift = nn.Sequential(nn.Linear(self.fine_width, width), nn.ReLU())
        self.mix = block(width, width)
        self.blocks = residual_blocks(width, blocks)

    def forward(self, returns: Returns) -> tuple[Tensor, Tensor]:
        """Own features (B, N, fine_width) of each return, and tokens (B, width, R/4, A/2)."""
        rows, columns = returns.grid[0] // TOKEN[0], returns.grid[1] // TOKEN[1]
        own = self.each(returns.features)
        tokens = pool_by_cell(self.lift(own), returns.tokens, rows * columns, returns.pooled & returns.there)
        coarse: Tensor = self.blocks(self.mix(tokens.mT.reshape(len(own), -1, rows, columns)))
        return own, coarse


def grid_of_returns(logits: Tensor, returns: Returns, otherwise: Tensor) -> tuple[Tensor, Tensor]:
    """Each range-view cell's logit is that of its nearest return, as its label is.

    Args:
        logits: (B, N) of the returns.
        otherwise: (B, T) for cells without one: a logit for each token.

    Returns:
        (B, R, A) logits and (B, R, A) bool: a return is there. Equally near returns are averaged.
    """
    batch, (rows, columns) = len(logits), returns.grid
    distance = returns.features[..., 4].masked_fill(~returns.there, torch.inf)
    nearest = distance.new_full((batch, rows * columns), torch.inf)
    nearest = nearest.scatter_reduce(1, returns.cells, distance, "amin")
    chosen = (returns.there & (distance == nearest.gather(1, returns.cells))).to(logits.dtype)
    nothing = logits.new_zeros(batch, rows * columns)
    count = nothing.scatter_add(1, returns.cells, chosen).view(batch, rows, columns)
    total = nothing.scatter_add(1, returns.cells, logits * chosen).view(batch, rows, columns)
    tokens = otherwise.view(batch, rows // TOKEN[0], columns // TOKEN[1])
    cells = tokens.repeat_interleave(TOKEN[0], 1).repeat_interleave(TOKEN[1], 2)
    return torch.where(count > 0, total / count.clamp(min=1), cells), count > 0
