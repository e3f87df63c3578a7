"""What one image with boxes is, whatever format it lay in on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from veritrain.data.sample import FrameKey


@dataclass(frozen=True, kw_only=True)
class DetectionKey(FrameKey):
    """Where an image sits in its data set, without decoding it.

    Attributes:
        id: path of the image below the data set, with "/" and without its ending; unique in the data set.
        group: the patient or the scene; where nobody says it, the video, a block of ids or the image itself.
        kind: most frequent class name of the group ("none" without any); never an input of a model.
        index: 0-based position of the image inside its group (sorted by id).
        video: the recording; unique in the data set. The group where no name says so.
        frame: number of the frame inside its video; -1 where no name says so.
        published: the data set's own part that holds it, "train", "val" or "test" (the first that does); "" without.
    """

    video: str
    frame: int
    published: str


@dataclass(frozen=True, kw_only=True)
class FrameLabels:
    """The labels of one image, checked.

    Attributes:
        boxes: (n, 4) float32 centre x, centre y, width, height in shares of the image's width and height; n may be 0.
        classes: (n,) int64 from 0.
        view: number of the view from 0; UNKNOWN (-1) where the file names none.
        lines: 1-based line of each box in its file; its place in the list where a file has no lines (COCO's JSON).
        polygons: how many of the boxes are the extent of a polygon.
        repeated: 1-based lines that repeat an earlier line's class and box and are no box of their own.
        objects: objects of the file, those repeated among them and those left out by themselves.
        crowd: (n,) bool, boxes that stand for many objects and are matched without being demanded; None where no
            format says such a thing.
        corners: (n, 4, 2) float32 x, y in shares of the image, clockwise from the left top, of oriented boxes, whose
            ``boxes`` are the extent inside the image; None of horizontal ones.
    """

    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    view: int
    lines: tuple[int, ...]
    polygons: int
    repeated: tuple[int, ...]
    objects: int
    crowd: NDArray[np.bool_] | None = None
    corners: NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class DetectionSample:
    """One image with its boxes and its view.

    Attributes:
        id: as :class:`DetectionKey`.
        group: the patient or the scene, what must not be split.
        video: the recording.
        image: (H, W, 3) uint8 RGB, at its stored size unless the options asked for a smaller one.
        boxes: (n, 4) float32 centre x, centre y, width, height in shares of the image's width and height.
        classes: (n,) int64.
        view: number of the view, UNKNOWN (-1) where none is given.
        width: pixels of the stored image.
        height: pixels of the stored image.
    """

    id: str
    group: str
    video: str
    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int64]
    view: int
    width: int
    height: int


class BoxedSource(Protocol):
    """What every format of images with boxes gives, and every cache of one."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def views(self) -> tuple[str, ...]: ...

    @property
    def group_name(self) -> str:
        """What must not be split, in a word: "patient" or "scene"."""
        ...

    def keys(self) -> list[DetectionKey]: ...

    def labels(self, key: DetectionKey) -> FrameLabels: ...

    def read(self, key: DetectionKey) -> DetectionSample: ...
