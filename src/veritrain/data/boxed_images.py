"""Images with boxes, whatever said where they are: what DIOR's XML and COCO's JSON have in common once they are read.

Annotations are read when the object is made, images when they are asked for. A set may lack images: its boxes can be
counted; training asks for :meth:`BoxedImages.demand_images`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from veritrain.data.detection_inventory import AnnotationError, DetectionInventory, FileProblem
from veritrain.data.detection_sample import DetectionKey, DetectionSample, FrameLabels
from veritrain.data.image_file import image_hash, read_image, smaller
from veritrain.data.options import BoxOptions
from veritrain.data.sample import UNKNOWN, unknown_key
from veritrain.errors import LayoutError

DECODER_VERSION = 1
"""Part of every cache key: raise it when the same files would give other samples."""
NAMED = 8
"""Missing images that a message names."""
MALFORMED = frozenset({"zero_area", "box_outside", "not_a_number", "crowd_unclear"})
"""Names of what is wrong with single boxes; every other name is of a file or an image."""


@dataclass(frozen=True, kw_only=True)
class BoxedImage:
    """One image as its annotation says.

    Attributes:
        image: the file, or where it would be. present: it is there. label: the annotation file.
        width, height: pixels, as the annotation states.
        labels: the boxes that can be meant.
        stated: (m,) int64 classes of all objects of the annotation, malformed boxes among them.
        areas: (m,) float64 square pixels, NaN of malformed boxes.
        group: what must not be split. published: the first part that lists it; "" without.
    """

    image: Path
    present: bool
    label: Path
    width: int
    height: int
    labels: FrameLabels
    stated: NDArray[np.int64]
    areas: NDArray[np.float64]
    group: str
    published: str


class BoxedImages:
    """A set of images with boxes; the formats fill it.

    Attributes:
        path: as it was given. root: the folder that ids are relative to. options: how it was read.
        classes: names, in the order of the class numbers. views: none.
        splits: published split -> ids of its images that are there, each once.
        assumed: what the files do not say and the reader takes for granted, in sentences.
    """

    format_name: str
    """The format's name in the catalogue."""
    annotation: str
    """What the boxes are: "horizontal" or "oriented"."""
    views: tuple[str, ...] = ()
    group_name = "scene"

    def __init__(self, path: Path, root: Path, options: BoxOptions, classes: Sequence[str]) -> None:
        self.path, self.root, self.options = path, root, options
        self.classes = tuple(classes)
        self.splits: Mapping[str, tuple[str, ...]] = {}
        self.assumed: list[str] = []
        self._images: dict[str, BoxedImage] = {}
        self._keys: dict[str, DetectionKey] = {}
        self._problems: list[FileProblem] = []

    def keys(self) -> list[DetectionKey]:
        """All images with annotations that can be meant, sorted by group and id."""
        return list(self._keys.values())

    def labels(self, key: DetectionKey) -> FrameLabels:
        """Boxes and classes of an image, without decoding it."""
        return self.about(key).labels

    def about(self, key: DetectionKey) -> BoxedImage:
        """All that the annotation says of an image.

        Raises:
            LayoutError: ``keys()`` gave no such key.
        """
        found = self._images.get(key.id)
        if found is None:
            raise unknown_key(self.path, "image", key)
        return found

    def files(self, key: DetectionKey) -> tuple[Path, Path]:
        """The image (or where it would be) and its annotation file."""
        found = self.about(key)
        return found.image, found.label

    def only(self, keys: Iterable[DetectionKey]) -> Self:
        """The same data set with these images: what a worker process needs of a large index."""
        part = copy(self)
        part._keys = {key.id: key for key in keys}
        part._images = {name: self._images[name] for name in part._keys}
        part.splits = {name: tuple(one for one in those if one in part._keys) for name, those in self.splits.items()}
        return part

    def read(self, key: DetectionKey) -> DetectionSample:
        """One image with its boxes.

        Raises:
            AnnotationError: the image is missing, or of another size than its annotation states.
            BrokenFileError: the image does not decode. OSError: it cannot be read.
        """
        found = self._present(key)
        stored = read_image(found.image)
        height, width = stored.shape[:2]
        if (width, height) != (found.width, found.height):
            raise size_differs(found, (width, height))
        return DetectionSample(
            id=key.id,
            group=key.group,
            video=key.video,
            image=smaller(stored, self.options.longest_side),
            boxes=found.labels.boxes,
            classes=found.labels.classes,
            view=UNKNOWN,
            width=width,
            height=height,
        )

    def content_hash(self, key: DetectionKey) -> str:
        """sha256 of the decoded pixels, to find copies under other names."""
        return image_hash(self.read(key).image)

    def file_hash(self, key: DetectionKey) -> str:
        """sha256 over the image's bytes, the sizes stated and asked for and the decoder's version: a cache key."""
        found = self._present(key)
        told = f"boxed {DECODER_VERSION} {self.options.longest_side} {found.width} {found.height}"
        digest = hashlib.sha256(told.encode())
        digest.update(found.image.read_bytes())
        return digest.hexdigest()

    def with_images(self) -> Self:
        """The same data set without the images that are not there."""
        return self.only([key for key in self.keys() if self._images[key.id].present])

    def missing(self) -> list[DetectionKey]:
        """The images that are annotated and not there."""
        return [key for key in self.keys() if not self._images[key.id].present]

    def demand_images(self) -> None:
        """Refuses to go on without images: what training asks first.

        Raises:
            LayoutError: with ``on_broken="error"`` an image is missing; with "skip" all are.
        """
        missing = self.missing()
        if missing and (self.options.on_broken == "error" or len(missing) == len(self._keys)):
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            raise LayoutError(
                "images are missing: boxes alone cannot be trained on",
                file=self._images[missing[0].id].image,
                expected=f"an image for each of the {len(self._keys)} annotations",
                found=f"{len(missing)} of {len(self._keys)} are not there: "
                f"{', '.join(key.id for key in missing[:NAMED])}{more}",
                fix="add the images, or leave out those that are missing: --on_broken skip",
            )

    def inventory(self) -> DetectionInventory:
        """Counts, names, assumptions, and everything that was left out."""
        found = [self._images[key.id].labels for key in self.keys()]
        return DetectionInventory(
            frames=len(found),
            objects=sum(len(labels.classes) for labels in found),
            groups=len({key.group for key in self.keys()}),
            videos=len({key.video for key in self.keys()}),
            classes=self.classes,
            views=self.views,
            polygons=0,
            assumed=list(self.assumed),
            problems=list(self._problems),
        )

    def _present(self, key: DetectionKey) -> BoxedImage:
        found = self.about(key)
        if not found.present:
            raise AnnotationError(
                "the image is missing",
                name="image_missing",
                file=found.image,
                expected=f"the image of {found.label.name}",
                found="nothing there",
                fix="add it, or leave it out: --on_broken skip",
            )
        return found

    def _note_or_raise(self, error: AnnotationError, *, left_out: bool = True) -> None:
        """Of a file or an image: ``on_broken`` decides."""
        if self.options.on_broken == "error":
            raise error
        self._problems.append(error.as_problem(left_out=left_out))

    def _note_malformed(self, error: AnnotationError) -> None:
        """Of a single box: ``on_malformed`` decides."""
        if self.options.on_malformed == "error":
            raise error
        self._problems.append(error.as_problem(left_out=False))

    def _demand_any(self) -> None:
        if self._images:
            return
        first = self._problems[0] if self._problems else None
        raise LayoutError(
            "no image of the data set has annotations that can be meant",
            file=self.path,
            expected="at least one",
            found=f"{len(self._problems)} problems" + (f"; first {first.file}: {first.reason}" if first else ""),
            fix="correct the files that are named",
        )

    def _make_keys(self) -> None:
        groups: dict[str, list[str]] = {}
        for name, one in self._images.items():
            groups.setdefault(one.group, []).append(name)
        for group, members in sorted(groups.items()):
            kind = self._kind(members)
            for index, name in enumerate(sorted(members)):
                self._keys[name] = DetectionKey(
                    id=name,
                    group=group,
                    kind=kind,
                    index=index,
                    video=group,
                    frame=-1,
                    published=self._images[name].published,
                )

    def _kind(self, members: list[str]) -> str:
        counts = Counter(int(one) for name in members for one in self._images[name].labels.classes)
        return self.classes[min(counts, key=lambda one: (-counts[one], one))] if counts else "none"


