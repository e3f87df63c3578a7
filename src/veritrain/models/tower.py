"""What towers have in common: the features they give, and what of them moves when something is trained upon them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from veritrain.errors import DataError
from veritrain.models.options import Tuning

LOW_RATE = 0.1
"""The share of the learning rate that a tower of ``low_rate`` trains at (DETR's backbone: 1e-5 beside 1e-4)."""
NORMS = (nn.modules.batchnorm._NormBase,)
"""Layers that keep statistics of what they have seen."""


@dataclass(frozen=True, kw_only=True)
class ImageFeatures:
    """What an image tower sees.

    Attributes:
        embedding: (B, D) of the whole image, in the space of texts; not normalised.
        dense: (B, D, h, w) of each cell of the last map, in the space of texts; not normalised.
        maps: (B, C_k, H / stride_k, W / stride_k), finest first (a ResNet's C3, C4 and C5); in no space of texts.
    """

    embedding: Tensor
    dense: Tensor
    maps: tuple[Tensor, ...]


class Tower(nn.Module):
    """A network that reads images or texts into a space of ``embed_dim`` numbers.

    Attributes:
        embed_dim: numbers of an embedding.
        about: what decides its answers and stands in no tensor.
        tuning: None while the tower itself is trained from scratch; else what :meth:`tune` chose.
    """

    embed_dim: int
    about: str
    tuning: Tuning | None = None

    def tune(self, how: Tuning) -> None:
        """Say what of a trained tower moves while something is trained upon it.

        Args:
            how: frozen: nothing. low_rate, trainable: the weights, at ``rate_scale`` of the learning rate. Statistics
                of batch normalisation stay in all three: a few images of one batch would overwrite those of millions.
        """
        self.tuning = how
        self.requires_grad_(how != "frozen")
        self.train(self.training)

    @property
    def rate_scale(self) -> float:
        """The share of the learning rate that this tower trains at; see ``training.optimise.parameter_groups``."""
        return LOW_RATE if self.tuning == "low_rate" else 1.0

    def train(self, mode: bool = True) -> Tower:
        """As ever; but once tuned, what keeps statistics stays in evaluation mode, and so does all of a frozen one."""
        super().train(mode and self.tuning != "frozen")
        if self.tuning is not None:
            for module in self.modules():
                if isinstance(module, NORMS):
                    module.training = False
        return self


class ImageTower(Tower):
    """A tower that reads images.

    Attributes:
        channels, strides: of its ``maps``, finest first; the dense map has the last stride.
    """

    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def forward(self, image: Tensor) -> ImageFeatures:
        """(B, 3, H, W) float in [-1, 1], at least one cell of the coarsest map large."""
        raise NotImplementedError


def digest_of(tower: Tower) -> str:
    """SHA-256 of a tower: of ``about`` and of the name, type, shape and bytes of each tensor.

    It is computed anew each time (0.15 s for RN50's text tower), so it can never be out of date.
    """
    found = hashlib.sha256(tower.about.encode())
    for name, tensor in tower.state_dict().items():
        found.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def demand_size(image: Tensor, least: int) -> None:
    """Raises DataError for an image that is smaller than one cell of the coarsest map."""
    if min(image.shape[-2:]) < least:
        raise DataError(
            "the image is too small for this tower",
            expected=f"{least} x {least} pixels or more",
            found=f"{image.shape[-2]} x {image.shape[-1]}",
            fix="enlarge the images",
        )
