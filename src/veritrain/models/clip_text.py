"""CLIP's text tower: a causal transformer over byte-pair tokens, read at the end mark."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from open_clip import SimpleTokenizer
from torch import Tensor

from veritrain.data.caption_tokens import PAD, padded
from veritrain.models.language import TextTower


class ClipText(TextTower):
    """The text half of open_clip's ``CLIP`` (Radford et al. 2021, section 2.4); equals its ``encode_text``.

    Args:
        clip: the network whose text half this becomes; tensors keep their names.
        about: which network it is, its activation with it.
    """

    mask: Tensor

    def __init__(self, clip: Any, about: str) -> None:
        super().__init__()
        self.about = about
        self.context_length, self.embed_dim = int(clip.context_length), int(clip.text_projection.shape[1])
        self.token_embedding, self.positional_embedding = clip.token_embedding, clip.positional_embedding
        self.transformer, self.ln_final, self.text_projection = clip.transformer, clip.ln_final, clip.text_projection
        self.register_buffer("mask", clip.attn_mask, persistent=False)

    def tokens(self, texts: Sequence[str], *, cut: bool = False) -> Tensor:
        """(N, 77) int64 of OpenAI's byte pairs, lower case; see ``TextTower.tokens``."""
        coder = _byte_pairs()
        ids = [[coder.sot_token_id, *coder.encode(text), coder.eot_token_id] for text in texts]
        rows = padded(ids, texts, self.context_length, end=coder.eot_token_id, pad=PAD, cut=cut)
        return torch.from_numpy(rows)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L) int64, L at most 77 -> (N, D), not normalised.

        The end mark has the highest number; it has read what stands before it, and what follows is unread.
        """
        length = tokens.shape[1]
        x = self.token_embedding(tokens)
        x = x + self.positional_embedding[:length].to(x.dtype)
        x = self.ln_final(self.transformer(x, attn_mask=self.mask[:length, :length].to(x.dtype)))
        ends = x[torch.arange(len(x), device=x.device), tokens.argmax(1)]
        projected: Tensor = ends @ self.text_projection
        return projected


@cache
def _byte_pairs() -> SimpleTokenizer:
    """OpenAI's vocabulary, which comes with open_clip."""
    return SimpleTokenizer()