def labels_of(
    edges: NDArray[np.float64],
    classes: NDArray[np.int64],
    lines: Sequence[int],
    size: tuple[int, int],
    *,
    corners: NDArray[np.float64] | None = None,
    crowd: NDArray[np.bool_] | None = None,
) -> FrameLabels:
    """Boxes in pixels as the labels that tasks read; rows of NaN are left out.

    Args:
        edges: (m, 4) left, top, right, bottom. classes: (m,). lines: of each in its file. size: (width, height).
        corners: (m, 4, 2) pixels. crowd: (m,).
    """
    kept = np.asarray(~np.isnan(edges).any(axis=1))
    shares = edges[kept] / np.array([*size, *size], np.float64)
    boxes = np.concatenate(((shares[:, :2] + shares[:, 2:]) / 2, shares[:, 2:] - shares[:, :2]), axis=1)
    return FrameLabels(
        boxes=boxes.astype(np.float32),
        classes=classes[kept],
        view=UNKNOWN,
        lines=tuple(line for line, stays in zip(lines, kept, strict=True) if stays),
        polygons=0,
        repeated=(),
        objects=len(edges),
        crowd=None if crowd is None else crowd[kept],
        corners=None if corners is None else (corners[kept] / np.array(size, np.float64)).astype(np.float32),
    )


def areas_of(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """(m, 4) left, top, right, bottom -> (m,) width times height; NaN of NaN."""
    sides = edges[:, 2:] - edges[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1])


def size_differs(one: BoxedImage, stored: tuple[int, int]) -> AnnotationError:
    """The error of an image whose (width, height) is not what its annotation states."""
    return AnnotationError(
        "the image is of another size than its annotation states",
        name="size_differs",
        element="size",
        file=one.label,
        expected=f"{stored[0]} x {stored[1]}, as {one.image} has",
        found=f"{one.width} x {one.height}",
        fix="find out which of both belongs to the boxes; leave the image out: --on_broken skip",
    )
