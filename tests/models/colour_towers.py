"""Towers that know what they say without training: an embedding is a mean colour, a text the colour that it names."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.models.language import TextTower
from veritrain.models.temperature import Temperature
from veritrain.models.tower import ImageFeatures, ImageTower
from veritrain.models.tower_pair import TowerPair

COLOURS = {"red": (1, -1, -1), "blue": (-1, -1, 1), "green": (-1, 1, -1), "grey": (1, 1, 1)}
CELL = 8


class ColourImages(ImageTower):
    """Mean colours: of 8 x 8 pixels as the dense map, of all as the embedding; both times one learnable number."""

    channels, strides, embed_dim, about = (3,), (CELL,), 3, "mean colours"

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, image: Tensor) -> ImageFeatures:
        dense = F.avg_pool2d(image, CELL) * self.gain
        return ImageFeatures(embedding=dense.mean((2, 3)), dense=dense, maps=(dense,))


class ColourTexts(TextTower):
    """The last word of a text that is a colour, as that colour."""

    context_length, embed_dim, about = 4, 3, "names of colours"

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.tensor(list(COLOURS.values())).float())

    def tokens(self, texts: Sequence[str], *, cut: bool = False) -> Tensor:
        found = [[1 + list(COLOURS).index(word) for word in text.split() if word in COLOURS][-1:] for text in texts]
        return torch.tensor([[*one, 0, 0, 0][:4] for one in found])

    def forward(self, tokens: Tensor) -> Tensor:
        return self.table[tokens[:, 0] - 1]


def colour_towers() -> TowerPair:
    return TowerPair(ColourImages(), ColourTexts(), Temperature(0.3))
