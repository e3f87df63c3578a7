"""The memory of the detector: a tower's maps, made alike, told where they are, and exchanged between levels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.models.options import DetectorOptions

GROUPS = 8
PERIOD = 10_000.0
"""Of the slowest sine, as Vaswani et al. 2017, section 3.5."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """What queries and cells read: T cells, level after level from the finest, row after row.

    Attributes:
        tokens: (B, T, width), each with the embedding of its level; 0 in padding.
        places: (T, width) sines of the position.
        cells: (T, 4) float32 centre and size of each cell, in shares of the image.
        valid: (B, T) bool: the centre of the cell is no padding.
        shapes: rows and columns of each level.
    """

    tokens: Tensor
    places: Tensor
    cells: Tensor
    valid: Tensor
    shapes: tuple[tuple[int, int], ...]


def cells_of(shapes: Sequence[tuple[int, int]], like: Tensor) -> Tensor:
    """(T, 4) float32 centre x, y, width and height of each cell, in shares of the image; on the device of ``like``."""
    found = []
    for rows, columns in shapes:
        down, across = ((torch.arange(count, device=like.device) + 0.5) / count for count in (rows, columns))
        y, x = torch.meshgrid(down, across, indexing="ij")
        size = (torch.full_like(x, 1 / columns), torch.full_like(y, 1 / rows))
        found.append(torch.stack((x, y, *size), -1).flatten(0, 1))
    return torch.cat(found)


def valid_cells(cells: Tensor, area: Tensor) -> Tensor:
    """(T, 4) cells, (B, 4) left, top, right, bottom in shares of the image -> (B, T) bool: centre inside."""
    x, y = cells[None, :, 0], cells[None, :, 1]
    left, top, right, bottom = area[:, :, None].unbind(1)
    return (x >= left) & (x < right) & (y >= top) & (y < bottom)


def kept(level: Tensor, area: Tensor) -> Tensor:
    """(B, C, H, W) with 0 in padding; ``area`` as :func:`valid_cells`."""
    shape = (level.shape[2], level.shape[3])
    return level * valid_cells(cells_of([shape], level), area).view(-1, 1, *shape)


def area_of(placed: Tensor, height: int, width: int) -> Tensor:
    """(B, 6) integers as ``data.detection_frames`` gives them -> (B, 4) float32 left, top, right, bottom in shares of
    the letterbox: where there is an image."""
    rows, columns, top, left = placed[:, 2:].float().unbind(1)
    extent = torch.tensor((width, height, width, height), dtype=torch.float32, device=placed.device)
    return (torch.stack((left, top, left + columns, top + rows), 1) / extent).clamp(0, 1)


def sines(places: Tensor, width: int) -> Tensor:
    """(..., 2) in 0..1 -> (..., width): sines and cosines of x, then of y (Carion et al. 2020, appendix A.4)."""
    count = width // 4
    speed = PERIOD ** (-torch.arange(count, device=places.device, dtype=torch.float32) / count)
    angle = (places.float() * 2 * math.pi).unsqueeze(-1) * speed
    return torch.cat((angle.sin(), angle.cos()), -1).flatten(-2)


def convolved(channels: int, width: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    """Convolution, group normalisation, SiLU: what one image gets does not depend on the others of its batch."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.GroupNorm(math.gcd(GROUPS, width), width),
        nn.SiLU(),
    )


class SelfAttention(nn.Module):
    """A transformer layer on one map (normalises after each part, as DETR)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.hidden = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.first_norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, places: Tensor, valid: Tensor) -> Tensor:
        """(B, S, width), (S, width), (B, S) bool -> (B, S, width)."""
        # Where a whole map is padding, every cell is read rather than none: a softmax over nothing is not a number.
        ignored = ~valid & valid.any(1, keepdim=True)
        placed = x + places
        x = self.first_norm(x + self.attention(placed, placed, x, key_padding_mask=ignored, need_weights=False)[0])
        out: Tensor = self.second_norm(x + self.hidden(x))
        return out


class Detail(nn.Module):
    """A level at stride 4: two convolutions on the image, and the tower's finest map enlarged (``finest`` 4)."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        half = max(width // 2, GROUPS)
        self.seen = nn.Sequential(convolved(3, half, 3, stride=2), convolved(half, width, 3, stride=2))
        self.named = convolved(channels, width, 1)

    def forward(self, image: Tensor, finest: Tensor) -> Tensor:
        """(B, 3, H, W), (B, C, H / 8, W / 8) -> (B, width, H / 4, W / 4)."""
        seen: Tensor = self.seen(image)
        return seen + F.interpolate(self.named(finest), size=seen.shape[2:], mode="nearest")


