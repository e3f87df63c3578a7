"""YOLOv5 (versions 6 and 7) in our own code: backbone, neck and detection head, with or without a view head.

Written from a note of facts (layer list, hyper-parameters, names of tensors); the original's code was not read.
Layers are numbered as the original's, so that its plain state dict fits: ``model.0`` to ``model.9`` are the backbone,
``model.10`` to ``model.23`` the neck, whose layers 17, 20 and 23 are P3, P4 and P5. Then comes the detection head,
``model.24``; with a view head in the same network that is ``model.24`` and the detection head ``model.25``.

A batch holds ``image`` (B, 3, H, W) float32 in [0, 1], H and W multiples of 32. Outputs are raw:

- ``p3``, ``p4``, ``p5``: (B, A, H / stride, W / stride, 5 + classes), stride 8, 16 and 32: for each of A anchors x, y,
  width, height, objectness and class logits of each cell (``models.yolo_decode`` says what they mean);
- ``view``: (B, views) logits.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.errors import ConfigError, DataError
from veritrain.models.options import STRIDES, Anchors, YoloOptions

MULTIPLES = {"n": (0.33, 0.25), "s": (0.33, 0.50), "m": (0.67, 0.75), "l": (1.0, 1.0), "x": (1.33, 1.25)}
"""Size to the multiples of depth (repetitions of bottlenecks) and width (channels)."""
NORM_EPS, NORM_MOMENTUM = 1e-3, 0.03
LEVELS = ("p3", "p4", "p5")
NECK_LAYERS = (17, 20, 23)
"""The layers whose outputs are P3, P4 and P5."""
PRIOR_IMAGE, PRIOR_OBJECTS, PRIOR_CLASS = 640, 8, 0.6
"""Before training a detector expects 8 objects in an image of 640 x 640, and 0.6 classes for each."""
VIEW_DROPOUT = 0.2


class Conv(nn.Module):
    """Convolution without bias, batch normalisation (eps 1e-3, momentum 0.03), SiLU."""

    def __init__(self, below: int, width: int, kernel: int = 1, stride: int = 1, padding: int | None = None) -> None:
        super().__init__()
        self.conv = nn.Conv2d(below, width, kernel, stride, kernel // 2 if padding is None else padding, bias=False)
        self.bn = nn.BatchNorm2d(width, eps=NORM_EPS, momentum=NORM_MOMENTUM)
        self.act = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, below, H, W) -> (B, width, H / stride, W / stride)."""
        out: Tensor = self.act(self.bn(self.conv(x)))
        return out


class Bottleneck(nn.Module):
    """1x1 and 3x3 convolutions of one width, with or without a shortcut around both."""

    def __init__(self, width: int, *, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = Conv(width, width, 1)
        self.cv2 = Conv(width, width, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """(B, width, H, W) -> the same shape."""
        out: Tensor = self.cv2(self.cv1(x))
        return x + out if self.shortcut else out


class C3(nn.Module):
    """Cross-stage partial block with three convolutions (after CSPNet; Wang et al. 2020): one half of the channels
    goes through the bottlenecks, the other past them."""

    def __init__(self, below: int, width: int, repeats: int, *, shortcut: bool = True) -> None:
        super().__init__()
        half = width // 2
        self.cv1 = Conv(below, half)
        self.cv2 = Conv(below, half)
        self.cv3 = Conv(2 * half, width)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut=shortcut) for _ in range(repeats)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, below, H, W) -> (B, width, H, W)."""
        out: Tensor = self.cv3(torch.cat((self.m(self.cv1(x)), self.cv2(x)), 1))
        return out


class SPPF(nn.Module):
    """Three 5x5 maxima one after another, which see 5, 9 and 13 cells (spatial pyramid pooling; He et al. 2015)."""

    def __init__(self, below: int, width: int) -> None:
        super().__init__()
        half = below // 2
        self.cv1 = Conv(below, half)
        self.cv2 = Conv(4 * half, width)
        self.m = nn.MaxPool2d(5, stride=1, padding=2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, below, H, W) -> (B, width, H, W)."""
        near: Tensor = self.cv1(x)
        pooled = [near]
        for _ in range(3):
            pooled.append(self.m(pooled[-1]))
        out: Tensor = self.cv2(torch.cat(pooled, 1))
        return out


class Join(nn.Module):
    """Two maps of one size, their channels side by side; it holds the place of its number."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, C, H, W), (B, D, H, W) -> (B, C + D, H, W)."""
        return torch.cat((first, second), 1)


