"""The view without the detector, and both in two networks: the single-task controls of joint training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from veritrain.errors import ConfigError
from veritrain.models.options import YoloOptions
from veritrain.models.yolo import (
    NECK_LAYERS,
    Detect,
    ViewHead,
    Yolo,
    check_sides,
    levels_read,
    through_trunk,
    trunk,
    view_channels,
)


class YoloView(nn.Module):
    """The trunk of YOLOv5 and a view head, without a detector.

    Layers that the view does not depend on are left out: with a head on P3 those after 17. What is left has the names
    and shapes of the joint network, whose view head comes next: ``model.18`` or ``model.24``.
    """

    inputs = ("image",)

    def __init__(self, options: YoloOptions) -> None:
        super().__init__()
        if options.detects or not options.sees_view:
            raise ConfigError("this is no network for the view alone", found=str(options), fix="call yolo_of")
        self.options = options
        last = NECK_LAYERS[0] if options.view_head == "p3" else NECK_LAYERS[-1]
        head = ViewHead(view_channels(options), options.views)
        self.model = nn.ModuleList([*trunk(options.size)[: last + 1], head])

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """``image`` (B, 3, H, W) float32 in [0, 1] -> logits ``view`` (B, views).

        Raises:
            DataError: a side of the image is no multiple of 32.
        """
        check_sides(batch["image"])
        levels = through_trunk(self.model, batch["image"])
        return {"view": self.model[-1](levels_read(self.options, levels))}

    def shared_parameters(self) -> list[nn.Parameter]:
        """None: there is one task."""
        return []

    def trunk_parameters(self) -> list[nn.Parameter]:
        """None: there is one task."""
        return []


class DualYolo(nn.Module):
    """Two networks side by side, a detector and one for the view; no parameter serves both.

    Attributes:
        options: the shape of both.
        detector, viewer: the networks, whose tensors are named ``detector.model...`` and ``viewer.model...``.
    """

    inputs = ("image",)

    def __init__(self, options: YoloOptions) -> None:
        super().__init__()
        if not options.dual:
            raise ConfigError("these are not two networks", found=str(options), fix="call yolo_of")
        self.options = options
        self.detector = Yolo(replace(options, dual=False, views=0, view_head="none"))
        self.viewer = YoloView(replace(options, dual=False, classes=0))

    @property
    def detect(self) -> Detect:
        return self.detector.detect

    def forward(self, batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """As the joint network: raw ``p3``, ``p4``, ``p5``, and logits ``view``."""
        return {**self.detector(batch), **self.viewer(batch)}

    def shared_parameters(self) -> list[nn.Parameter]:
        """None: no layer is passed by both, so there is no gradient to balance."""
        return []

    def trunk_parameters(self) -> list[nn.Parameter]:
        """None: no parameter serves both."""
        return []


def yolo_of(options: YoloOptions) -> Yolo | YoloView | DualYolo:
    """A fresh network of this shape."""
    if options.dual:
        return DualYolo(options)
    return Yolo(options) if options.detects else YoloView(options)
