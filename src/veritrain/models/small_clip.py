"""A CLIP that trains from scratch in minutes: a small residual network, a small transformer, one space."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.data.caption_tokens import END, PAD, CaptionTokens, padded
from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.image import ResidualBlock, block
from veritrain.models.language import AERIAL_WORDS, TEMPLATES, TextTower, Vocabulary
from veritrain.models.options import SmallClipOptions
from veritrain.models.run_weights import weight_file_of
from veritrain.models.state_match import mismatch, unusable
from veritrain.models.temperature import Temperature
from veritrain.models.tower import ImageFeatures, ImageTower, demand_size
from veritrain.models.tower_pair import TowerPair
from veritrain.models.weight_file import read_tensors

CARD = "card"
"""The tensor of bytes that tells the shape of the network and its vocabulary."""
HOW_TO_CONVERT = "give the model.safetensors of a checkpoint"


class SmallImageTower(ImageTower):
    """Convolutions at strides 4, 8, 16 and 32; the last three are C3, C4 and C5. Any size of 32 x 32 or more.

    The embedding is a weighted mean of values of the last map's cells, projected; the dense map has the values and the
    projection without the mean, so that both lie in the space of texts, as in CLIP's attention pool. No positions are
    added: what a cell says does not depend on where it is.
    """

    strides = (8, 16, 32)

    def __init__(self, options: SmallClipOptions) -> None:
        super().__init__()
        widths = [options.width * factor for factor in (1, 2, 4, 8)]
        self.channels, self.embed_dim = tuple(widths[1:]), options.embed_dim
        self.about = f"small CLIP, {options.pooling} pooling, {options.heads} heads"
        self.stem = nn.Sequential(block(3, widths[0], stride=2), block(widths[0], widths[0], stride=2))
        self.stages = nn.ModuleList(
            nn.Sequential(block(narrow, wide, stride=2), *(ResidualBlock(wide) for _ in range(options.blocks)))
            for narrow, wide in pairwise(widths)
        )
        self.pool = AttentionPool(widths[-1], options.heads) if options.pooling == "attention" else MeanPool()
        self.projection = nn.Linear(widths[-1], options.embed_dim)

    def forward(self, image: Tensor) -> ImageFeatures:
        """(B, 3, H, W) float in [-1, 1], 32 x 32 or larger.

        Raises:
            DataError: a smaller image.
        """
        demand_size(image, self.strides[-1])
        x = self.stem(image)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        values, weights = self.pool(x.flatten(2).mT)
        dense = self.projection(values.flatten(2))
        return ImageFeatures(
            embedding=self.projection((weights * values).sum(1).flatten(1)),
            dense=dense.mT.unflatten(2, (x.shape[2], x.shape[3])),
            maps=tuple(maps),
        )


class AttentionPool(nn.Module):
    """The mean cell asks, the cells answer (CLIP's attention pool without positions)."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(channels, channels) for _ in range(3))

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, C) -> values (B, N, heads, C / heads), and weights (B, N, heads, 1) that sum to 1 over N."""
        query, keys, values = (
            layer(x).unflatten(2, (self.heads, -1))
            for layer, x in ((self.query, cells.mean(1, keepdim=True)), (self.key, cells), (self.value, cells))
        )
        scores = (query * keys).sum(-1, keepdim=True) * keys.shape[-1] ** -0.5
        return values, scores.softmax(1)


class MeanPool(nn.Module):
    """Every cell counts the same."""

    def forward(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N, C) -> values (B, N, 1, C), and weights (1, N, 1, 1)."""
        return cells.unsqueeze(2), cells.new_full((1, cells.shape[1], 1, 1), 1 / cells.shape[1])