class HybridEncoder(nn.Module):
    """Maps of a tower to the memory: one width, one level more, attention on the coarsest map, fusion across levels
    (after Zhao et al. 2024, RT-DETR, section 4.2).

    Args:
        channels: of the tower's maps, finest first; a ViT has one.

    Attributes:
        levels: of the memory: the maps, one of half the resolution of the last, and with ``finest`` 4 one before them.
    """

    def __init__(self, channels: Sequence[int], options: DetectorOptions) -> None:
        super().__init__()
        width = options.width
        self.laterals = nn.ModuleList(convolved(one, width, 1) for one in channels)
        self.attention = nn.ModuleList(SelfAttention(width, options.heads) for _ in range(options.encoder_layers))
        self.extra = convolved(width, width, 3, stride=2)
        self.detail = Detail(channels[0], width) if options.finest == 4 else None
        self.levels = len(channels) + 1 + (self.detail is not None)
        self.inward = nn.ModuleList(convolved(width, width, 3) for _ in range(self.levels - 1))
        self.steps = nn.ModuleList(convolved(width, width, 3, stride=2) for _ in range(self.levels - 1))
        self.outward = nn.ModuleList(convolved(width, width, 3) for _ in range(self.levels - 1))
        self.level = nn.Parameter(torch.zeros(self.levels, width))
        nn.init.normal_(self.level, std=0.02)

    def forward(self, image: Tensor, maps: Sequence[Tensor], area: Tensor) -> Memory:
        """(B, 3, H, W), its maps, and (B, 4) where it is no padding, in shares."""
        # Before normalisation too, whose mean and deviation are those of a whole map.
        levels = [kept(lateral(kept(one, area)), area) for lateral, one in zip(self.laterals, maps, strict=True)]
        levels[-1] = kept(self._attended(levels[-1], area), area)
        levels.append(kept(self.extra(levels[-1]), area))
        if self.detail is not None:
            levels.insert(0, kept(self.detail(image, kept(maps[0], area)), area))
        shapes = tuple((one.shape[2], one.shape[3]) for one in levels)
        cells = cells_of(shapes, image)
        valid = valid_cells(cells, area)
        fused = [one.flatten(2).mT + level for one, level in zip(self._fused(levels), self.level, strict=True)]
        tokens = torch.cat(fused, 1) * valid[..., None]
        places = sines(cells[:, :2], tokens.shape[2]).to(tokens.dtype)
        return Memory(tokens=tokens, places=places, cells=cells, valid=valid, shapes=shapes)

    def _attended(self, coarse: Tensor, area: Tensor) -> Tensor:
        shape = (coarse.shape[2], coarse.shape[3])
        cells = cells_of([shape], coarse)
        valid, places = valid_cells(cells, area), sines(cells[:, :2], coarse.shape[1]).to(coarse.dtype)
        tokens = coarse.flatten(2).mT
        for layer in self.attention:
            tokens = layer(tokens, places, valid)
        return tokens.mT.unflatten(2, shape)

    def _fused(self, levels: list[Tensor]) -> list[Tensor]:
        """From coarse to fine, then from fine to coarse (Liu et al. 2018, PANet, section 3.1)."""
        found = [levels[-1]]
        for fine, layer in zip(levels[-2::-1], self.inward, strict=True):
            found.insert(0, layer(fine + F.interpolate(found[0], size=fine.shape[2:], mode="nearest")))
        out = [found[0]]
        for coarse, step, layer in zip(found[1:], self.steps, self.outward, strict=True):
            out.append(layer(coarse + _sized(step(out[-1]), coarse)))
        return out


def _sized(x: Tensor, like: Tensor) -> Tensor:
    """A tower that reads whole cells alone has a row less than a convolution with padding makes of an odd number."""
    return x if x.shape[2:] == like.shape[2:] else F.interpolate(x, size=like.shape[2:], mode="nearest")