class Detect(nn.Module):
    """A 1x1 convolution a level: for each anchor of a cell a box, an objectness and a logit for each class.

    Attributes:
        anchors: (3, A, 2) float32, width and height in cells of their level, as state dicts have them.
        strides: pixels a cell.
    """

    anchors: Tensor

    def __init__(self, below: Sequence[int], classes: int, anchors: Anchors) -> None:
        super().__init__()
        self.classes, self.strides = classes, STRIDES
        strides = torch.tensor(STRIDES, dtype=torch.float32)
        self.register_buffer("anchors", torch.tensor(anchors, dtype=torch.float32) / strides.view(-1, 1, 1))
        self.per_cell = len(anchors[0])
        self.m = nn.ModuleList(nn.Conv2d(width, self.per_cell * (5 + classes), 1) for width in below)
        self._expect_few_objects()

    @torch.no_grad()
    def _expect_few_objects(self) -> None:
        """Biases such that the first losses are those of rare objects (after Lin et al. 2017, section 3.3)."""
        for layer, stride in zip(self.m, self.strides, strict=True):
            bias = layer.bias.view(self.per_cell, -1)  # type: ignore[operator]
            bias[:, 4] += math.log(PRIOR_OBJECTS / (PRIOR_IMAGE / stride) ** 2)
            bias[:, 5:] += math.log(PRIOR_CLASS / (self.classes - 0.99999))

    def forward(self, levels: Sequence[Tensor]) -> dict[str, Tensor]:
        """Three (B, C, ny, nx) -> ``p3``, ``p4``, ``p5`` (B, A, ny, nx, 5 + classes)."""
        outputs = {}
        for name, layer, level in zip(LEVELS, self.m, levels, strict=True):
            raw = layer(level)
            batch, _, rows, columns = raw.shape
            cells = raw.view(batch, self.per_cell, 5 + self.classes, rows, columns)
            outputs[name] = cells.permute(0, 1, 3, 4, 2).contiguous()
        return outputs


