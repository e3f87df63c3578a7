"""Heads: features to logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DenseHead(nn.Module):
    """A logit per cell: two 1x1 convolutions."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, H, W)."""
        logits: Tensor = self.layers(features).squeeze(1)
        return logits


def pooled(features: Tensor, mask: Tensor) -> Tensor:
    """Masked maximum and mean over all cells: (B, C, N), (B, N) bool -> (B, 2 C).

    Cells outside the mask (no return, padding) take part in neither; a sample with no cell at all gives zeros.
    """
    inside = mask.unsqueeze(1)
    largest = features.masked_fill(~inside, -torch.inf).amax(-1)
    largest = torch.where(torch.isfinite(largest), largest, torch.zeros_like(largest))
    count = inside.sum(-1).clamp(min=1)
    return torch.cat([largest, (features * inside).sum(-1) / count], dim=1)


def top_mean(logits: Tensor, mask: Tensor, k: int) -> Tensor:
    """Mean of the k largest logits under the mask: (B, N), (B, N) bool -> (B,); fewer cells, fewer terms; none, 0."""
    k = min(k, logits.shape[1])
    best, where = logits.masked_fill(~mask, -torch.inf).topk(k, dim=1)
    there = mask.gather(1, where)
    return torch.where(there, best, torch.zeros_like(best)).sum(1) / there.sum(1).clamp(min=1)


class FrameHead(nn.Module):
    """One logit per frame from pooled features and the strongest dense logits of each view."""

    def __init__(self, features: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(B, F) -> (B,)."""
        logits: Tensor = self.layers(features).squeeze(1)
        return logits
