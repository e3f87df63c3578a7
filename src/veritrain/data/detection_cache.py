"""Images with boxes, decoded once: an entry holds an image and no label.

Its name is the sha256 of the image's bytes, the size asked for and the decoder's version; labels are read from their
files each time. Cache files of other programs are never read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, Self

from veritrain.data.boxed_images import BoxedImages
from veritrain.data.cache import Broken, OnBroken, Packed, SampleCache
from veritrain.data.detection_inventory import DetectionInventory, FileProblem
from veritrain.data.detection_sample import BoxedSource, DetectionKey, DetectionSample, FrameLabels
from veritrain.data.echo import EchoFormat
from veritrain.data.image_file import image_hash
from veritrain.data.options import EchoOptions

CHUNK = 64
"""Images that a worker process decodes at a time."""


class DetectionFormat(BoxedSource, Protocol):
    """A format of images with boxes: :class:`EchoFormat`, and :class:`BoxedImages` with the formats that are such."""

    @property
    def path(self) -> Path: ...

    @property
    def root(self) -> Path: ...

    @property
    def options(self) -> OnBroken: ...

    def file_hash(self, key: DetectionKey) -> str: ...

    def only(self, keys: Iterable[DetectionKey]) -> Self: ...

    def inventory(self) -> DetectionInventory: ...


class CachedDetections(SampleCache[DetectionFormat, DetectionKey, DetectionSample]):
    """The images of a detection set that decode, decoded at most once; arguments: :class:`SampleCache`.

    Raises:
        BrokenFileError: an image does not decode and the source's policy is "error".
        LayoutError: no image decodes.
    """

    one, broken_ones = "image", "broken ones"
    none_reads, advice = "no image of the data set decodes", "copy the images again"

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the class numbers."""
        return self.source.classes

    @property
    def views(self) -> tuple[str, ...]:
        """View names, in the order of the view numbers."""
        return self.source.views

    @property
    def group_name(self) -> str:
        """What must not be split: "patient" or "scene"."""
        return self.source.group_name

    def labels(self, key: DetectionKey) -> FrameLabels:
        """Boxes, classes and view, without reading the image."""
        return self.source.labels(key)

    def stored_size(self, key: DetectionKey) -> tuple[int, int]:
        """(width, height) of the stored image, in pixels."""
        width, height = self._entry(key).about["size"]
        return width, height

    def inventory(self) -> DetectionInventory:
        """The source's inventory without the images that turned out broken, which it lists."""
        whole = self.source.only(self.keys()).inventory()
        return replace(whole, problems=whole.problems + [_problem(one) for one in self.broken])

    def _root(self) -> Path:
        return self.source.root

    def _parts(self) -> list[tuple[DetectionFormat, list[DetectionKey]]]:
        keys = self.source.keys()
        chunks = [keys[start : start + CHUNK] for start in range(0, len(keys), CHUNK)]
        return [(self.source.only(chunk), chunk) for chunk in chunks]

    @staticmethod
    def _packed(sample: DetectionSample) -> Packed:
        about = {"content_hash": image_hash(sample.image), "size": [sample.width, sample.height]}
        return {"image": sample.image}, about

    def _unpacked(self, key: DetectionKey, arrays: Mapping[str, Any], about: Mapping[str, Any]) -> DetectionSample:
        labels = self.labels(key)
        return DetectionSample(
            id=key.id,
            group=key.group,
            video=key.video,
            image=arrays["image"],
            boxes=labels.boxes,
            classes=labels.classes,
            view=labels.view,
            width=about["size"][0],
            height=about["size"][1],
        )


def open_echo(
    path: Path | str,
    options: EchoOptions | None = None,
    *,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CachedDetections:
    """The detection set at ``path``, decoded once and cached."""
    return CachedDetections(EchoFormat(path, options), folder=cache, workers=workers, progress=progress)


def open_boxed(
    source: BoxedImages,
    *,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CachedDetections:
    """The images of a DIOR or COCO set, decoded once and cached: what training reads.

    Raises:
        LayoutError: images are missing (:meth:`BoxedImages.demand_images`).
        BrokenFileError: an image does not decode or is of another size than stated, and the policy is "error".
    """
    source.demand_images()
    return CachedDetections(source, folder=cache, workers=workers, progress=progress)


def _problem(broken: Broken) -> FileProblem:
    return FileProblem(name="image_broken", file=broken.file, line=None, reason=broken.reason, left_out=True)
