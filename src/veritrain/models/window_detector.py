"""A detector that nobody trained: windows at several sizes, each compared with the texts of the classes.

What towers know about an image as a whole, asked of its parts; what a trained detector adds must be above this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import nms, roi_align

from veritrain.errors import ConfigError
from veritrain.models.tower_pair import TowerPair
from veritrain.models.window_options import WindowOptions

BACKGROUND = ("grassland", "farmland", "forest", "water", "bare ground", "buildings", "a road")
"""What else a window may show: texts that compete with the classes and are no answer."""
CHUNK = 512
"""Windows that are enlarged and embedded at a time."""


class WindowDetector(nn.Module):
    """Windows of an image with the probability of each class, by towers as they are.

    Args:
        towers: both, with their temperature; nothing of them is changed.
        texts: (C, D) of length 1, of the classes. background: (G, D), of what competes with them; G may be 0.
        options: windows, and how they are looked at.

    Raises:
        ConfigError: texts of another space than the towers'.
    """

    inputs = ("image",)
    texts: Tensor
    windows: Tensor

    def __init__(self, towers: TowerPair, texts: Tensor, background: Tensor, options: WindowOptions) -> None:
        super().__init__()
        for one in (texts, background):
            if one.ndim != 2 or one.shape[1] != towers.embed_dim:
                raise ConfigError(
                    "texts of another space than the images",
                    expected=f"(C, {towers.embed_dim})",
                    found=str(tuple(one.shape)),
                    fix="embed them with the text tower of the same file",
                )
        self.towers, self.options, self.classes = towers, options, len(texts)
        self.register_buffer("texts", torch.cat((texts, background)), persistent=False)
        self.register_buffer("windows", windows_of(options), persistent=False)

    @torch.no_grad()
    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """``image`` (B, 3, H, W) in [-1, 1] and ``placed`` (B, 6), which says where the letterbox holds the image.

        Returns:
            ``window_boxes`` (B, W, 4) left, top, right, bottom in pixels of the letterbox, and ``window_scores``
            (B, W, C), the softmax over classes and background.
        """
        image = batch["image"]
        boxes = self._boxes(batch["placed"].to(image.device))
        embed = self._dense if self.options.way == "dense" else self._crops
        vectors = F.normalize(embed(image, boxes).float(), dim=1).unflatten(0, boxes.shape[:2])
        logits = self.towers.temperature().float() * (vectors @ self.texts.float().T)
        return {"window_boxes": boxes, "window_scores": logits.softmax(2)[..., : self.classes]}

    @torch.no_grad()
    def found(self, output: Mapping[str, Tensor]) -> list[Tensor]:
        """The boxes of each image, (n, 6) left, top, right, bottom in pixels, score, class; surest first."""
        return [
            self._surest(boxes, scores)
            for boxes, scores in zip(output["window_boxes"], output["window_scores"], strict=True)
        ]

    def _surest(self, boxes: Tensor, scores: Tensor) -> Tensor:
        rows = []
        for cls in range(self.classes):
            kept = nms(boxes.float(), scores[:, cls].float(), self.options.overlap)[: self.options.most_boxes]
            label = torch.full((len(kept), 1), float(cls), device=boxes.device)
            rows.append(torch.cat((boxes[kept], scores[kept, cls, None], label), 1))
        found = torch.cat(rows)
        return found[found[:, 4].argsort(descending=True, stable=True)[: self.options.most_boxes]]

    def _boxes(self, placed: Tensor) -> Tensor:
        """(B, W, 4) in pixels of the letterbox, within the image."""
        rows, columns, top, left = placed[:, 2:].to(self.windows.dtype).unbind(1)
        size, start = torch.stack((columns, rows) * 2, 1), torch.stack((left, top) * 2, 1)
        return self.windows * size[:, None] + start[:, None]

    def _dense(self, image: Tensor, boxes: Tensor) -> Tensor:
        """(B W, D): the mean of the dense map within each window."""
        factor = self.options.side
        size = (image.shape[2] * factor, image.shape[3] * factor)
        dense = self.towers.image(F.interpolate(image, size, mode="bilinear", align_corners=False)).dense.float()
        scale = dense.shape[3] / image.shape[3]
        return roi_align(dense, list(boxes), 1, scale, aligned=True).flatten(1)

    def _crops(self, image: Tensor, boxes: Tensor) -> Tensor:
        """(B W, D): the embedding of each window, enlarged to a square."""
        side = (self.options.side, self.options.side)
        return torch.cat(
            [
                self.towers.image(roi_align(one[None], [few], side, aligned=True)).embedding
                for one, windows in zip(image, boxes, strict=True)
                for few in windows.split(CHUNK)
            ]
        )


def windows_of(options: WindowOptions) -> Tensor:
    """(W, 4) float32 left, top, right, bottom in shares of the image: every size and aspect, evenly spread."""
    found = []
    for size in options.sizes:
        for aspect in options.aspects:
            wide, high = min(size * math.sqrt(aspect), 1.0), min(size / math.sqrt(aspect), 1.0)
            lefts, tops = (
                torch.linspace(0, 1 - side, math.ceil((1 - side) / (side * options.step) - 1e-9) + 1)
                for side in (wide, high)
            )
            top, left = torch.meshgrid(tops, lefts, indexing="ij")
            found.append(torch.stack((left, top, left + wide, top + high), 2).flatten(0, 1))
    return torch.cat(found).clamp(0, 1)
