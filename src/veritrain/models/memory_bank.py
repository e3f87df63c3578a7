"""A bank of normal patch features and the distance to it: PatchCore (Roth et al., CVPR 2022), from the paper's text.

Own code. Differences from the paper: features are standardised per channel on the pool they are drawn from and divided
by the root of their number, so that distances are about 1 whatever the extractor is; the pool is bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

NEIGHBOURHOOD = 3
"""p of section 3.1: a patch feature is the mean over 3 x 3 cells."""

NEIGHBOURS = 9
"""b of equation 7: entries around the nearest one, itself among them. Our choice."""

PROJECTED = 128
"""Channels that the greedy choice looks at, after a random linear projection (section 3.2)."""

CHUNK = 4096
"""Patches whose distances to all entries are held at once."""

DEAD = 1e-6
"""A channel whose spread is below this share of the largest one says nothing and is left out."""


def locally_aware(maps: Sequence[Tensor], *, wraps: bool = False) -> Tensor:
    """Mid-level maps to one map of patch features (section 3.1, equations 1 to 3).

    Each map is averaged over :data:`NEIGHBOURHOOD`; coarser ones are enlarged (bilinear) to the first; then they are
    stacked. Beyond an edge there is nothing to average.

    Args:
        maps: (B, C_k, H_k, W_k), the finest first. wraps: the columns go round, as azimuth does.

    Returns:
        (B, sum of C_k, H_0, W_0).
    """
    reach = NEIGHBOURHOOD // 2
    parts = []
    for one in maps:
        wide = torch.cat([one[..., -reach:], one, one[..., :reach]], dim=-1) if wraps else one
        padding = (reach, 0 if wraps else reach)
        mean = F.avg_pool2d(wide, NEIGHBOURHOOD, stride=1, padding=padding, count_include_pad=False)
        if mean.shape[-2:] != maps[0].shape[-2:]:
            mean = F.interpolate(mean, size=maps[0].shape[-2:], mode="bilinear", align_corners=False)
        parts.append(mean)
    return torch.cat(parts, dim=1)


def greedy_coreset(features: Tensor, size: int, *, seed: int, projected: int = PROJECTED) -> Tensor:
    """Which rows to keep: each next one is the farthest from all kept so far (section 3.2, algorithm 1).

    Args:
        features: (N, C) float. size: how many to keep at most. seed: of the first row and of the projection.
        projected: channels after the random linear projection; with no more channels than that there is none.

    Returns:
        (M,) int64 in the order of choice; fewer than ``size`` when every row equals a kept one.
    """
    generator = torch.Generator().manual_seed(seed)
    points = features
    if features.shape[1] > projected:
        points = features @ (torch.randn(features.shape[1], projected, generator=generator) / math.sqrt(projected))
    points = points - points.mean(0)
    squared = (points * points).sum(1)
    zero = 1e-6 * float(squared.mean())
    chosen = [int(torch.randint(len(points), (1,), generator=generator))]
    nearest = torch.full_like(squared, math.inf)
    while len(chosen) < min(size, len(points)):
        newest = chosen[-1]
        away = squared + squared[newest] - 2 * (points @ points[newest])
        nearest = torch.minimum(nearest, away)
        nearest[newest] = 0
        farthest = int(nearest.argmax())
        if float(nearest[farthest]) <= zero:
            break
        chosen.append(farthest)
    return torch.tensor(chosen)


@dataclass(frozen=True, kw_only=True)
class MemoryBank:
    """Patch features of normal frames.

    Attributes:
        entries: (M, C) float32, standardised.
        mean, scale: (C,) what a feature is standardised with; scale is infinite for a channel that never changes.
        pool: how many patches the entries were chosen from.
    """

    entries: Tensor
    mean: Tensor
    scale: Tensor
    pool: int

    @staticmethod
    def fit(pool: Tensor, *, size: int, seed: int) -> MemoryBank:
        """(N, C) float32 features of normal patches -> a bank of at most ``size`` entries."""
        spread = pool.std(0, correction=0)
        alive = spread > DEAD * spread.max()
        scale = torch.where(alive, spread, torch.inf) * math.sqrt(max(1, int(alive.sum())))
        mean = pool.mean(0)
        standard = (pool - mean) / scale
        kept = greedy_coreset(standard, size, seed=seed)
        return MemoryBank(entries=standard[kept].clone(), mean=mean, scale=scale, pool=len(pool))

    def standardised(self, features: Tensor) -> Tensor:
        """(P, C) raw features -> (P, C) as the entries are."""
        return (features - self.mean) / self.scale

    def nearest(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """(P, C) standardised -> (P,) distance to the nearest entry and (P,) int64 which one it is (equation 6)."""
        squared = (self.entries * self.entries).sum(1)
        found = [(squared - 2 * (part @ self.entries.T)).argmin(1) for part in patches.split(CHUNK)]
        index = torch.cat(found) if found else torch.zeros(0, dtype=torch.int64)
        # The product above orders the entries; the distance itself is taken without its cancellation.
        parts = zip(patches.split(CHUNK), index.split(CHUNK), strict=True)
        exact = [torch.linalg.vector_norm(part - self.entries[at], dim=1) for part, at in parts]
        return (torch.cat(exact) if exact else patches.new_zeros(0)), index

    def frame_score(self, patches: Tensor, distances: Tensor, index: Tensor) -> float:
        """The largest distance, reweighted (equations 6 and 7); 0 without a patch.

        Args:
            patches: (P, C) standardised. distances, index: of :meth:`nearest`.
        """
        if not len(patches):
            return 0.0
        odd = int(distances.argmax())
        return self.reweighted(patches[odd], distances[odd], int(index[odd]))

    def reweighted(self, patch: Tensor, distance: Tensor, index: int) -> float:
        """(1 - exp |m - m*| / sum over N_b(m*) of exp |m - n|) |m - m*|: more, where the nearest entry is lonely.

        Args:
            patch: (C,) m. distance: () |m - m*|. index: the entry m*.
        """
        around = torch.linalg.vector_norm(self.entries - self.entries[index], dim=1)
        near = around.topk(min(NEIGHBOURS, len(around)), largest=False).indices
        away = torch.linalg.vector_norm(self.entries[near] - patch, dim=1)
        weight = 1 - torch.exp(distance - torch.logsumexp(away, dim=0))
        return float(weight * distance)
