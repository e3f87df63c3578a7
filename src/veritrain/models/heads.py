"""Heads: features to logits."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.models.options import FrameJoin


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
    """One logit per frame, from the strongest evidence of each view.

    The frame is anomalous because something in it is. The head therefore sees no pooled appearance, which a few
    dozen scenarios would let it memorise, but each view's mean of its k largest dense logits, after a scale and shift
    per view. ``join`` makes one logit of them:

    - mean: of the views. Every frame then trains both.
    - smooth_max: the logarithm of their summed exponentials (multiple-instance pooling; Pinheiro & Collobert 2015,
      equation 5). One loud view suffices, and it takes nearly all of the gradient: a view that has learned little
      learns little more (docs/LOG.md).
    - noisy_or: the mean while it trains, and in evaluation 1 - p = (1 - p_1)(1 - p_2) (Pearl 1988, section 4.3.2), the
      p_v moved so that views which are all undecided make an undecided frame. What a view says against an anomaly that
      only the other one sees depends on the scene more than on the anomaly; the mean lets it count, this does not.

    A view without any cell (an empty sweep) is no evidence and is left out: it can neither raise nor lower the logit of
    the others. Without a cell in any view the logit is 0, an even chance, whatever the weights are, and trains nothing.
    """

    k = 8

    def __init__(self, views: int, join: FrameJoin = "noisy_or") -> None:
        super().__init__()
        self.join = join
        self.scale = nn.Parameter(torch.ones(views))
        self.shift = nn.Parameter(torch.zeros(views))

    def forward(self, dense: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Each view's (B, N) logits and (B, N) bool mask -> (B,) finite logits."""
        strongest = torch.stack([top_mean(logits, mask, self.k) for logits, mask in dense], dim=1)
        there = torch.stack([mask.any(1) for _, mask in dense], dim=1)
        seen = there.any(1)
        evidence = self.scale * strongest + self.shift
        return torch.where(seen, self._joined(evidence, there, seen), torch.zeros_like(evidence[:, 0]))

    def _joined(self, evidence: Tensor, there: Tensor, seen: Tensor) -> Tensor:
        if self.join == "smooth_max":
            return self._smooth_max(evidence, there, seen)
        if self.join == "mean" or self.training:
            return self._mean(evidence, there)
        return self._noisy_or(evidence, there)

    @staticmethod
    def _mean(evidence: Tensor, there: Tensor) -> Tensor:
        return (evidence * there).sum(1) / there.sum(1).clamp(min=1)

    @staticmethod
    def _smooth_max(evidence: Tensor, there: Tensor, seen: Tensor) -> Tensor:
        # Rows without any view keep their entries: the gradient of an empty logsumexp is not a number.
        return torch.logsumexp(evidence.masked_fill(~there & seen[:, None], -torch.inf), dim=1)

    @staticmethod
    def _noisy_or(evidence: Tensor, there: Tensor) -> Tensor:
        """-log(1 - p) adds up over views and is softplus of a logit; the way back is log(exp(.) - 1)."""
        undecided = torch.log(torch.expm1(math.log(2) / there.sum(1, keepdim=True).clamp(min=1)))
        total = (F.softplus(evidence + undecided) * there).sum(1).clamp(min=torch.finfo(evidence.dtype).tiny)
        return total + torch.log(-torch.expm1(-total))


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