class ViewHead(nn.Module):
    """Logits of the view: each level averaged over the image, side by side, dropout 0.2, one linear layer.

    On P3 of size s with 3 views these are report 004's 387 parameters (128 x 3 + 3).
    """

    def __init__(self, below: int, views: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(VIEW_DROPOUT)
        self.fc = nn.Linear(below, views)
        nn.init.xavier_uniform_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """(B, C, H, W) of each level -> (B, views)."""
        seen = torch.cat([self.pool(level).flatten(1) for level in levels], 1)
        out: Tensor = self.fc(self.drop(seen))
        return out


def level_widths(size: str) -> tuple[int, int, int]:
    """Channels of P3, P4 and P5."""
    return _width(256, size), _width(512, size), _width(1024, size)


def _width(channels: int, size: str) -> int:
    return math.ceil(channels * MULTIPLES[size][1] / 8) * 8


def _repeats(times: int, size: str) -> int:
    return max(round(times * MULTIPLES[size][0]), 1)


def trunk(size: str) -> list[nn.Module]:
    """Layers 0 to 23: backbone and neck."""
    c64, c128, c256, c512, c1024 = (_width(channels, size) for channels in (64, 128, 256, 512, 1024))
    three, six, nine = (_repeats(times, size) for times in (3, 6, 9))
    backbone = [
        Conv(3, c64, 6, 2, 2),
        Conv(c64, c128, 3, 2),
        C3(c128, c128, three),
        Conv(c128, c256, 3, 2),
        C3(c256, c256, six),
        Conv(c256, c512, 3, 2),
        C3(c512, c512, nine),
        Conv(c512, c1024, 3, 2),
        C3(c1024, c1024, three),
        SPPF(c1024, c1024),
    ]
    neck = [
        Conv(c1024, c512),
        nn.Upsample(scale_factor=2),
        Join(),
        C3(2 * c512, c512, three, shortcut=False),
        Conv(c512, c256),
        nn.Upsample(scale_factor=2),
        Join(),
        C3(2 * c256, c256, three, shortcut=False),
        Conv(c256, c256, 3, 2),
        Join(),
        C3(2 * c256, c512, three, shortcut=False),
        Conv(c512, c512, 3, 2),
        Join(),
        C3(2 * c512, c1024, three, shortcut=False),
    ]
    return [*backbone, *neck]


def through_trunk(layers: nn.ModuleList, image: Tensor) -> list[Tensor]:
    """(B, 3, H, W) -> P3, P4 and P5; P3 alone where there is no layer 20. What comes after the trunk is not called."""
    fine = layers[4](layers[3](layers[2](layers[1](layers[0](image)))))
    middle = layers[6](layers[5](fine))
    coarse = layers[10](layers[9](layers[8](layers[7](middle))))
    down = layers[14](layers[13](layers[12](layers[11](coarse), middle)))
    p3 = layers[17](layers[16](layers[15](down), fine))
    if len(layers) <= NECK_LAYERS[1]:
        return [p3]
    p4 = layers[20](layers[19](layers[18](p3), down))
    p5 = layers[23](layers[22](layers[21](p4), coarse))
    return [p3, p4, p5]


def check_sides(image: Tensor) -> None:
    """Refuse an image that the coarsest level does not divide.

    Raises:
        DataError: a side is no multiple of 32.
    """
    height, width = image.shape[-2:]
    if height % STRIDES[-1] or width % STRIDES[-1] or not height * width:
        raise DataError(
            "the image does not fit the network's cells",
            expected=f"sides that are multiples of {STRIDES[-1]}",
            found=f"{height} x {width} (height x width)",
            fix="letterbox it (data.letterbox)",
        )


class Yolo(nn.Module):
    """YOLOv5 n, s, m, l or x: boxes of three levels, and the view where it has a head for it.

    The original's pickled models hold their own classes; a plain state dict fits (``models.yolo_weights``).

    Attributes:
        options: its shape.
        detect: the detection head, with ``anchors`` in cells and ``strides``.
    """

    inputs = ("image",)

    def __init__(self, options: YoloOptions) -> None:
        super().__init__()
        if not options.detects or options.dual:
            raise ConfigError("this is no single network with a detector", found=str(options), fix="call yolo_of")
        self.options = options
        widths = level_widths(options.size)
        heads: list[nn.Module] = [ViewHead(view_channels(options), options.views)] if options.sees_view else []
        heads.append(Detect(widths, options.classes, options.anchors))
        self.model = nn.ModuleList([*trunk(options.size), *heads])

    @property
    def detect(self) -> Detect:
        head = self.model[-1]
        assert isinstance(head, Detect)
        return head

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Raw ``p3``, ``p4``, ``p5``, and logits ``view`` with a view head; shapes as the module says.

        Raises:
            DataError: a side of the image is no multiple of 32.
        """
        check_sides(batch["image"])
        levels = through_trunk(self.model, batch["image"])
        outputs = self.detect(levels)
        if self.options.sees_view:
            outputs["view"] = self.model[-2](levels_read(self.options, levels))
        return outputs

    def shared_parameters(self) -> list[nn.Parameter]:
        """Weights of the last layers that detection and view both pass through, for balancers of gradient norms.

        A layer here is the closing 1x1 convolution of a level of the neck (``model.17.cv3`` and so on). All of
        detection passes through layer 17, be it as P3 or on its way to P4 and P5.

        - view head on P3: that of layer 17 alone; the view never sees the layers after it.
        - on P5, or on pooled P3 to P5: those of layers 17, 20 and 23. The view depends on all three, and with P4 and P5
          bypassing layer 17 in part only the three together carry all of detection.
        - none: nothing is shared, so there are none.
        """
        shared = {"none": (), "p3": NECK_LAYERS[:1], "p5": NECK_LAYERS, "pooled": NECK_LAYERS}[self.options.view_head]
        return [self.model[number].cv3.conv.weight for number in shared]  # type: ignore[union-attr, misc]

    def trunk_parameters(self) -> list[nn.Parameter]:
        """All parameters that both detection and view depend on; none without a view head.

        They are the layers up to 17 with the head on P3, and up to 23 with the others.
        """
        if not self.options.sees_view:
            return []
        last = NECK_LAYERS[0] if self.options.view_head == "p3" else NECK_LAYERS[-1]
        return [parameter for layer in self.model[: last + 1] for parameter in layer.parameters()]


def view_channels(options: YoloOptions) -> int:
    """Numbers that the view head reads of an image."""
    widths = level_widths(options.size)
    return {"p3": widths[0], "p5": widths[-1], "pooled": sum(widths)}[options.view_head]


def levels_read(options: YoloOptions, levels: Sequence[Tensor]) -> list[Tensor]:
    """The levels that the view head reads."""
    return {"p3": [levels[0]], "p5": [levels[-1]], "pooled": list(levels)}[options.view_head]
