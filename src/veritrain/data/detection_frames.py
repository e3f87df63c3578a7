"""Images with boxes as a training set: letterboxed, moved by (seed, epoch, index), labels as given or spoilt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veritrain.data.detection_sample import DetectionKey, DetectionSample, FrameLabels
from veritrain.data.held import exchanged_groups
from veritrain.data.letterbox import GREY, STRIDE, Placement, bilinear, overlap, place
from veritrain.data.options import Hold, ImageChanges
from veritrain.data.sample import UNKNOWN
from veritrain.data.spoilt import Labels, Redraw
from veritrain.errors import UsageError

LEAST_SIDE = 2.0
"""Pixels: a box that a shift leaves narrower is left out."""
LEAST_SHARE = 0.1
"""Of its area that a shifted box must keep inside the letterbox."""


class DetectionSource(Protocol):
    """Where images and labels are read: :class:`veritrain.data.detection_cache.CachedDetections`."""

    def read(self, key: DetectionKey) -> DetectionSample: ...

    def labels(self, key: DetectionKey) -> FrameLabels: ...

    def stored_size(self, key: DetectionKey) -> tuple[int, int]: ...


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How one sample differs from its letterboxed image: what ``draw_move`` drew.

    Attributes:
        flip: left to right. zoom: factor of the size. across, down: shift as shares of the letterbox. light: factor.
    """

    flip: bool = False
    zoom: float = 1.0
    across: float = 0.0
    down: float = 0.0
    light: float = 1.0


UNMOVED = Moved()


def draw_move(changes: ImageChanges, *, seed: int, epoch: int, index: int) -> Moved:
    """What the changes are for one sample: a pure function of the four."""
    if changes == ImageChanges():
        return UNMOVED
    rng = np.random.default_rng((seed, epoch, index, 15485863))
    flip, zoom, across, down, light = rng.random(5)
    return Moved(
        flip=bool(flip < changes.flip),
        zoom=1 + changes.zoom * (2 * zoom - 1),
        across=changes.shift * (2 * across - 1),
        down=changes.shift * (2 * down - 1),
        light=1 + changes.light * (2 * light - 1),
    )


