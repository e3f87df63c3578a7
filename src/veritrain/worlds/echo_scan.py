"""A phased array: the fan of beams, speckle on it, and its conversion to pixels.

Speckle is the envelope of a correlated complex Gaussian field over beams and depth, so that its amplitude is Rayleigh
distributed and its grain wider the deeper it lies (Wagner, Smith, Sandrik and Lopez, "Statistics of speckle in
ultrasound B-scans", IEEE Trans. Sonics Ultrason. 30(3), 1983).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom

from veritrain.worlds.echo_shapes import Field

TOP = 0.02
"""Share of the image's height above the probe."""
REACH = 0.95
"""Share of the image's height from the probe to the deepest sample."""
NEAR = 2.0
"""Millimetres before the probe that are not shown."""
SPARE = 48
"""Samples by which a speckle field is larger than the fan, so that it can be cut at another place each frame."""


@dataclass(frozen=True, kw_only=True)
class Fan:
    """The beams of a recording and where their samples lie.

    Attributes:
        height: pixels of the image.
        width: pixels of the image.
        depth: millimetres from the probe to the deepest sample.
        half_angle: radians from the middle beam to the outermost.
        apex: column of the probe as a share of the image's width.
        grain: correlation length of speckle in samples, (depth, beams).
    """

    height: int
    width: int
    depth: float
    half_angle: float
    apex: float
    grain: tuple[float, float]

    @property
    def samples(self) -> int:
        return max(64, int(self.height * 0.9))

    @property
    def beams(self) -> int:
        return max(48, int(self.width * 0.4))

    @property
    def pixels_per_mm(self) -> float:
        return self.height * REACH / self.depth

    @cached_property
    def radius(self) -> Field:
        """(samples, 1) millimetres along a beam."""
        return np.linspace(NEAR, self.depth, self.samples, dtype=np.float32)[:, None]

    @cached_property
    def angle(self) -> Field:
        """(1, beams) radians, positive to the right."""
        return np.linspace(-self.half_angle, self.half_angle, self.beams, dtype=np.float32)[None, :]

    @cached_property
    def places(self) -> tuple[Field, Field]:
        """(samples, beams) millimetres to the right of the probe, and deep."""
        return self.radius * np.sin(self.angle), self.radius * np.cos(self.angle)

    @cached_property
    def pixels(self) -> _Pixels:
        """Pixels inside the fan and the samples around each."""
        row, column = np.mgrid[: self.height, : self.width].astype(np.float32)
        x = (column + 0.5 - self.apex * self.width) / self.pixels_per_mm
        z = (row + 0.5 - TOP * self.height) / self.pixels_per_mm
        radius, angle = np.hypot(x, z), np.arctan2(x, z)
        inside = (radius >= NEAR) & (radius <= self.depth) & (np.abs(angle) <= self.half_angle)
        along = (radius[inside] - NEAR) / (self.depth - NEAR) * (self.samples - 1)
        across = (angle[inside] / self.half_angle + 1) / 2 * (self.beams - 1)
        first = np.minimum(along.astype(np.int32), self.samples - 2)
        beam = np.minimum(across.astype(np.int32), self.beams - 2)
        return _Pixels(
            place=np.flatnonzero(inside).astype(np.int32),
            row=row[inside].astype(np.int32),
            column=column[inside].astype(np.int32),
            corner=first * self.beams + beam,
            down=along - first,
            over=across - beam,
            nearest=(np.rint(along).astype(np.int32) * self.beams + np.rint(across).astype(np.int32)),
        )

    def smooth(self, values: Field) -> Field:
        """(M,) of a (samples, beams) field at the pixels of the fan, bilinear."""
        pixels, flat = self.pixels, values.ravel()
        upper = flat[pixels.corner] * (1 - pixels.over) + flat[pixels.corner + 1] * pixels.over
        below = pixels.corner + self.beams
        lower = flat[below] * (1 - pixels.over) + flat[below + 1] * pixels.over
        return np.asarray(upper * (1 - pixels.down) + lower * pixels.down, np.float32)

    def to_pixel(self, x: float, z: float) -> tuple[float, float]:
        """(column, row) of a place in millimetres."""
        return x * self.pixels_per_mm + self.apex * self.width, z * self.pixels_per_mm + TOP * self.height


@dataclass(frozen=True)
class _Pixels:
    place: NDArray[np.int32]
    row: NDArray[np.int32]
    column: NDArray[np.int32]
    corner: NDArray[np.int32]
    down: Field
    over: Field
    nearest: NDArray[np.int32]


class Speckle:
    """Speckle of one recording: most of it stays with the tissue from frame to frame, the rest is new each time.

    Args:
        fan: its beams.
        rng: drawn from here, once.
        kept: share of the variance that stays.
    """

    def __init__(self, fan: Fan, rng: np.random.Generator, kept: float = 0.75) -> None:
        self._shape, self._kept = (fan.samples, fan.beams), kept
        size = (4, fan.samples + SPARE, fan.beams + SPARE)
        noise = rng.standard_normal(size, dtype=np.float32)
        field = gaussian_filter(noise, (0, *fan.grain), mode="wrap")
        self._fields = field / field.std()

    def intensity(self, moved: int, place: tuple[int, int]) -> Field:
        """(samples, beams) squared envelope of mean 1.

        Args:
            moved: samples by which the tissue has moved along the beams, 0 to SPARE - 1.
            place: where the changing part is cut, each 0 to SPARE - 1.
        """
        (rows, columns), (down, over) = self._shape, place
        staying = self._fields[:2, moved : moved + rows, SPARE // 2 : SPARE // 2 + columns]
        changing = self._fields[2:, down : down + rows, over : over + columns]
        both = np.float32(np.sqrt(self._kept)) * staying + np.float32(np.sqrt(1 - self._kept)) * changing
        return np.asarray((both[0] ** 2 + both[1] ** 2) / 2, np.float32)


def cloud(fan: Fan, rng: np.random.Generator, cells: tuple[int, int]) -> Field:
    """(samples, beams) smooth random field of about unit variance with ``cells`` (depth, beams) independent places."""
    coarse = rng.standard_normal((cells[0] + 3, cells[1] + 3)).astype(np.float32)
    fine = zoom(coarse, (fan.samples / cells[0], fan.beams / cells[1]), order=1)[: fan.samples, : fan.beams]
    return np.asarray(gaussian_filter(fine, (fan.samples / cells[0] / 3, fan.beams / cells[1] / 3)) * 1.6, np.float32)
