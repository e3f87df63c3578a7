"""Other looks at the same ground: the pixels of a letterboxed image and its boxes move together.

What is done to a sample is a :class:`Change`, drawn from (seed, epoch, index) alone. Every step on pixels is a
:class:`Motion`: mirrored, turned, cut, scaled and put down; a mosaic is four of them on one canvas. Boxes are cut at
what is seen of their image, and an object that is seen too little of has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.data.letterbox import GREY, bilinear, overlap
from veritrain.data.options import BoxChanges

LEAST_SIDE = 2.0
"""Pixels: what is seen of an object less wide or high than this has no box."""
LEAST_CROP = 0.5
"""Of each side that a cut keeps at least."""
CHANNEL_SHARE = 0.25
"""Of the change of brightness by which single colours change."""
MIDDLE = (0.4, 0.6)
"""Where the four images of a mosaic meet, in shares of its height and width."""

Floats = NDArray[np.float64]
Image = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One image of a sample. ``turns``: quarter turns against the clock, after the mirroring."""

    index: int
    flip: bool = False
    turns: int = 0


@dataclass(frozen=True, kw_only=True)
class Change:
    """What is done to one sample in one epoch.

    Attributes:
        pieces: its image; four of them are a mosaic, in the order of reading.
        meet: where those meet: shares of the height and the width.
        window: top, left, height and width that are kept, in shares.
        scale: factor of the size, after what is kept fits.
        down, across: 0 to 1, where it lies in the room that it leaves, or which part of it is seen.
        brightness, contrast: factors of the image, and about its mean. channels: factors of red, green and blue.
    """

    pieces: tuple[Piece, ...]
    meet: tuple[float, float] = (0.5, 0.5)
    window: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    scale: float = 1.0
    down: float = 0.5
    across: float = 0.5
    brightness: float = 1.0
    contrast: float = 1.0
    channels: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @property
    def recolours(self) -> bool:
        return (self.brightness, self.contrast, *self.channels) != (1.0,) * 5

    @property
    def reframes(self) -> bool:
        return self.window != (0.0, 0.0, 1.0, 1.0) or self.scale != 1.0


