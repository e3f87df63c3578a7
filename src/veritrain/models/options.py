"""What can be chosen about the networks. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from veritrain.errors import ConfigError, did_you_mean

Fusion = Literal["attention", "concat", "late", "image_only", "points_only"]
ImageTower = Literal["small", "resnet18", "resnet50"]
PointsTower = Literal["range_view", "raw"]
Freeze = Literal["none", "image", "points", "both"]
Positional = Literal["none", "sincos", "learned", "hybrid"]
Alignment = Literal["nearest", "bilinear", "network"]
Head = Literal["mlp", "multiscale", "voxel"]


@dataclass(frozen=True, kw_only=True)
class FusionOptions:
    """The fusion detector's shape.

    Attributes:
        fusion: how image and LiDAR meet: attention, concat (features), late (logits), or one of them alone.
        width: channels of both encoders' feature maps.
        heads: attention heads; divides half of ``width``.
        dropout: share of feature channels dropped before the dense heads, in [0, 1).
        modality_dropout: share of training samples whose views are not fused, in [0, 1) (ModDrop; Neverova et al.
            2016, section 3.3): without it the easier sensor leaves the other one untrained.
        image_tower: small, or torchvision's resnet18 or resnet50 with a top-down merge to stride 4.
        points_tower: range_view (convolutions on the sensor's grid), or raw (features of every return, max-pooled).
        image_weights: a local .safetensors file for the image tower; empty starts from scratch.
        freeze: towers whose parameters and batch statistics never change (unless training unfreezes a part).
        positional: what tells tokens where they are, in metres of the LiDAR frame.
        alignment: how a LiDAR token reads the image where it projects: cells by index (nearest), interpolated at
            the sub-pixel place (bilinear), or cells of a map refined by a gated network (network).
        head: mlp (a logit a cell), multiscale (logits at 1, 2 and 4 times the cell), or voxel (a 3-D network on a
            grid before the car, beside the mlp).

    Raises:
        ConfigError: an unknown word, or choices that mean nothing together.
    """

    fusion: Fusion = "attention"
    width: int = 32
    heads: int = 4
    dropout: float = 0.1
    modality_dropout: float = 0.5
    image_tower: ImageTower = "small"
    points_tower: PointsTower = "range_view"
    image_weights: str = ""
    freeze: Freeze = "none"
    positional: Positional = "none"
    alignment: Alignment = "nearest"
    head: Head = "mlp"

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            value, known = getattr(self, name), get_args(words)
            if value not in known:
                raise ConfigError(
                    f"no {name} '{value}'",
                    expected=", ".join(known),
                    found=str(value),
                    fix=did_you_mean(str(value), known),
                )
        for name, value, needs, met in self._demands():
            if not met:
                raise ConfigError(
                    f"{name} {value} means nothing here",
                    expected=needs,
                    found=f"fusion {self.fusion}, points_tower {self.points_tower}",
                    fix=f"leave {name} out, or change the other choice",
                )

    @property
    def sees_image(self) -> bool:
        return self.fusion != "points_only"

    @property
    def sees_points(self) -> bool:
        return self.fusion != "image_only"

    def freezes(self, tower: str) -> bool:
        """Whether ``tower`` ("image" or "points") is frozen."""
        return self.freeze in (tower, "both")

    def _demands(self) -> list[tuple[str, str, str, bool]]:
        """Option, value, what it needs, whether it has it; only of what differs from the default."""
        image = "a fusion that reads the image"
        points = "a fusion that reads the points"
        return [
            ("image_tower", self.image_tower, image, self.sees_image or self.image_tower == "small"),
            ("image_weights", self.image_weights, image, self.sees_image or not self.image_weights),
            ("points_tower", self.points_tower, points, self.sees_points or self.points_tower == "range_view"),
            ("freeze", self.freeze, image, self.sees_image or not self.freezes("image")),
            ("freeze", self.freeze, points, self.sees_points or not self.freezes("points")),
            (
                "alignment",
                self.alignment,
                "two sensors that meet: attention, concat or late",
                self.alignment == "nearest" or (self.sees_image and self.sees_points),
            ),
            (
                "alignment",
                self.alignment,
                "features that meet (attention or concat): late fusion joins logits, for which there is no network",
                not (self.alignment == "network" and self.fusion == "late"),
            ),
            ("head", self.head, points + ", because a picture has no depth", self.head != "voxel" or self.sees_points),
            (
                "head",
                self.head,
                "points_tower range_view: raw returns lie on no grid that could be made coarser",
                not (self.head == "multiscale" and self.points_tower == "raw"),
            ),
        ]


_WORDS = {
    "fusion": Fusion,
    "image_tower": ImageTower,
    "points_tower": PointsTower,
    "freeze": Freeze,
    "positional": Positional,
    "alignment": Alignment,
    "head": Head,
}
