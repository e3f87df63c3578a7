"""How queries and cells read something: attention, deformable attention, texts, and the gate of the context."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.models.detr_memory import Memory

MOST_SCORES = 1 << 22
"""Attention scores of a part of the queries over all texts: 16 MB in float32, whatever the number of classes."""


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017, section 3.2.2).

    Args:
        source: numbers of a key and of a value before projection; None: ``width``.
    """

    def __init__(self, width: int, heads: int, *, source: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key, self.value = (nn.Linear(source or width, width) for _ in range(2))
        self.out = nn.Linear(width, width)

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor, valid: Tensor | None = None) -> Tensor:
        """(B, N, width), (B, S, source) twice -> (B, N, width). ``valid`` (B, S) bool: which keys can be read."""
        query, key, value = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, queries), (self.key, keys), (self.value, values))
        )
        mask = None if valid is None else valid[:, None, None]
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        found: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return found


class TextAttention(nn.Module):
    """Features attend to the texts of all classes at once; what is read is added, and at the start it is nothing.

    Memory does not grow with the classes beyond their own projections: many texts are read by few features at a time.
    """

    def __init__(self, width: int, heads: int, embed_dim: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads, source=embed_dim)
        self.norm = nn.LayerNorm(width)
        nn.init.zeros_(self.attention.out.weight)
        nn.init.zeros_(self.attention.out.bias)

    def forward(self, features: Tensor, texts: Tensor) -> Tensor:
        """(B, N, width), (C, embed_dim) of length 1 -> (B, N, width). The order of the texts does not matter."""
        batch = len(features)
        # Of length 1 their numbers are about 1 / sqrt(D); at about 1 the layers start as they do for any other input.
        said = (texts * math.sqrt(texts.shape[1])).expand(batch, *texts.shape)
        rows = max(MOST_SCORES // max(batch * self.attention.heads * len(texts), 1), 1)
        read = [self.attention(part, said, said) for part in self.norm(features).split(rows, dim=1)]
        return features + torch.cat(read, 1)


class ContextGate(nn.Module):
    """Scale and shift of features by the embedding of the whole image (FiLM; Perez et al. 2018, equation 1).

    The last layer starts at weight 0 and bias (1, 0): at the start nothing changes.
    """

    def __init__(self, width: int, embed_dim: int) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(embed_dim, width), nn.Linear(width, 2 * width)
        nn.init.zeros_(self.last.weight)
        with torch.no_grad():
            self.last.bias.copy_(torch.cat((torch.ones(width), torch.zeros(width))))

    def forward(self, features: Tensor, context: Tensor) -> Tensor:
        """(B, N, width), (B, embed_dim) of length 1 -> (B, N, width)."""
        hidden = F.relu(self.hidden(context * math.sqrt(context.shape[1])))
        gamma, beta = self.last(hidden)[:, None].chunk(2, dim=2)
        gated: Tensor = gamma * features + beta
        return gated


class FullAttention(nn.Module):
    """Queries read every valid cell of the memory."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)

    def forward(self, queries: Tensor, boxes: Tensor, memory: Memory) -> Tensor:
        """(B, N, width) -> (B, N, width); ``boxes`` are not asked: where a query looks, its content says."""
        read: Tensor = self.attention(queries, memory.tokens + memory.places, memory.tokens, memory.valid)
        return read


class DeformableAttention(nn.Module):
    """Queries read a few places around their box on every level (Zhu et al. 2021, equation 3 and appendix A.4).

    Args:
        levels: of the memory. points: places a level and head.
    """

    def __init__(self, width: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.offsets = nn.Linear(width, heads * levels * points * 2)
        self.weights = nn.Linear(width, heads * levels * points)
        self.value, self.out = nn.Linear(width, width), nn.Linear(width, width)
        for layer in (self.offsets, self.weights):
            nn.init.zeros_(layer.weight)
        nn.init.zeros_(self.weights.bias)
        with torch.no_grad():
            self.offsets.bias.copy_(_rays(heads, levels, points).flatten())

    def forward(self, queries: Tensor, boxes: Tensor, memory: Memory) -> Tensor:
        """(B, N, width), (B, N, 4) centre and size in shares of the image -> (B, N, width).

        A place is the centre plus offset x half a side / points. Outside of the image and in padding there is nothing:
        zeros.
        """
        batch, count, _ = queries.shape
        shape = (batch, count, self.heads, self.levels, self.points)
        offsets = self.offsets(queries).view(*shape, 2)
        weights = self.weights(queries).view(batch, count, self.heads, -1).softmax(-1).view(shape)
        centre, side = (part[:, :, None, None, None] for part in (boxes[..., :2], boxes[..., 2:]))
        places = centre + offsets * side * (0.5 / self.points)
        values = self.value(memory.tokens + memory.places) * memory.valid[..., None]
        found: Tensor = self.out(sampled(values, memory.shapes, places, weights))
        return found


def sampled(values: Tensor, shapes: Sequence[tuple[int, int]], places: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of values at places, interpolated between the four cells around each.

    Args:
        values: (B, T, width), level after level, row after row.
        shapes: rows and columns of each level.
        places: (B, N, heads, levels, points, 2) x, y in shares of the image.
        weights: (B, N, heads, levels, points).

    Returns:
        (B, N, width), head after head.
    """
    batch, count, heads = places.shape[:3]
    grids = (2 * places - 1).permute(3, 0, 2, 1, 4, 5).flatten(1, 2)
    seen = []
    for (rows, columns), part, grid in zip(shapes, values.split([h * w for h, w in shapes], 1), grids, strict=True):
        cells = part.unflatten(2, (heads, -1)).permute(0, 2, 3, 1).flatten(0, 1).unflatten(2, (rows, columns))
        seen.append(F.grid_sample(cells, grid, mode="bilinear", padding_mode="zeros", align_corners=False))
    shares = weights.permute(0, 2, 1, 3, 4).flatten(0, 1).flatten(2).unsqueeze(1)
    summed = (torch.cat(seen, 3) * shares).sum(3)
    return summed.unflatten(0, (batch, heads)).permute(0, 3, 1, 2).flatten(2).view(batch, count, -1)


def _rays(heads: int, levels: int, points: int) -> Tensor:
    """(heads, levels, points, 2): at the start each head looks into a direction of its own, point by point farther."""
    angle = torch.arange(heads) * (2 * math.pi / heads)
    ray = torch.stack((angle.cos(), angle.sin()), 1)
    ray = ray / ray.abs().amax(1, keepdim=True)
    far = torch.arange(1, points + 1).view(1, 1, points, 1)
    return ray.view(heads, 1, 1, 2) * far * torch.ones(1, levels, 1, 1)