def draw_change(changes: BoxChanges, count: int, *, seed: int, epoch: int, index: int) -> Change:
    """A pure function of its arguments.

    Args:
        count: samples of the set, of which a mosaic takes three more.
    """
    if not changes.any:
        return Change(pieces=(Piece(index=index),))
    rng = np.random.default_rng((seed, epoch, index, 32452843))
    mosaic = bool(rng.random() < changes.mosaic)
    others = rng.integers(count, size=3).tolist()
    flips, turned = rng.random(4) < changes.flip, rng.random(4) < changes.turn
    turns = rng.integers(1, 4, size=4) * turned
    pieces = tuple(
        Piece(index=place, flip=bool(flip), turns=int(turn))
        for place, flip, turn in zip((index, *others), flips, turns, strict=True)
    )
    cut, sides, where = bool(rng.random() < changes.crop), rng.uniform(LEAST_CROP, 1.0, 2), rng.random(2)
    top, left = (where * (1 - sides)).tolist()
    down, across = rng.random(2).tolist()
    meet = rng.uniform(*MIDDLE, 2).tolist()
    scale = 1 + changes.scale * rng.uniform(-1.0, 1.0)
    brightness, contrast, *channels = (rng.uniform(-1.0, 1.0, 5) * changes.colour).tolist()
    red, green, blue = (1 + CHANNEL_SHARE * one for one in channels)
    return Change(
        pieces=pieces if mosaic else pieces[:1],
        meet=(meet[0], meet[1]) if mosaic else (0.5, 0.5),
        window=(top, left, float(sides[0]), float(sides[1])) if cut else (0.0, 0.0, 1.0, 1.0),
        scale=float(scale),
        down=down if scale != 1 else 0.5,
        across=across if scale != 1 else 0.5,
        brightness=1 + brightness,
        contrast=1 + contrast,
        channels=(red, green, blue),
    )


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Where the pixels of an image go: mirrored, turned, cut to a window, scaled, put down.

    Attributes:
        before: (height, width) of the image.
        flip: left to right. turns: quarter turns against the clock, after the mirroring.
        window: top, left, height, width that are kept of the turned image, in pixels.
        scaled: (height, width) that the window then has.
        top, left: where it is put down; below 0 its beginning is not seen.
    """

    before: tuple[int, int]
    flip: bool
    turns: int
    window: tuple[int, int, int, int]
    scaled: tuple[int, int]
    top: int
    left: int

    def into(self, corners: NDArray[Any]) -> Floats:
        """(N, 4) left, top, right, bottom in pixels of the image -> where they lie then, uncut."""
        found = np.asarray(corners, np.float64)
        if self.flip:
            found = _mirrored(found, self.before[1])
        found = _turned(found, self.before, self.turns)
        return (found - self._corner()) * self._scale() + np.array([self.left, self.top] * 2)

    def back(self, corners: NDArray[Any]) -> Floats:
        """The way back of :meth:`into`."""
        found = np.asarray(corners, np.float64) - np.array([self.left, self.top] * 2)
        found = found / self._scale() + self._corner()
        found = _turned(found, _after(self.before, self.turns), -self.turns)
        return _mirrored(found, self.before[1]) if self.flip else found

    def seen(self, full: tuple[int, int]) -> Floats:
        """(4,) left, top, right, bottom of what is seen of the image on a canvas of (height, width) ``full``."""
        ends = min(self.left + self.scaled[1], full[1]), min(self.top + self.scaled[0], full[0])
        return np.array([max(self.left, 0), max(self.top, 0), *ends], np.float64)

    def paint(self, image: Image, canvas: Image) -> None:
        """Puts the image (h, w, 3) down on the canvas (H, W, 3)."""
        turned = np.rot90(image[:, ::-1] if self.flip else image, self.turns)
        top, left, height, width = self.window
        part = bilinear(np.ascontiguousarray(turned[top : top + height, left : left + width]), self.scaled)
        rows, columns = (
            overlap(start, side, whole)
            for start, side, whole in zip((self.top, self.left), self.scaled, canvas.shape[:2], strict=True)
        )
        canvas[rows[0], columns[0]] = part[rows[1], columns[1]]

    def _scale(self) -> Floats:
        """Of the pixels as they are after rounding, so that a box stays on what it was drawn around."""
        down, across = self.scaled[0] / self.window[2], self.scaled[1] / self.window[3]
        return np.array([across, down, across, down])

    def _corner(self) -> Floats:
        return np.array([self.window[1], self.window[0]] * 2, np.float64)


def motions_of(change: Change, shape: tuple[int, int]) -> tuple[list[Motion], Motion | None]:
    """How each piece comes onto the canvas of (height, width) ``shape``, and what is then done to the canvas."""
    if len(change.pieces) == 1:
        piece = change.pieces[0]
        return [_fitted(shape, shape, change, flip=piece.flip, turns=piece.turns)], None
    quarters = _quarters(change.meet, shape)
    pieces = [_covering(shape, one, quarter) for one, quarter in zip(change.pieces, quarters, strict=True)]
    return pieces, _fitted(shape, shape, change, flip=False, turns=0) if change.reframes else None


def changed(
    change: Change, samples: Sequence[Mapping[str, Any]], least_visible: float
) -> tuple[Image, NDArray[np.float32], NDArray[np.int64]]:
    """The samples of a change as one.

    Args:
        change: with as many pieces as there are samples.
        samples: each with ``image`` (3, H, W) uint8, ``boxes`` (n, 4) centre and size in shares of it, ``classes``
            (n,); all of one size.
        least_visible: share of its area that an object must keep.

    Returns:
        image (3, H, W) uint8, boxes (m, 4) float32 centre and size in shares of it, at least ``LEAST_SIDE`` pixels
        wide and high and inside, and classes (m,).
    """
    shape = (samples[0]["image"].shape[1], samples[0]["image"].shape[2])
    motions, last = motions_of(change, shape)
    canvas = np.full((*shape, 3), GREY, np.uint8)
    boxes, classes = [], []
    for motion, sample in zip(motions, samples, strict=True):
        motion.paint(sample["image"].transpose(1, 2, 0), canvas)
        found, kept = _kept(_corners(sample["boxes"], shape), motion, last, shape, least_visible)
        boxes.append(found)
        classes.append(sample["classes"][kept])
    if last is not None:
        whole, canvas = canvas, np.full_like(canvas, GREY)
        last.paint(whole, canvas)
    if change.recolours:
        canvas = recoloured(canvas, change)
    image = np.ascontiguousarray(canvas.transpose(2, 0, 1))
    return image, _shares(np.concatenate(boxes), shape), np.concatenate(classes)


def recoloured(image: Image, change: Change) -> Image:
    """(H, W, 3): contrast about the mean, then brightness and colours as factors; a table of 256 values a colour."""
    mean = float(image.mean())
    values = ((np.arange(256) - mean) * change.contrast + mean) * change.brightness
    tables = np.clip(np.rint(np.outer(change.channels, values)), 0, 255).astype(np.uint8)
    return np.stack([table[image[..., place]] for place, table in enumerate(tables)], axis=2)


def _kept(
    corners: Floats, motion: Motion, last: Motion | None, shape: tuple[int, int], least_visible: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Boxes where they lie in the end, cut, of the objects that are seen enough of, and which those are."""
    whole = motion.into(corners)
    cut = _cut(whole, motion.seen(shape))
    if last is not None:
        whole, cut = last.into(whole), _cut(last.into(cut), last.seen(shape))
    sides = np.maximum(cut[:, 2:] - cut[:, :2], 0)
    area = (whole[:, 2:] - whole[:, :2]).prod(axis=1)
    # Half a millionth: an object that is seen whole keeps all of its area, whatever was rounded.
    enough = sides.prod(axis=1) >= (least_visible - 5e-7) * area
    kept = np.asarray((sides >= LEAST_SIDE).all(axis=1) & enough)
    return cut[kept], kept


