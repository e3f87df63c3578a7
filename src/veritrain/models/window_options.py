"""What can be chosen about windows that towers look through. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from veritrain.errors import ConfigError, did_you_mean

WAYS = ("dense", "crops")


@dataclass(frozen=True, kw_only=True)
class WindowOptions:
    """How towers look for classes without any training for it: windows of an image, compared with texts.

    Attributes:
        way: dense (the mean of the dense map within a window; one pass an image) or crops (a pass a window).
        sizes: square roots of the windows' areas, as shares of the image's sides. aspects: width over height.
        step: from a window to the next, as a share of its side.
        pixels: of dense: factor by which images are enlarged first; of crops: side of an enlarged window; 0: 2 and 64.
        overlap: a box goes when a surer one of its class overlaps it by an IoU above this.
        most_boxes: of an image.

    Raises:
        ConfigError: an unknown word, or a number out of its range.
    """

    way: Literal["dense", "crops"] = "dense"
    sizes: tuple[float, ...] = (0.15, 0.3, 0.6, 0.9)
    aspects: tuple[float, ...] = (0.5, 1.0, 2.0)
    step: float = 0.5
    pixels: int = 0
    overlap: float = 0.5
    most_boxes: int = 100

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            fix = did_you_mean(str(self.way), WAYS)
            raise ConfigError(f"no way '{self.way}'", expected=", ".join(WAYS), found=str(self.way), fix=fix)
        bounds = [("sizes", one, 1.0) for one in self.sizes] + [("aspects", one, 10.0) for one in self.aspects]
        bounds += [("step", self.step, 1.0), ("overlap", self.overlap, 1.0), ("pixels", self.side, 1024)]
        for name, value, most in [*bounds, ("most_boxes", self.most_boxes, 1000)]:
            if not 0 < value <= most:
                raise ConfigError(f"{name} is out of its range", expected=f"above 0, up to {most:g}", found=str(value))
        if not self.sizes or not self.aspects:
            raise ConfigError("no windows", expected="one size and one aspect or more", found="none")

    @property
    def side(self) -> int:
        """``pixels``, or what is usual for the way."""
        return self.pixels or {"dense": 2, "crops": 64}[self.way]
