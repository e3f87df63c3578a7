"""ResNet image towers: torchvision's definition, and a top-down merge to the stride-4 grid."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50

from veritrain.models.image import block

DEPTHS = {"resnet18": (resnet18, (64, 128, 256, 512)), "resnet50": (resnet50, (256, 512, 1024, 2048))}
"""Name to torchvision's builder and the channels of layer1 to layer4."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Of RGB in [0, 1]: what torchvision's published weights were trained with."""


class ResNetEncoder(nn.Module):
    """The four feature maps of a ResNet (He et al. 2016, table 1) without its classifier.

    Parameters have torchvision's names, so that torchvision's weights fit. The input stays in [-1, 1] as for every
    tower; the ImageNet normalisation happens in here.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        build, self.channels = DEPTHS[name]
        net = build(weights=None)
        self.conv1, self.bn1, self.relu, self.maxpool = net.conv1, net.bn1, net.relu, net.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = net.layer1, net.layer2, net.layer3, net.layer4
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """(B, 3, H, W) float in [-1, 1], H and W multiples of 4 -> maps of stride 4, 8, 16 and 32."""
        x = ((image + 1) / 2 - self.mean) / self.std
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            maps.append(x)
        return maps


class TopDownMerge(nn.Module):
    """Maps of falling resolution to one map at the finest (feature pyramid; Lin et al. 2017, section 3).

    A 1x1 convolution brings each map to ``width`` channels; from the coarsest on, each is enlarged (nearest) and
    added to the next finer one; a 3x3 convolution with batch normalisation and ReLU smooths the finest.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(one, width, 1) for one in channels)
        self.smooth = block(width, width)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Finest first, (B, C_k, H_k, W_k) -> (B, width, H_0, W_0)."""
        sides = [lateral(one) for lateral, one in zip(self.lateral, maps, strict=True)]
        merged = sides[-1]
        for finer in reversed(sides[:-1]):
            merged = finer + F.interpolate(merged, size=finer.shape[-2:], mode="nearest")
        smoothed: Tensor = self.smooth(merged)
        return smoothed