def _cut(corners: Floats, seen: Floats) -> Floats:
    return np.clip(corners, np.tile(seen[:2], 2), np.tile(seen[2:], 2))


def _fitted(before: tuple[int, int], full: tuple[int, int], change: Change, *, flip: bool, turns: int) -> Motion:
    """The window of the turned image, as large as fits times the scale, where the change puts it."""
    height, width = _after(before, turns)
    top, left, tall, wide = change.window
    tall, wide = max(round(tall * height), 1), max(round(wide * width), 1)
    ratio = min(full[0] / tall, full[1] / wide) * change.scale
    scaled = (max(round(tall * ratio), 1), max(round(wide * ratio), 1))
    return Motion(
        before=before,
        flip=flip,
        turns=turns,
        window=(min(round(top * height), height - tall), min(round(left * width), width - wide), tall, wide),
        scaled=scaled,
        top=round(change.down * (full[0] - scaled[0])),
        left=round(change.across * (full[1] - scaled[1])),
    )


def _covering(before: tuple[int, int], piece: Piece, quarter: tuple[int, int, int, int]) -> Motion:
    """The middle of the turned image, as small as covers a quarter of the canvas (top, left, height, width)."""
    height, width = _after(before, piece.turns)
    ratio = max(quarter[2] / height, quarter[3] / width)
    tall, wide = min(round(quarter[2] / ratio), height), min(round(quarter[3] / ratio), width)
    return Motion(
        before=before,
        flip=piece.flip,
        turns=piece.turns,
        window=((height - tall) // 2, (width - wide) // 2, tall, wide),
        scaled=quarter[2:],
        top=quarter[0],
        left=quarter[1],
    )


def _quarters(meet: tuple[float, float], shape: tuple[int, int]) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width of each, in the order of reading."""
    row, column = round(meet[0] * shape[0]), round(meet[1] * shape[1])
    rows, columns = ((0, row), (row, shape[0] - row)), ((0, column), (column, shape[1] - column))
    return [(top, left, tall, wide) for top, tall in rows for left, wide in columns]


def _after(before: tuple[int, int], turns: int) -> tuple[int, int]:
    return (before[1], before[0]) if turns % 2 else before


def _mirrored(corners: Floats, width: int) -> Floats:
    return np.stack((width - corners[:, 2], corners[:, 1], width - corners[:, 0], corners[:, 3]), axis=1)


def _turned(corners: Floats, shape: tuple[int, int], turns: int) -> Floats:
    """Quarter turns against the clock of an image of (height, width) ``shape``, as ``numpy.rot90`` turns it."""
    for turn in range(turns % 4):
        width = shape[1] if turn % 2 == 0 else shape[0]
        corners = np.stack((corners[:, 1], width - corners[:, 2], corners[:, 3], width - corners[:, 0]), axis=1)
    return corners


def _corners(boxes: NDArray[np.float32], shape: tuple[int, int]) -> Floats:
    """Centre and size in shares -> left, top, right, bottom in pixels."""
    shares = boxes.astype(np.float64)
    found = np.concatenate((shares[:, :2] - shares[:, 2:] / 2, shares[:, :2] + shares[:, 2:] / 2), axis=1)
    return np.asarray(found * np.array([shape[1], shape[0]] * 2))


def _shares(corners: Floats, shape: tuple[int, int]) -> NDArray[np.float32]:
    found = corners / np.array([shape[1], shape[0]] * 2)
    return np.concatenate(((found[:, :2] + found[:, 2:]) / 2, found[:, 2:] - found[:, :2]), axis=1).astype(np.float32)
