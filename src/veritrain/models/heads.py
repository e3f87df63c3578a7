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


def top_mean(logits: Tensor, mask: Tensor, k: int) -> Tensor:
    """Mean of the k largest logits under the mask: (B, N), (B, N) bool -> (B,); fewer cells, fewer terms; none, 0."""
    k = min(k, logits.shape[1])
    best, where = logits.masked_fill(~mask, -torch.inf).topk(k, dim=1)
    there = mask.gather(1, where)
    return torch.where(there, best, torch.zeros_like(best)).sum(1) / there.sum(1).clamp(min=1)


class FrameHead(nn.Module):
    """One logit per frame from how strong the strongest dense logits of each view are.

    The frame is anomalous because something in it is: the head sees no pooled appearance, which a few dozen
    scenarios would let it memorise, only the mean of the k largest logits at several k (multiple-instance
    pooling; Dietterich et al. 1997 for the setting).
    """

    sizes = (4, 16, 64)

    def __init__(self, views: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(views * len(self.sizes), hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )

    def forward(self, dense: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Each view's (B, N) logits and (B, N) bool mask -> (B,)."""
        strongest = [top_mean(logits, mask, k) for logits, mask in dense for k in self.sizes]
        logits: Tensor = self.layers(torch.stack(strongest, dim=1)).squeeze(1)
        return logits
