"""What can be chosen about the networks. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Fusion = Literal["attention", "concat", "image_only", "points_only"]


@dataclass(frozen=True, kw_only=True)
class FusionOptions:
    """The fusion detector's shape.

    Attributes:
        fusion: how image and LiDAR meet.
        width: channels of both encoders' feature maps.
        heads: attention heads; divides ``width``.
        dropout: share of feature channels dropped before the dense heads, in [0, 1).
        modality_dropout: share of training samples whose views are not fused, in [0, 1) (ModDrop; Neverova et al.
            2016, section 3.3): without it the easier sensor leaves the other one untrained.
    """

    fusion: Fusion = "attention"
    width: int = 32
    heads: int = 4
    dropout: float = 0.1
    modality_dropout: float = 0.5
