"""The networks of reports 000 and 001, rebuilt from their layer lists; parameter counts are the reports' own.

A batch holds ``image`` (B, 3, H, W) float in [-1, 1]; ``cloud`` (B, P, 4) float32, x, y, z in metres and intensity
in [0, 1], and ``cloud_mask`` (B, P) bool, False where a row is padding. Outputs are logits: ``frame`` (B,), and for
the voxelwise network ``point`` (B, P).

Layers are those of the reports' programs as a research note lists them (a convolution has a bias). Mended in all of
them, and no layer more or less for it:

- images were 0..255; here they are in [-1, 1], and in ImageNet's scale before a ResNet18;
- clouds were padded with zeros, which entered the maximum and the batch statistics; here padding enters nothing;
- which returns are read was "the first 1000" (one narrow sector) or a new random choice; here they are spread over
  all azimuths, by (seed, epoch, index) (``data.point_sample``);
- "frozen" towers went on moving their batch statistics; here frozen is frozen (:class:`FrozenResNet18`);
- a sigmoid inside the network saturated before the loss saw it; here the outputs are logits.

What the note does not tell is said where it was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.models.heads import top_mean

RETURN_FIELDS = 4
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def layers_per_return(widths: Sequence[int], *, norm: bool, bare_end: bool = False) -> nn.Sequential:
    """Linear layers (4 fields to ``widths[0]`` and on), each with batch norm (``norm``) and ReLU.

    A Conv1d of width 1 over returns is the same layer. With ``bare_end`` the last one is linear alone.
    """
    layers: list[nn.Module] = []
    for place, (below, width) in enumerate(pairwise((RETURN_FIELDS, *widths)), 1):
        layers.append(nn.Linear(below, width))
        if not (bare_end and place == len(widths)):
            layers += [*([nn.BatchNorm1d(width)] if norm else []), nn.ReLU()]
    return nn.Sequential(*layers)


def head(channels: int, hidden: Sequence[int], dropouts: Sequence[float], *, norm: bool = False) -> nn.Sequential:
    """Linear (batch norm) ReLU (dropout) for each hidden width, then a linear layer to one logit."""
    layers: list[nn.Module] = []
    for below, width, dropout in zip((channels, *hidden), hidden, dropouts, strict=False):
        layers += [nn.Linear(below, width), *([nn.BatchNorm1d(width)] if norm else []), nn.ReLU()]
        layers += [nn.Dropout(dropout)] if dropout else []
    return nn.Sequential(*layers, nn.Linear((channels, *hidden)[-1], 1))


def back_in_place(rows: Tensor, mask: Tensor) -> Tensor:
    """(N, C) rows of the N True places of (B, P) -> (B, P, C), 0 elsewhere."""
    room = rows.new_zeros(*mask.shape, rows.shape[-1])
    return room.masked_scatter(mask.unsqueeze(-1), rows)


def strongest(features: Tensor, mask: Tensor) -> Tensor:
    """Maximum over the returns that are there: (B, P, C), (B, P) bool -> (B, C); 0 where a frame has none."""
    best = features.masked_fill(~mask.unsqueeze(-1), -torch.inf).max(dim=1).values
    return torch.where(mask.any(1, keepdim=True), best, torch.zeros_like(best))


class ReturnTower(nn.Module):
    """The same layers for each return (PointNet without its transforms; Qi et al. 2017); padding enters nothing."""

    def __init__(self, widths: Sequence[int], *, norm: bool, bare_end: bool = False) -> None:
        super().__init__()
        self.width = widths[-1]
        self.layers = layers_per_return(widths, norm=norm, bare_end=bare_end)

    def forward(self, cloud: Tensor, mask: Tensor) -> Tensor:
        """(B, P, 4), (B, P) bool -> (B, P, width), 0 where padded; batch statistics are those of real returns."""
        real = cloud[mask]
        if not len(real):  # batch statistics of nothing are not a number
            return cloud.new_zeros(*mask.shape, self.width)
        return back_in_place(self.layers(real), mask)


class FrozenResNet18(nn.Module):
    """ResNet18 (He et al. 2016) without pooling and classifier, 11,176,512 parameters, none of which trains.

    Frozen means unchanged: no gradient, and batch statistics stay as they are in training mode too. The report took
    torchvision's ImageNet weights; nothing is downloaded here, so the tower is as torchvision initialises it until
    weights are loaded into it, and its numbers are not the report's.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import resnet18  # slow to import, and only two networks need it

        self.layers = nn.Sequential(*list(resnet18(weights=None).children())[:-2])
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> FrozenResNet18:
        """Evaluation mode, whatever is asked for."""
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, image: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, H/32 * W/32, 512)."""
        scaled = ((image + 1) / 2 - self.mean) / self.std
        features: Tensor = self.layers(scaled)
        return features.flatten(2).mT


def scene_block(below: int, width: int, *, end_relu: bool) -> nn.Sequential:
    """Two 3x3 convolutions with batch norm, the first of stride 2; no shortcut."""
    end = [nn.ReLU()] if end_relu else []
    return nn.Sequential(
        nn.Conv2d(below, width, 3, stride=2, padding=1),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.BatchNorm2d(width),
        *end,
    )


def scene_image_tower(widths: Sequence[int], *, end_relu: bool) -> nn.Sequential:
    """(B, 3, H, W) -> (B, widths[-1]): a ResNet18-like stem, one block of two convolutions per width, global mean."""
    stem = [nn.Conv2d(3, widths[0], 7, stride=2, padding=3), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    blocks = [scene_block(below, width, end_relu=end_relu) for below, width in pairwise(widths)]
    return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class OriginNetwork(nn.Module):
    """What all networks of the reports share.

    ``inputs`` names the sensors that a network reads, for the probe that exchanges them.
    """

    inputs: tuple[str, ...] = ("image", "points")

    def shared_parameters(self) -> list[nn.Parameter]:
        """The trainable parameters below the heads."""
        towers = [child for name, child in self.named_children() if not name.startswith("head")]
        return [parameter for tower in towers for parameter in tower.parameters() if parameter.requires_grad]


class SimpleDetector(OriginNetwork):
    """Report 000's SimpleAnomalyDetector: two convolutions, a per-return network, concatenation (1,146,497).

    Source: ``quick_start_training.py`` as report 000 describes it; 10,000 random returns of a frame. All of its
    parameters train. Mended: see the module; the report's output was a sigmoid, and its loss read no label
    (``--loss origin000`` keeps that one).
    """

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(
            nn.Conv2d(3, 32, 7, stride=2, padding=3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(8),
            nn.Flatten(),
        )
        self.points = ReturnTower((64, 128), norm=False)
        self.head = head(64 * 8 * 8 + 128, (256, 128), (0.3, 0.0))

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,)."""
        mask = batch["cloud_mask"]
        points = strongest(self.points(batch["cloud"], mask), mask)
        return {"frame": self.head(torch.cat([self.image(batch["image"]), points], 1)).squeeze(1)}


