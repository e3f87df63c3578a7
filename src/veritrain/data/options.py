"""How data sets on disk are read; torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from veritrain.errors import ConfigError, did_you_mean

POLICIES = ("skip", "error")
LAYOUTS = ("auto", "2024", "2023")

Augment = Literal["none", "flip", "full"]
"""none; flip: half of the samples left to right; full: what ``data/augment.py`` draws, the flip among it."""

Hold = Literal["memory", "disk"]
"""Where the frames of a split are between two reads: decoded in memory, or in the cache on disk."""


@dataclass(frozen=True, kw_only=True)
class AnoVoxOptions:
    """How an AnoVox folder becomes frames.

    Attributes:
        minimum_visible: k: a frame is anomalous if at least k points or k pixels carry an anomaly id.
        point_radius: metres within which the nearest SEMANTIC-LIDAR point gives a LIDAR point its label.
        on_broken: "skip" lists and counts what cannot be read and goes on; "error" stops at the first.
        layout: "auto" takes the layout that the folder holds and refuses a folder with both; "2024" or "2023" reads the
            scenarios of that one and lists the others as left out.
        image_height: rows of the image as given; None keeps the stored size. Give both or neither.
        image_width: columns of the image as given.

    Raises:
        ConfigError: a value is out of range or unknown.
    """

    minimum_visible: int = 12
    point_radius: float = 0.5
    on_broken: str = "skip"
    layout: str = "auto"
    image_height: int | None = None
    image_width: int | None = None

    def __post_init__(self) -> None:
        for name, known in (("on_broken", POLICIES), ("layout", LAYOUTS)):
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(
                    f"unknown {name} '{value}'",
                    expected=" or ".join(known),
                    found=str(value),
                    fix=did_you_mean(str(value), known),
                )
        if self.minimum_visible < 1 or not 0 < self.point_radius < 10:
            raise ConfigError(
                "labels cannot be made with these limits",
                expected="minimum_visible of at least 1, point_radius between 0 and 10 m",
                found=f"minimum_visible {self.minimum_visible}, point_radius {self.point_radius}",
                fix="keep the defaults: 12 and 0.5",
            )
        if (self.image_height is None) != (self.image_width is None) or (self.image_height or 1) < 1:
            raise ConfigError(
                "half an image size",
                expected="image_height and image_width of at least 1, or neither",
                found=f"{self.image_height} x {self.image_width}",
                fix="give both",
            )
