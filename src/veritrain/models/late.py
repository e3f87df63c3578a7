"""Late fusion: two detectors that never see each other's features, joined at the logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from veritrain.data.paired_view import TOKEN

ABSENT = -1e4
"""A logit below every other, where a token has no return."""


class LateAverage(nn.Module):
    """Weighted means of two logits; one pair of learnable weights (through a softmax, equal at first) per level."""

    def __init__(self) -> None:
        super().__init__()
        self.frame = nn.Parameter(torch.zeros(2))
        self.point = nn.Parameter(torch.zeros(2))
        self.pixel = nn.Parameter(torch.zeros(2))

    def forward(self, level: str, own: Tensor, other: Tensor, both: Tensor) -> Tensor:
        """The mean of ``own`` and ``other`` where ``both`` see, else ``own``; all of one shape.

        The first weight is the image's for the level pixel and frame, the LiDAR's for point: that of ``own``.
        """
        first, second = getattr(self, level).softmax(0)
        return torch.where(both, first * own + second * other, own)


def strongest_of_tokens(grid: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """(B, R, A) logits and returns of range-view cells -> (B, T): each token's largest, and whether it has any."""
    batch, rows, columns = grid.shape
    tall, wide = TOKEN
    shape = (batch, rows // tall, tall, columns // wide, wide)
    largest = grid.masked_fill(~there, ABSENT).view(shape).amax((2, 4)).flatten(1)
    return largest, there.view(shape).any(4).any(2).flatten(1)


def to_cells(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """(B, T) -> (B, R, A): every range-view cell takes the value of its token."""
    tall, wide = TOKEN
    grid = tokens.view(-1, rows // tall, columns // wide)
    return grid.repeat_interleave(tall, 1).repeat_interleave(wide, 2)
