"""Where a token is, added to what it looks like; both sensors share the LiDAR frame, in metres."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from veritrain.data.paired_view import HEIGHT_SCALE, RANGE_SCALE, TOKEN

BINS = (16, 16, 8)
LOWEST = (-64.0, -64.0, -4.0)
BIN_METRES = (8.0, 8.0, 2.0)
"""The learned table: x and y from -64 to 64 m in bins of 8 m, z from -4 to 12 m in bins of 2 m; 2,048 entries of
``width`` numbers (65,536 parameters for 32 channels). What lies outside takes the nearest bin."""


def sincos(places: Tensor, width: int) -> Tensor:
    """Sum over x, y and z of the one-dimensional sine-cosine encoding (Vaswani et al. 2017, section 3.5).

    Entry 2i of an axis is sin(p w_i), entry 2i + 1 cos(p w_i), w_i = 10000^(-2i / width), p in metres:
    (..., 3) -> (..., width).
    """
    frequencies = 10000.0 ** (-torch.arange(0, width, 2, dtype=places.dtype, device=places.device) / width)
    angles = places.unsqueeze(-1) * frequencies
    both = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
    return both[..., :width].sum(-2)


def table_index(places: Tensor) -> Tensor:
    """(..., 3) metres -> (...) int64 entry of the learned table."""
    lowest, metres = places.new_tensor(LOWEST), places.new_tensor(BIN_METRES)
    most = torch.tensor(BINS, device=places.device) - 1
    bins = ((places - lowest) / metres).floor().long().clamp(min=0).minimum(most)
    return (bins[..., 0] * BINS[1] + bins[..., 1]) * BINS[2] + bins[..., 2]


class PositionalEncoding(nn.Module):
    """A vector for a place: sincos (with a linear layer), learned (a table over bins), or hybrid, their sum."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.width = width
        self.linear = nn.Linear(width, width) if kind in ("sincos", "hybrid") else None
        self.table = nn.Embedding(BINS[0] * BINS[1] * BINS[2], width) if kind in ("learned", "hybrid") else None
        if self.table is not None:
            nn.init.normal_(self.table.weight, std=0.02)

    def forward(self, places: Tensor) -> Tensor:
        """(B, N, 3) metres in the LiDAR frame -> (B, N, width)."""
        found = places.new_zeros(*places.shape[:-1], self.width)
        if self.linear is not None:
            found = found + self.linear(sincos(places, self.width))
        if self.table is not None:
            found = found + self.table(table_index(places))
        return found


def metres_of(view: Tensor) -> Tensor:
    """(B, 6, R, A) range view -> (B, R * A, 3) x, y, z in metres; 0 where there is no return."""
    scale = view.new_tensor([1 / RANGE_SCALE, 1 / RANGE_SCALE, 1 / HEIGHT_SCALE])
    return view[:, 1:4].flatten(2).mT * scale


def token_places(view: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 6, R, A) range view -> (B, T, 3) metres of each token's nearest return, and (B, T) bool: there is one."""
    batch, channels, rows, columns = view.shape
    tall, wide = TOKEN
    blocks = view.view(batch, channels, rows // tall, tall, columns // wide, wide)
    blocks = blocks.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, tall * wide, channels)
    there = blocks[..., 5] > 0
    nearest = blocks[..., 0].masked_fill(~there, torch.inf).argmin(2)
    chosen = blocks.gather(2, nearest[..., None, None].expand(-1, -1, 1, channels)).squeeze(2)
    scale = view.new_tensor([1 / RANGE_SCALE, 1 / RANGE_SCALE, 1 / HEIGHT_SCALE])
    return chosen[..., 1:4] * scale, there.any(2)