class AttentionDetector(OriginNetwork):
    """Report 001's AnomalyDetectionModel: 1,000 returns attend to 16 image cells (792,321).

    Source: report 001, section "improved architecture", which prints the layers. Image cells of 128 channels are
    repeated to 256; returns are the queries, image cells keys and values, without a shortcut around the attention;
    the maximum over returns stands beside the mean of the image. All of its parameters train. Mended: see the
    module; the report took the first 1,000 returns of the file, one narrow sector of the sweep.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(64, 128, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(4),
        )
        self.points = ReturnTower((64, 128, 256), norm=False, bare_end=True)
        self.attention = nn.MultiheadAttention(256, 4, batch_first=True)
        self.head = head(512, (512, 256), (0.3, 0.0))

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,)."""
        mask = batch["cloud_mask"]
        cells = self.image(batch["image"]).flatten(2).mT.repeat(1, 1, 2)
        fused, _ = self.attention(self.points(batch["cloud"], mask), cells, cells, need_weights=False)
        return {"frame": self.head(torch.cat([strongest(fused, mask), cells.mean(1)], 1)).squeeze(1)}


class FocalDetector(OriginNetwork):
    """Report 001's ImprovedAnomalyDetector for the focal loss: frozen ResNet18, attention (14,110,849; 2,934,337).

    Source: the program behind report 001's second run; 2,048 random returns. Of 14,110,849 parameters 2,934,337
    train. The note lists two dropouts (0.5, 0.3) for three hidden layers; they stand after the first two. Mended: see
    the module and :class:`FrozenResNet18`; and the weight of positives in ``--loss focal`` belongs to the positives.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image = FrozenResNet18()
        self.points = ReturnTower((64, 128, 256, 512), norm=True, bare_end=True)
        self.attention = nn.MultiheadAttention(512, 8, dropout=0.1, batch_first=True)
        self.head = head(1024, (1024, 512, 256), (0.5, 0.3, 0.0), norm=True)

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,)."""
        mask = batch["cloud_mask"]
        cells = self.image(batch["image"])
        fused, _ = self.attention(self.points(batch["cloud"], mask), cells, cells, need_weights=False)
        return {"frame": self.head(torch.cat([strongest(fused, mask), cells.mean(1)], 1)).squeeze(1)}


