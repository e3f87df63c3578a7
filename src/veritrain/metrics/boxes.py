"""Boxes of many images in flat arrays: what was detected, what is true, and how much two boxes overlap.

A box is (x1, y1, x2, y2): left, top, right, bottom, continuous coordinates, all images of a set in the same unit
(pixels of the frame the labels are for; areas mean nothing in normalised ones). Box i belongs to image ``images[i]``,
so that a set of any size is four arrays and no list of lists.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Truths:
    """The labelled objects of a set of images, in any order; input order is kept where order matters.

    Attributes:
        images: (M,) 0-based image of each object.
        boxes: (M, 4) x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.
        classes: (M,) 0-based class.
        crowds: (M,) bool, COCO's ``iscrowd``: a region of many objects that need not be found; a detection overlaps it
            by the share of the *detection* that lies in it, and any number of detections may. None: none.
        ignored: (M,) bool, objects that need not be found (VOC's ``difficult``). None: none.
        areas: (M,) squared units of the boxes, by which size classes go (COCO: of the mask). None: the boxes' own.

    Raises:
        UsageError: lengths differ, a number is not finite, a box is turned inside out, an index is negative.
    """

    images: Integers
    boxes: Floats
    classes: Integers
    crowds: Flags | None = None
    ignored: Flags | None = None
    areas: Floats | None = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes, np.float64).reshape(-1, 4)
        for name, values in (("images", self.images), ("classes", self.classes)):
            object.__setattr__(self, name, _indices(name, values, len(boxes)))
        _check_boxes(boxes)
        object.__setattr__(self, "boxes", boxes)
        for name, kind in (("crowds", np.bool_), ("ignored", np.bool_), ("areas", np.float64)):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, _beside(name, given, kind, len(boxes)))

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def need_not_be_found(self) -> Flags:
        """(M,) crowds and ignored objects."""
        free = np.zeros(len(self), bool)
        for flags in (self.crowds, self.ignored):
            free = free if flags is None else free | flags
        return free

    @property
    def own_areas(self) -> Floats:
        """(M,) the given areas, else those of the boxes."""
        return box_areas(self.boxes) if self.areas is None else self.areas

    def taken(self, rows: NDArray[Any], images: ArrayLike | None = None) -> Truths:
        """The objects of these rows (indices or bools), in that order; ``images`` gives them other images."""

        def of(values: NDArray[Any] | None) -> Any:
            return None if values is None else values[rows]

        own = self.images[rows] if images is None else np.asarray(images, np.int64)
        return Truths(own, self.boxes[rows], self.classes[rows], of(self.crowds), of(self.ignored), of(self.areas))


@dataclass(frozen=True)
class Detections:
    """The predicted objects of a set of images; of equal scores in one image the one given first counts as higher.

    Attributes:
        images, boxes, classes: as :class:`Truths`, (D,), (D, 4), (D,).
        scores: (D,) finite, higher is surer.

    Raises:
        UsageError: as :class:`Truths`.
    """

    images: Integers
    boxes: Floats
    scores: Floats
    classes: Integers

    def __post_init__(self) -> None:
        plain = Truths(self.images, self.boxes, self.classes)
        scores = np.asarray(self.scores, np.float64)
        if scores.shape != (len(plain),):
            raise UsageError("scores do not fit the boxes", expected=f"({len(plain)},)", found=f"shape {scores.shape}")
        if not np.isfinite(scores).all():
            raise UsageError(
                f"{int(np.count_nonzero(~np.isfinite(scores)))} of {scores.size} detection scores are not finite",
                fix="find out what produced them; a model that outputs NaN has no ranking",
            )
        object.__setattr__(self, "images", plain.images)
        object.__setattr__(self, "boxes", plain.boxes)
        object.__setattr__(self, "classes", plain.classes)
        object.__setattr__(self, "scores", scores)

    def __len__(self) -> int:
        return len(self.boxes)

    def taken(self, rows: NDArray[Any]) -> Detections:
        """The detections of these rows (indices or bools), in that order."""
        return Detections(self.images[rows], self.boxes[rows], self.scores[rows], self.classes[rows])


def images_of_counts(counts: ArrayLike) -> Integers:
    """(N,) boxes per image -> (sum,) image of each box, for boxes stored image after image."""
    each = np.asarray(counts, np.int64)
    return np.repeat(np.arange(each.size), each)


def box_areas(boxes: ArrayLike) -> Floats:
    """(N, 4) -> (N,) width times height, in squared units of the boxes."""
    corners = np.asarray(boxes, np.float64)
    return np.asarray((corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1]))


def paired_iou(first: ArrayLike, second: ArrayLike, *, crowds: Flags | None = None) -> Floats:
    """(N, 4) and (N, 4) -> (N,) intersection over union of box i and box i, 0..1; 0 where they only touch.

    The order of operations is pycocotools' (intersection / (area + area - intersection)), so that a pair whose overlap
    is exactly a threshold falls on the same side of it. Where ``crowds`` (N,) says that the second box is a crowd
    region, it is the intersection over the area of the first box.
    """
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    shared = np.where((width > 0) & (height > 0), width * height, 0.0)
    union = box_areas(a) + box_areas(b) - shared
    if crowds is not None:
        union = np.where(crowds, box_areas(a), union)
    return np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)


def every_iou(first: ArrayLike, second: ArrayLike) -> Floats:
    """(N, 4) and (M, 4) -> (N, M) intersection over union of each box with each."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    rows, columns = np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))
    return paired_iou(rows, columns).reshape(len(a), len(b))


def _indices(name: str, values: ArrayLike, count: int) -> Integers:
    given = np.asarray(values)
    if given.shape != (count,) or (given.size and given.dtype.kind not in "iu"):
        raise UsageError(
            f"{name} do not fit the boxes", expected=f"({count},) integers", found=f"{given.shape} {given.dtype}"
        )
    if given.size and given.min() < 0:
        raise UsageError(f"{name} count from 0", expected="0 or more", found=str(given.min()))
    return given.astype(np.int64)


def _beside(name: str, values: ArrayLike, kind: type[Any], count: int) -> NDArray[Any]:
    """Flags or areas of the boxes; flags must be bools, because 0 and 1 could be indices."""
    given = np.asarray(values)
    fits = given.shape == (count,) and (kind is not np.bool_ or not count or given.dtype == np.bool_)
    if not fits or (kind is np.float64 and not (np.isfinite(given).all() and (given >= 0).all())):
        what = "bools" if kind is np.bool_ else "finite numbers from 0"
        raise UsageError(
            f"{name} do not fit the boxes", expected=f"({count},) {what}", found=f"{given.shape} {given.dtype}"
        )
    return given.astype(kind)


def _check_boxes(boxes: Floats) -> None:
    right = np.isfinite(boxes).all(axis=1) & (boxes[:, 0] <= boxes[:, 2]) & (boxes[:, 1] <= boxes[:, 3])
    if not right.all():
        row = int(np.argmin(right))
        raise UsageError(
            f"{int(np.count_nonzero(~right))} of {len(boxes)} boxes are no boxes",
            expected="finite x1 <= x2, y1 <= y2",
            found=f"box {row}: {boxes[row].tolist()}",
            fix="convert from x, y, width, height first",
        )
