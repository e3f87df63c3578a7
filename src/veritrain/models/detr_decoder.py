"""N queries become N boxes, refined layer by layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from veritrain.models.detr_attention import Attention, ContextGate, DeformableAttention, FullAttention, TextAttention
from veritrain.models.detr_cells import Answer
from veritrain.models.detr_memory import Memory
from veritrain.models.options import DetectorOptions

EDGE = 1e-4
"""How near to 0 and 1 a share may come before its logit is taken."""


def inverse_sigmoid(shares: Tensor) -> Tensor:
    """The logit of shares in [0, 1], brought into [1e-4, 1 - 1e-4] before."""
    return shares.clamp(EDGE, 1 - EDGE).logit()


class DecoderLayer(nn.Module):
    """Gate of the context, attention among queries, to the texts and to the memory, and a hidden layer; residual, and
    normalised after each part, as DETR."""

    def __init__(self, embed_dim: int, levels: int, options: DetectorOptions) -> None:
        super().__init__()
        width, heads = options.width, options.heads
        self.gate = ContextGate(width, embed_dim) if options.gate else None
        self.among = Attention(width, heads)
        self.reads = TextAttention(width, heads, embed_dim) if options.text_conditioning else None
        self.looks: FullAttention | DeformableAttention = (
            FullAttention(width, heads)
            if options.attention == "full"
            else DeformableAttention(width, heads, levels, options.points)
        )
        self.hidden = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))
        self.among_norm, self.looks_norm, self.hidden_norm = (nn.LayerNorm(width) for _ in range(3))

    def forward(
        self, queries: Tensor, places: Tensor, boxes: Tensor, memory: Memory, texts: Tensor, context: Tensor
    ) -> Tensor:
        """``queries`` and their ``places`` (B, N, width), ``boxes`` (B, N, 4) -> (B, N, width)."""
        if self.gate is not None:
            queries = self.gate(queries, context)
        placed = queries + places
        queries = self.among_norm(queries + self.among(placed, placed, queries))
        if self.reads is not None:
            queries = self.reads(queries, texts)
        queries = self.looks_norm(queries + self.looks(queries + places, boxes, memory))
        out: Tensor = self.hidden_norm(queries + self.hidden(queries))
        return out


class Decoder(nn.Module):
    """Layers that refine boxes in the space of logits, each from the detached boxes of the one before (Zhu et al.
    2021, appendix A.4). Every layer has heads of its own, and answers."""

    def __init__(self, embed_dim: int, levels: int, options: DetectorOptions) -> None:
        super().__init__()
        width, count = options.width, options.decoder_layers
        self.layers = nn.ModuleList(DecoderLayer(embed_dim, levels, options) for _ in range(count))
        self.place = nn.Sequential(nn.Linear(4, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.boxes = nn.ModuleList(_box_head(width) for _ in range(count))
        self.answers = nn.ModuleList(Answer(width, embed_dim) for _ in range(count))

    def forward(
        self, queries: Tensor, boxes: Tensor, memory: Memory, texts: Tensor, context: Tensor
    ) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """``queries`` (B, N, width), ``boxes`` (B, N, 4) where they start -> each layer's boxes (B, N, 4), and what
        :class:`Answer` gives."""
        found = []
        start = boxes.float()
        for layer, head, answer in zip(self.layers, self.boxes, self.answers, strict=True):
            seen = start.clamp(0, 1)
            queries = layer(queries, self.place(seen.to(queries.dtype)), seen, memory, texts, context)
            refined = (head(queries).float() + inverse_sigmoid(seen)).sigmoid()
            found.append((refined, *answer(queries)))
            start = refined.detach()
        return found


class LearnedQueries(nn.Module):
    """N queries and where they start, the same for every image."""

    def __init__(self, count: int, width: int) -> None:
        super().__init__()
        self.content = nn.Parameter(torch.randn(count, width))
        start = torch.cat((torch.rand(count, 2) * 0.9 + 0.05, torch.full((count, 2), 0.2)), 1)
        self.start = nn.Parameter(inverse_sigmoid(start))

    def forward(self, batch: int) -> tuple[Tensor, Tensor]:
        """Content (B, N, width), and boxes (B, N, 4)."""
        return self.content.expand(batch, -1, -1), self.start.sigmoid().expand(batch, -1, -1)


def _box_head(width: int) -> nn.Sequential:
    last = nn.Linear(width, 4)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), last)
