"""Each cell answers with one box and one embedding: the whole of the dense detector, and what queries start from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.models.detr_attention import ContextGate, TextAttention
from veritrain.models.detr_memory import Memory, convolved
from veritrain.models.options import DetectorOptions
from veritrain.models.temperature import Temperature

PRIOR = -4.6
"""The bias of every class: a score of 0.01 (Lin et al. 2017, section 3.3)."""
MOST_GROWTH = 6.0
"""Of the logarithm of a side over twice its cell's: 400 times."""


class Answer(nn.Module):
    """Features to embeddings, with the scale and the bias of their logits: scale x <embedding, text> + bias."""

    def __init__(self, width: int, embed_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(width, embed_dim)
        self.temperature = Temperature()
        self.bias = nn.Parameter(torch.tensor(PRIOR))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, N, width) -> (B, N, embed_dim) of length 1 in float32, and two scalars: scale and bias."""
        embedding = F.normalize(self.embedding(features).float(), dim=-1)
        return embedding, self.temperature().float(), self.bias.float()


class CellHead(nn.Module):
    """One box and one embedding a cell, by the same convolutions on every level (after Tian et al. 2019, FCOS).

    A cell of width w at x answers with the centre x + w t and the width 2 w exp(t'), so that the same numbers mean
    the same on every level. Of objects and cells: ``losses.cell_assignment``.
    """

    def __init__(self, embed_dim: int, options: DetectorOptions) -> None:
        super().__init__()
        width = options.width
        self.gate = ContextGate(width, embed_dim) if options.gate else None
        self.reads = TextAttention(width, options.heads, embed_dim) if options.text_conditioning else None
        self.named, self.boxed = (convolved(width, width, 3) for _ in range(2))
        self.answer, self.box = Answer(width, embed_dim), nn.Linear(width, 4)
        nn.init.zeros_(self.box.weight)
        nn.init.zeros_(self.box.bias)

    def forward(self, memory: Memory, texts: Tensor, context: Tensor) -> dict[str, Tensor]:
        """``cell_boxes`` (1, B, T, 4), ``cell_embeddings`` (1, B, T, D), ``cell_scale`` and ``cell_bias`` (1,),
        ``cell_valid`` (B, T), ``cells`` (T, 4), and ``named`` (B, T, width), the features behind the embeddings."""
        tokens = memory.tokens
        if self.gate is not None:
            tokens = self.gate(tokens, context)
        if self.reads is not None:
            tokens = self.reads(tokens, texts)
        tokens = tokens * memory.valid[..., None]
        named, boxed = (_by_level(layer, tokens, memory.shapes) for layer in (self.named, self.boxed))
        embeddings, scale, bias = self.answer(named)
        shift, growth = self.box(boxed).float().chunk(2, dim=2)
        centre, side = memory.cells.chunk(2, dim=1)
        boxes = torch.cat((centre + side * shift, 2 * side * growth.clamp(max=MOST_GROWTH).exp()), 2)
        return {
            "cell_boxes": boxes[None],
            "cell_embeddings": embeddings[None],
            "cell_scale": scale[None],
            "cell_bias": bias[None],
            "cell_valid": memory.valid,
            "cells": memory.cells,
            "named": named,
        }


def _by_level(layer: nn.Module, tokens: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
    """(B, T, width) -> the same, each level through ``layer`` as the map it is."""
    parts = tokens.mT.split([rows * columns for rows, columns in shapes], 2)
    return torch.cat(
        [layer(part.unflatten(2, shape)).flatten(2) for part, shape in zip(parts, shapes, strict=True)], 2
    ).mT
