"""Frozen extractors of patch features for a memory bank: one for images, one for range views. Nothing trains here."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from veritrain.errors import ConfigError
from veritrain.models.memory_bank import locally_aware
from veritrain.models.points import RangeViewEncoder
from veritrain.models.resnet import ResNetEncoder
from veritrain.models.tower_weights import OUR_PREFIX, load_tower

SHORT_SIDE = 224
"""Pixels: smaller images are enlarged to the size that PatchCore works at (section 4.1)."""

RANDOM = "random (seeded, untrained)"
VIEW_CHANNELS = 6
VIEW_WIDTH = 64


class FrozenImageFeatures(nn.Module):
    """Patch features of layer2 and layer3 of a ResNet18 (section 3.1: two mid-level maps).

    Args:
        seed: of the random weights. weights: a local safetensors file of torchvision's ResNet18; empty is random.

    Attributes:
        source: where the weights come from, in words.

    Raises:
        ConfigError: no such file, a pickle, or a run of ours, whose tower was trained on labels.
        CheckpointError: weights of another architecture.
    """

    def __init__(self, *, seed: int, weights: str = "") -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.tower = ResNetEncoder("resnet18")
        if weights:
            load_tower(self.tower, weights)
            _refuse_ours(weights)
        self.tower.layer4 = nn.Identity()  # not read
        self.source = f"the weights of {weights.rsplit('/', 1)[-1]}" if weights else RANDOM
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) float in [-1, 1] -> (B, 384, h, w): a cell is 8 pixels of the (enlarged) image."""
        factor = SHORT_SIDE / min(image.shape[-2:])
        if factor > 1:
            image = F.interpolate(image, scale_factor=factor, mode="bilinear", align_corners=False)
        maps = self.tower(image)
        return locally_aware(maps[1:3])


class FrozenViewFeatures(nn.Module):
    """Patch features of a range view from the untrained range-view tower of the fusion detector, seeded.

    No published weights exist for this sensor and these channels: these are random features.
    """

    source = RANDOM

    def __init__(self, *, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.tower = RangeViewEncoder(VIEW_CHANNELS, VIEW_WIDTH)
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def forward(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 6, R, A) -> (B, 96, R/2, A) features and (B, R/2, A) bool: a return lies in one of the two rows."""
        there = F.max_pool2d(view[:, -1:], (2, 1)).squeeze(1) > 0
        return locally_aware(self.tower(view), wraps=True), there


def _refuse_ours(weights: str) -> None:
    with safe_open(weights, framework="pt") as file:
        ours = any(name.startswith(OUR_PREFIX) for name in file.keys())  # noqa: SIM118 - no mapping
    if ours:
        raise ConfigError(
            "the weights of a run of ours were trained on labels, and this method may see none",
            expected="torchvision's weights of a ResNet18, in a .safetensors file",
            found="a model.safetensors of a run",
            fix="give another file, or none",
            file=weights,
        )