class TextBlock(nn.Module):
    """A transformer block that normalises first; a token sees those before it (Vaswani et al. 2017, section 3)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.hidden_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.joined, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.hidden = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, L, C) -> (N, L, C)."""
        parts = self.joined(self.attention_norm(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        added: Tensor = x + self.hidden(self.hidden_norm(x))
        return added


class SmallText(TextTower):
    """A small causal transformer over words of the training captions, read at the end mark."""

    def __init__(self, options: SmallClipOptions, vocabulary: CaptionTokens) -> None:
        super().__init__()
        width = options.text_width
        self.vocabulary = vocabulary
        self.context_length, self.embed_dim = options.context_length, options.embed_dim
        words = json.dumps(vocabulary.as_json(), ensure_ascii=False)
        self.about = f"small CLIP, {options.heads} heads, {words}"
        self.word = nn.Embedding(len(vocabulary), width)
        self.place = nn.Parameter(torch.empty(options.context_length, width))
        self.blocks = nn.Sequential(*(TextBlock(width, options.heads) for _ in range(options.text_layers)))
        self.norm = nn.LayerNorm(width)
        self.projection = nn.Linear(width, options.embed_dim, bias=False)
        nn.init.normal_(self.word.weight, std=0.02)
        nn.init.normal_(self.place, std=0.01)

    def tokens(self, texts: Sequence[str], *, cut: bool = False) -> Tensor:
        """(N, ``context_length``) int64; see ``TextTower.tokens``."""
        ids = [self.vocabulary.ids(text) for text in texts]
        return torch.from_numpy(padded(ids, texts, self.context_length, end=END, pad=PAD, cut=cut))

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, L) int64, L at most ``context_length`` -> (N, D), not normalised. What follows the end mark is unread."""
        x = self.blocks(self.word(tokens) + self.place[: tokens.shape[1]])
        ends = (tokens == END).int().argmax(1)
        embedded: Tensor = self.projection(self.norm(x[torch.arange(len(x), device=x.device), ends]))
        return embedded


class SmallClip(TowerPair):
    """A small image tower and a small text tower; its file tells its own shape and vocabulary.

    Args:
        vocabulary: learned from the training captions (``CaptionTokens.learn``).
    """

    card: Tensor

    def __init__(self, options: SmallClipOptions, vocabulary: CaptionTokens) -> None:
        super().__init__(SmallImageTower(options), SmallText(options, vocabulary), Temperature())
        self.options, self.vocabulary = options, vocabulary
        told = json.dumps({"options": asdict(options), "vocabulary": vocabulary.as_json()}, ensure_ascii=False)
        self.register_buffer(CARD, torch.frombuffer(bytearray(told.encode()), dtype=torch.uint8).clone())


def load_small_clip(path: str | Path) -> SmallClip:
    """The small CLIP of a run folder or of a file (a checkpoint's ``model.safetensors``): shape, vocabulary, weights.

    Raises:
        ConfigError: no such file.
        CheckpointError: it cannot be read, holds no small CLIP, or one that is torn.
    """
    path = weight_file_of(path)
    tensors = read_tensors(path, convert=HOW_TO_CONVERT)
    network = SmallClip(*_told_by(tensors, path))
    weights = {name: value for name, value in tensors.items() if value.is_floating_point()}
    at_fault = mismatch(network.state_dict(), tensors) or unusable(weights)
    if at_fault:
        raise CheckpointError(
            "the file's weights are not those that its card tells of",
            expected=f"the {len(network.state_dict())} tensors of this small CLIP, finite",
            found=at_fault,
            fix="take a whole checkpoint",
            file=path,
        )
    network.load_state_dict(tensors)
    return network


def holds_small_clip(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a file's tensors are those of a small CLIP."""
    return CARD in tensors and tensors[CARD].dtype == torch.uint8


def _told_by(tensors: Mapping[str, Tensor], path: Path) -> tuple[SmallClipOptions, CaptionTokens]:
    found = "no card among the tensors"
    if holds_small_clip(tensors):
        try:
            content: Any = json.loads(bytes(tensors[CARD].tolist()).decode())
            return SmallClipOptions(**content["options"]), CaptionTokens.from_json(content["vocabulary"])
        except (ValueError, TypeError, KeyError, ConfigError) as error:
            found = " ".join(f"a card that cannot be read ({error})".split())
    raise CheckpointError(
        "the file holds no small CLIP", expected="shape and vocabulary", found=found, fix=HOW_TO_CONVERT, file=path
    )


def small_clip() -> SmallClip:
    """A CLIP that trains from scratch in minutes; here with the words of the aerial prompts."""
    said = Vocabulary(names=tuple(AERIAL_WORDS), templates=TEMPLATES, words=AERIAL_WORDS)
    prompts = [prompt for name in said.names for prompt in said.prompts(name)]
    return SmallClip(SmallClipOptions(), CaptionTokens.learn(prompts))