class VoxelwiseDetector(OriginNetwork):
    """Report 001's VoxelwiseAnomalyDetector: a logit for each of 2,048 returns (12,566,401; 1,389,889 train).

    Source: the program behind report 001's per-return runs, whose labels were random returns; 12,566,401 parameters,
    1,389,889 of which train. Towers and attention of :class:`FocalDetector`, a head per return. The report has no
    score of the frame; ``frame`` is the mean of the 8 largest logits of returns, ours, without parameters, and no
    loss reads it. Mended: see the module and :class:`FrozenResNet18`; batch statistics of the head are those of real
    returns.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image = FrozenResNet18()
        self.points = ReturnTower((64, 128, 256, 512), norm=True, bare_end=True)
        self.attention = nn.MultiheadAttention(512, 8, dropout=0.1, batch_first=True)
        self.head = head(512, (256, 128), (0.3, 0.2), norm=True)

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``point`` (B, P) in the order of the cloud, 0 where padded; ``frame`` (B,)."""
        mask = batch["cloud_mask"]
        cells = self.image(batch["image"])
        fused, _ = self.attention(self.points(batch["cloud"], mask), cells, cells, need_weights=False)
        real = fused[mask]
        rows = self.head(real) if len(real) else real[:, :1]
        logits = back_in_place(rows, mask).squeeze(-1)
        return {"point": logits, "frame": top_mean(logits, mask, 8)}


class SceneDetector(OriginNetwork):
    """Report 001's SceneLevelAnomalyDetector, its "full model": global image and LiDAR features joined (5,491,393).

    Source: the program behind report 001's final figures, which calls it attention fusion of 12.5 million parameters;
    it is plain concatenation, and has 5,491,393, all of which train. All returns of a frame. Its blocks have neither
    a shortcut nor a last ReLU. Mended: see the module.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image = scene_image_tower((64, 128, 256, 512), end_relu=False)
        self.points = ReturnTower((64, 128, 256, 512), norm=True)
        self.head = head(1024, (512, 256), (0.5, 0.3))

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,)."""
        mask = batch["cloud_mask"]
        points = strongest(self.points(batch["cloud"], mask), mask)
        return {"frame": self.head(torch.cat([self.image(batch["image"]), points], 1)).squeeze(1)}


class ImageOnlyDetector(OriginNetwork):
    """Report 001's ablation without LiDAR: the scene network's image tower and a head (4,824,193).

    Source: the ablation study of report 001. Its blocks end in a ReLU. All parameters train; no dropout is on record,
    so there is none. Mended: see the module.
    """

    inputs = ("image",)

    def __init__(self) -> None:
        super().__init__()
        self.image = scene_image_tower((64, 128, 256, 512), end_relu=True)
        self.head = head(512, (256, 128), (0.0, 0.0))

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,)."""
        return {"frame": self.head(self.image(batch["image"])).squeeze(1)}


class LidarOnlyDetector(OriginNetwork):
    """Report 001's ablation without the camera: the scene network's per-return tower and a head (339,521).

    Source: the ablation study of report 001; 16,384 random returns. All parameters train; no dropout is on record, so
    there is none. Mended: see the module.
    """

    inputs = ("points",)

    def __init__(self) -> None:
        super().__init__()
        self.points = ReturnTower((64, 128, 256, 512), norm=True)
        self.head = head(512, (256, 128), (0.0, 0.0))

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,)."""
        mask = batch["cloud_mask"]
        return {"frame": self.head(strongest(self.points(batch["cloud"], mask), mask)).squeeze(1)}


class LateFusionDetector(OriginNetwork):
    """Report 001's ablation that joins decisions: the mean of an image logit and a LiDAR logit (5,098,178).

    Source: the ablation study of report 001, its first version (a second one has two more parameters that no layer
    list explains). All returns of a frame and no dropout, since neither is on record; all parameters train. Mended:
    see the module; the mean is of logits, not of probabilities.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image = scene_image_tower((64, 128, 256, 512), end_relu=True)
        self.points = ReturnTower((64, 128, 256, 512), norm=True)
        self.head_image = head(512, (256,), (0.0,))
        self.head_points = head(512, (256,), (0.0,))

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,)."""
        mask = batch["cloud_mask"]
        points = strongest(self.points(batch["cloud"], mask), mask)
        both = self.head_image(self.image(batch["image"])) + self.head_points(points)
        return {"frame": both.squeeze(1) / 2}


class LightweightDetector(OriginNetwork):
    """Report 001's ablation of size: the scene network with half the channels (1,377,633).

    Source: the ablation study of report 001. All parameters train. All returns of a frame, blocks that end in a ReLU
    as in the other ablations, and no dropout, since none is on record. Mended: see the module.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image = scene_image_tower((32, 64, 128, 256), end_relu=True)
        self.points = ReturnTower((32, 64, 128, 256), norm=True)
        self.head = head(512, (256, 128), (0.0, 0.0))

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Logits: ``frame`` (B,)."""
        mask = batch["cloud_mask"]
        points = strongest(self.points(batch["cloud"], mask), mask)
        return {"frame": self.head(torch.cat([self.image(batch["image"]), points], 1)).squeeze(1)}
