"""Letterboxing: an image scaled into a given shape without distortion, grey where it does not reach; boxes with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import DataError

GREY = 114
STRIDE = 32
BLOCK = 32
"""Rows resized at once: as much as stays in a processor's cache."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where an image lies in its letterbox. Sizes are (height, width) in pixels.

    Attributes:
        original: size of the image as stored.
        scaled: size after scaling, rounded to whole pixels.
        left, top: pixels of grey before it.
        full: size of the letterbox.
    """

    original: tuple[int, int]
    scaled: tuple[int, int]
    left: int
    top: int
    full: tuple[int, int]

    def into(self, corners: NDArray[Any]) -> NDArray[np.float64]:
        """(N, 4) left, top, right, bottom in pixels of the image -> of the letterbox."""
        return np.asarray(corners, dtype=np.float64) * self._scale() + self._shift()

    def back(self, corners: NDArray[Any]) -> NDArray[np.float64]:
        """(N, 4) left, top, right, bottom in pixels of the letterbox -> of the image, cut at its borders."""
        height, width = self.original
        found = (np.asarray(corners, dtype=np.float64) - self._shift()) / self._scale()
        return np.clip(found, 0.0, np.array([width, height, width, height], dtype=np.float64))

    def _scale(self) -> NDArray[np.float64]:
        """Of the pixels as they are after rounding, so that a box stays on what it was drawn around."""
        down, across = (new / old for new, old in zip(self.scaled, self.original, strict=True))
        return np.array([across, down, across, down])

    def _shift(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], dtype=np.float64)


def place(
    original: tuple[int, int],
    shape: tuple[int, int],
    *,
    upscale: bool = True,
    auto: bool = False,
    stride: int = STRIDE,
) -> Placement:
    """Where an image of ``original`` size goes in ``shape``; both (height, width) in pixels.

    The ratio is the smaller one of the two sides. What is left over is split in two; half a pixel goes to the right and
    to the bottom.

    Args:
        upscale: let a small image grow; without it only shrink.
        auto: leave over no more than it takes to make both sides multiples of ``stride``: the letterbox is then smaller
            than ``shape``.

    Raises:
        DataError: a side below 1.
    """
    if min(*original, *shape) < 1:
        raise DataError("no letterbox without pixels", expected="sides of at least 1", found=f"{original} in {shape}")
    ratio = min(shape[0] / original[0], shape[1] / original[1])
    ratio = ratio if upscale else min(ratio, 1.0)
    scaled = (max(round(original[0] * ratio), 1), max(round(original[1] * ratio), 1))
    spare = (shape[0] - scaled[0], shape[1] - scaled[1])
    if auto:
        spare = (spare[0] % stride, spare[1] % stride)
    return Placement(
        original=original,
        scaled=scaled,
        left=round(spare[1] / 2 - 0.1),
        top=round(spare[0] / 2 - 0.1),
        full=(scaled[0] + spare[0], scaled[1] + spare[1]),
    )


def letterbox(
    image: NDArray[np.uint8],
    shape: tuple[int, int],
    *,
    upscale: bool = True,
    auto: bool = False,
    stride: int = STRIDE,
) -> tuple[NDArray[np.uint8], Placement]:
    """The image in its letterbox, (H, W) or (H, W, C) uint8, with grey 114 around it, and where it lies.

    Arguments and errors as :func:`place`.
    """
    height, width = image.shape[:2]
    placed = place((height, width), shape, upscale=upscale, auto=auto, stride=stride)
    full = np.full((*placed.full, *image.shape[2:]), GREY, dtype=np.uint8)
    rows, columns = placed.scaled
    full[placed.top : placed.top + rows, placed.left : placed.left + columns] = bilinear(image, placed.scaled)
    return full, placed


def overlap(start: int, side: int, whole: int) -> tuple[slice, slice]:
    """Where ``side`` pixels that begin at ``start`` meet ``whole`` pixels: in the whole, and in the part."""
    low, high = max(start, 0), min(start + side, whole)
    return slice(low, max(high, low)), slice(low - start, max(high, low) - start)


def bilinear(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) or (H, W, C) uint8 resized to ``size`` (rows, columns) by the four pixels around each place.

    Pixel centres are at half pixels, borders repeat, and shrinking averages no more than those four: within one grey
    level of OpenCV's INTER_LINEAR.
    """
    if image.shape[:2] == size:
        return image.copy()
    rows, columns = size
    flat = image.reshape(image.shape[0], -1)
    channels = flat.shape[1] // image.shape[1]
    top, bottom, down = _taps(image.shape[0], rows)
    near, far, across = _taps(image.shape[1], columns)
    near, far = ((taps[:, None] * channels + np.arange(channels)).ravel() for taps in (near, far))
    across = np.repeat(across, channels)
    out = np.empty((rows, columns * channels), dtype=np.uint8)
    for start in range(0, rows, BLOCK):
        block = slice(start, start + BLOCK)
        upper, lower = flat[top[block]].astype(np.float32), flat[bottom[block]].astype(np.float32)
        upper += (lower - upper) * down[block, None]
        left, right = np.take(upper, near, axis=1), np.take(upper, far, axis=1)
        left += (right - left) * across
        out[block] = np.rint(left)
    return out.reshape(rows, columns, *image.shape[2:])


def _taps(before: int, after: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each new pixel the two old ones around its centre, and the share of the second in [0, 1)."""
    centre = (np.arange(after) + 0.5) * (before / after) - 0.5
    centre = np.clip(centre, 0, before - 1)
    low = np.floor(centre).astype(np.intp)
    return low, np.minimum(low + 1, before - 1), (centre - low).astype(np.float32)
