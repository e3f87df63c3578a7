"""Heads: features to logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
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
    """One logit per frame: is the strongest evidence of any view strong?

    The frame is anomalous because something in it is. The head therefore sees no pooled appearance, which a few
    dozen scenarios would let it memorise, but each view's mean of its k largest dense logits, joined by a smooth
    maximum (multiple-instance pooling; Pinheiro & Collobert 2015, equation 5) after a scale and shift per view.

    A view without any cell (an empty sweep) is no evidence and is left out of the maximum: it can neither raise nor
    lower the logit of the others. Without a cell in any view there is no maximum; the logit is then 0, an even chance,
    whatever the weights are, and trains nothing.
    """

    k = 8

    def __init__(self, views: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(views))
        self.shift = nn.Parameter(torch.zeros(views))

    def forward(self, dense: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Each view's (B, N) logits and (B, N) bool mask -> (B,) finite logits."""
        strongest = torch.stack([top_mean(logits, mask, self.k) for logits, mask in dense], dim=1)
        there = torch.stack([mask.any(1) for _, mask in dense], dim=1)
        seen = there.any(1)
        # Rows without any view keep their entries: the gradient of an empty logsumexp is not a number.
        evidence = (self.scale * strongest + self.shift).masked_fill(~there & seen[:, None], -torch.inf)
        joined = torch.logsumexp(evidence, dim=1)
        return torch.where(seen, joined, torch.zeros_like(joined))


class MultiscaleHead(nn.Module):
    """A logit per cell from three heads: on the map, and on its means over 2 x 2 and 4 x 4 cells.

    The coarse logits are enlarged (bilinear); a 1x1 convolution, at first their mean, merges the three into one
    logit. No sigmoid stands between.
    """

    scales = (1, 2, 4)

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(DenseHead(channels, hidden) for _ in self.scales)
        self.merge = nn.Conv2d(len(self.scales), 1, 1)
        nn.init.constant_(self.merge.weight, 1 / len(self.scales))
        nn.init.zeros_(self.merge.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, H, W)."""
        size = features.shape[-2:]
        maps = []
        for scale, head in zip(self.scales, self.heads, strict=True):
            coarse = features if scale == 1 else F.avg_pool2d(features, scale, ceil_mode=True)
            logits = head(coarse).unsqueeze(1)
            maps.append(F.interpolate(logits, size=size, mode="bilinear", align_corners=False))
        merged: Tensor = self.merge(torch.cat(maps, dim=1)).squeeze(1)
        return merged