def letterbox_shape(sizes: Iterable[tuple[int, int]], longest: int) -> tuple[int, int]:
    """The smallest (height, width), multiples of 32, that holds every image scaled to a longer side of ``longest``.

    Args:
        sizes: (width, height) of the stored images, in pixels.
        longest: pixels of the longer side.
    """
    scaled = {place((height, width), (longest, longest)).scaled for width, height in set(sizes)}
    height, width = (-(-max(sides) // STRIDE) * STRIDE for sides in zip(*scaled, strict=True))
    return height, width


class DetectionFrames:
    """Images of one split with their boxes and their view.

    Args:
        source: where they are read. keys: which, in the order of the split.
        shape: (height, width) of the letterbox. classes, views: how many there are.
        labels: "given"; "permuted" (whole groups exchange their label sequences, boxes and view together, a control);
            "redrawn" (new random labels at every read: a fault, kept to be caught).
        label_seed: which permutation.
        changes: what is drawn for each sample by (seed, epoch, index).
        hold: "memory" keeps what was read once, "disk" keeps nothing. The bits are the same.

    A sample holds ``image`` (3, H, W) uint8, ``boxes`` (n, 4) float32 centre and size in shares of the letterbox,
    ``classes`` (n,) int64, ``view`` int64 (-1 unknown), ``placed`` (6,) int64 (height and width of the stored image,
    of the scaled one, rows above it, columns left of it) and ``index``.
    """

    def __init__(
        self,
        source: DetectionSource,
        keys: Sequence[DetectionKey],
        shape: tuple[int, int],
        *,
        classes: int,
        views: int,
        labels: Labels = "given",
        label_seed: int = 0,
        changes: ImageChanges | None = None,
        hold: Hold = "memory",
    ) -> None:
        self.source, self.keys, self.shape = source, list(keys), shape
        self.classes, self.views = classes, views
        self.labels, self.hold = labels, hold
        self.changes = changes or ImageChanges()
        self._donor = exchanged_groups(self.keys, label_seed) if labels == "permuted" else None
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._redraw = Redraw()

    def __len__(self) -> int:
        return len(self.keys)

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        """Arrays of one image; the same arguments give the same bits (unless labels are redrawn)."""
        move = draw_move(self.changes, seed=seed, epoch=epoch, index=index)
        placed = self._placed(index, move)
        image = self._image(index, placed, move)
        boxes, classes, view = self.labels_at(index)
        boxes, classes = _moved(boxes, classes, placed, move)
        where = (*placed.original, *placed.scaled, placed.top, placed.left)
        return {
            "image": image,
            "boxes": boxes,
            "classes": classes,
            "view": np.int64(view),
            "placed": np.array(where, np.int64),
            "index": np.int64(index),
        }

    def labels_at(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        """Boxes (n, 4) centre and size in shares of the stored image, classes (n,), view; as this set has them."""
        if self.labels == "redrawn":
            return self._drawn()
        found = self.source.labels(self.keys[index if self._donor is None else self._donor[index]])
        return found.boxes, found.classes, found.view

    def with_permuted_labels(self, label_seed: int) -> Self:
        """The same images with labels exchanged between groups."""
        twin = self._again(labels="permuted", label_seed=label_seed, changes=self.changes)
        twin.share_images_with(self)
        return twin

    def with_given_labels(self) -> Self:
        """The same images, unmoved, with their own labels: what baselines are fitted on."""
        return self._again()

    def _again(self, **chosen: Any) -> Self:
        """A set of the same images with other options."""
        return type(self)(
            self.source, self.keys, self.shape, classes=self.classes, views=self.views, hold=self.hold, **chosen
        )

    def share_images_with(self, other: DetectionFrames) -> None:
        """Keep what is read once for both.

        Raises:
            UsageError: the other set is of other images, or of another shape.
        """
        if (self.keys, self.shape) != (other.keys, other.shape):
            raise UsageError("only sets of the same images can share them", found=f"{len(self)} and {len(other)}")
        self._kept = other._kept

    def label_of(self, index: int) -> bytes:
        """All labels of one image as training reads them, as bytes that can be compared."""
        boxes, classes, view = self.labels_at(index)
        return boxes.tobytes() + classes.tobytes() + np.int64(view).tobytes()

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """A batch: ``image`` (B, 3, H, W) float32 in [0, 1], ``targets`` (T, 6) as the loss reads them, ``view`` (B,),
        ``placed`` (B, 6), ``index`` (B,)."""
        return self.unpack(self.pack(samples))

    def pack(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """As :meth:`collate`, with images still uint8: a quarter of the bytes to send to a device."""
        batch = {
            key: torch.from_numpy(np.stack([sample[key] for sample in samples]))
            for key in ("image", "view", "placed", "index")
        }
        rows = [
            np.concatenate((np.full((len(one["boxes"]), 1), place), one["classes"][:, None], one["boxes"]), axis=1)
            for place, one in enumerate(samples)
        ]
        batch["targets"] = torch.from_numpy(np.concatenate(rows).astype(np.float32))
        return batch

    def unpack(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A packed batch as the network reads it, on whatever device it is."""
        return {**batch, "image": shares_of_white(batch["image"])}

    def _placed(self, index: int, move: Moved) -> Placement:
        width, height = self.source.stored_size(self.keys[index])
        placed = place((height, width), self.shape)
        if move == UNMOVED:
            return placed
        rows, columns = (max(round(side * move.zoom), 1) for side in placed.scaled)
        return replace(
            placed,
            scaled=(rows, columns),
            top=round((self.shape[0] - rows) / 2 + move.down * self.shape[0]),
            left=round((self.shape[1] - columns) / 2 + move.across * self.shape[1]),
        )

    def _image(self, index: int, placed: Placement, move: Moved) -> NDArray[np.uint8]:
        """(3, H, W); without changes the finished letterbox is kept, else the image that it is made of."""
        kept = self._kept.get(index)
        plain = self.changes == ImageChanges()
        if kept is None:
            read = self.source.read(self.keys[index]).image
            kept = _boxed(bilinear(read, placed.scaled), placed) if plain else read
            if self.hold == "memory":
                self._kept[index] = kept
        if plain:
            return kept
        image = bilinear(kept, placed.scaled)
        if move.light != 1:
            image = np.clip(image * np.float32(move.light), 0, 255).astype(np.uint8)
        boxed = _boxed(image, placed)
        return np.ascontiguousarray(boxed[:, :, ::-1]) if move.flip else boxed

    def _drawn(self) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
        random = self._redraw.generator()
        sides = random.uniform(0.1, 0.4, 2)
        box = np.concatenate((random.uniform(0.2, 0.8, 2), sides)).astype(np.float32)[None]
        view = int(random.integers(self.views)) if self.views else UNKNOWN
        return box, random.integers(self.classes, size=1), view


def _boxed(image: NDArray[np.uint8], placed: Placement) -> NDArray[np.uint8]:
    """(3, H, W): the scaled image in its letterbox; what a shift moves out of it is cut off."""
    full = np.full((*placed.full, 3), GREY, np.uint8)
    rows, columns = (
        overlap(start, side, whole)
        for start, side, whole in zip((placed.top, placed.left), placed.scaled, placed.full, strict=True)
    )
    full[rows[0], columns[0]] = image[rows[1], columns[1]]
    return np.ascontiguousarray(full.transpose(2, 0, 1))


def _moved(
    boxes: NDArray[np.float32], classes: NDArray[np.int64], placed: Placement, move: Moved
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Boxes in shares of the stored image -> in shares of the letterbox; those that a move cut away are left out."""
    size = np.array([placed.original[1], placed.original[0]] * 2, np.float64)
    full = np.array([placed.full[1], placed.full[0]] * 2, np.float64)
    centre, half = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64) / 2
    corners = placed.into(np.concatenate((centre - half, centre + half), axis=1) * size)
    if move.flip:
        corners[:, [0, 2]] = full[0] - corners[:, [2, 0]]
    cut = np.clip(corners, 0, full)
    if move != UNMOVED:
        sides = cut[:, 2:] - cut[:, :2]
        before = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
        stays = (sides >= LEAST_SIDE).all(axis=1) & (sides.prod(axis=1) >= LEAST_SHARE * before)
        cut, classes = cut[stays], classes[stays]
    shares = cut / full
    found = np.concatenate(((shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]), axis=1)
    return found.astype(np.float32), classes


def placement_of(placed: Sequence[int], full: tuple[int, int]) -> Placement:
    """The placement of a sample from its six numbers and the (height, width) of the letterbox."""
    height, width, rows, columns, top, left = (int(number) for number in placed)
    return Placement(original=(height, width), scaled=(rows, columns), left=left, top=top, full=full)


def shares_of_white(images: Tensor) -> Tensor:
    """uint8 0 to 255 -> float32 in [0, 1], the same bits on every device: the divisor lies on the device."""
    return images.to(torch.float32).div_(torch.full((), 255.0, device=images.device))


class ExchangedImages:
    """A set in which the image comes from another group's frame; labels and the rest stay.

    Args:
        frames: the set. seed: which exchange.
    """

    def __init__(self, frames: DetectionFrames, *, seed: int = 0) -> None:
        self.frames = frames
        self._donor = exchanged_groups(frames.keys, seed)

    def __len__(self) -> int:
        return len(self.frames)

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        own = self.frames.sample(index, epoch=epoch, seed=seed)
        other = self.frames.sample(self._donor[index], epoch=epoch, seed=seed)
        return {**own, "image": other["image"]}

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return self.frames.collate(samples)
