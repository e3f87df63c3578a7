"""The network of report 002, rebuilt: an image tower compared with the names of classes; no box is ever answered.

The report announces a "context-guided detector" with a matcher, heads and a global contrast loss. Its program built the
image tower and the text tower alone and trained the first as a classifier of whole images: cosines with 20 bare class
names, over 0.07, against the class of the object that stands first in each file (``losses/report002.py``). The other
modules were never built, the contrast loss was built and never called, nothing was validated.

As it was: all weights of the image tower train at one rate, and its batch statistics move with batches of eight.
Mended: images are in the tower's own scale, where the report put ImageNet's on a CLIP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from veritrain.models.language import BARE, Vocabulary
from veritrain.models.options import SmallClipOptions
from veritrain.models.small_clip import SmallImageTower
from veritrain.models.temperature import START
from veritrain.models.tower import ImageTower


class OriginDetector(nn.Module):
    """Report 002's "detector": one embedding for the whole image, and no box.

    Args:
        tower: trained whole; what it was tuned to before is put aside.
    """

    inputs = ("image",)

    def __init__(self, tower: ImageTower) -> None:
        super().__init__()
        tower.tuning = None
        self.tower = tower.requires_grad_()

    @property
    def embed_dim(self) -> int:
        """D: numbers of a text."""
        return self.tower.embed_dim

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """``image`` (B, 3, H, W) in [-1, 1] and ``texts`` (C, D), as the detectors read them.

        Returns:
            ``texts`` (C, D) and ``context`` (B, D), of length 1 as theirs; ``logits`` (B, C), the cosines over 0.07;
            none of the keys that hold boxes.
        """
        texts = F.normalize(batch["texts"].float(), dim=1)
        context = F.normalize(self.tower(batch["image"]).embedding.float(), dim=1)
        return {"texts": texts, "context": context, "logits": context @ texts.T / START}

    def shared_parameters(self) -> list[nn.Parameter]:
        """All that trains."""
        return list(self.tower.parameters())


def bare_names(names: Sequence[str]) -> Vocabulary:
    """Class names as the report gave them to its text tower: as they stand in the files, in no sentence."""
    return Vocabulary(names=tuple(names), templates=BARE)


def report002_classifier() -> OriginDetector:
    """Report 002's network, spoilt as it was: a classifier of whole images that answers no box (on a small tower)."""
    return OriginDetector(SmallImageTower(SmallClipOptions()))
