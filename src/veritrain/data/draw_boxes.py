"""Images with their labels drawn on, for a person to look at."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from veritrain.data.detection_sample import BoxedSource, DetectionKey
from veritrain.data.sample import UNKNOWN
from veritrain.errors import UsageError

COLOURS = ((255, 220, 0), (0, 255, 130), (255, 90, 255), (0, 220, 255), (255, 140, 60), (190, 255, 90))
"""Of classes by their number, in turn."""
LEAST_SIDE = 480
"""Smaller images are enlarged by a whole factor, so that the lines do not hide them."""


class Drawable(BoxedSource, Protocol):
    """A format of images with boxes: names, labels, images and the files that they lie in."""

    def files(self, key: DetectionKey) -> tuple[Path, Path]: ...


def draw_labels(
    image: NDArray[np.uint8],
    boxes: NDArray[np.float32],
    classes: NDArray[np.int64],
    view: int,
    *,
    class_names: Sequence[str],
    view_names: Sequence[str],
) -> Image.Image:
    """The image with each box and its class, and the view in the corner.

    Args:
        image: (H, W, 3) uint8.
        boxes: (n, 4) centre and size in shares of the image.
        classes: (n,) numbers.
        view: number, or UNKNOWN.
    """
    factor = max(1, -(-LEAST_SIDE // max(image.shape[:2])))
    size = (image.shape[1] * factor, image.shape[0] * factor)
    picture = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for (x, y, width, height), number in zip(boxes.tolist(), classes.tolist(), strict=True):
        colour = COLOURS[number % len(COLOURS)]
        left, top = (x - width / 2) * size[0], (y - height / 2) * size[1]
        pen.rectangle((left, top, left + width * size[0], top + height * size[1]), outline=colour, width=2)
        pen.text((left + 3, max(top - 12, 0)), class_names[number], fill=colour)
    if view_names:
        pen.text((4, 4), "view unknown" if view == UNKNOWN else view_names[view], fill=(255, 255, 255))
    return picture


def write_drawn(source: Drawable, out: Path, count: int) -> int:
    """Draws ``count`` images into ``out``, every combination of class and view in turn; returns how many were drawn.

    ``drawn.json`` beside them says which label file each picture is of.

    Raises:
        UsageError: ``count`` is below 1, ``out`` holds something, or there is no image.
        BrokenFileError: an image does not decode.
    """
    if count < 1 or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise UsageError(
            "the pictures cannot be written there",
            file=out,
            expected="a folder that does not exist or is empty, and a number of pictures of at least 1",
            found=f"{count} pictures" if count < 1 else "it holds something already",
            fix="--draw OUT 24, with a folder of its own",
        )
    keys = _in_turn(source)
    if not keys:
        raise UsageError("there is no image to draw on", found="annotations alone", fix="leave --draw out")
    out.mkdir(parents=True, exist_ok=True)
    index = {}
    for number, key in enumerate(keys[:count], start=1):
        sample = source.read(key)
        picture = draw_labels(
            sample.image,
            sample.boxes,
            sample.classes,
            sample.view,
            class_names=source.classes,
            view_names=source.views,
        )
        name = f"{number:04d}.png"
        picture.save(out / name)
        index[name] = str(source.files(key)[1])
    (out / "drawn.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return len(index)


def _in_turn(source: Drawable) -> list[DetectionKey]:
    """All keys, one of each (first class, view) in turn, those of one kind from different groups first."""
    kinds: dict[tuple[int, int], list[DetectionKey]] = defaultdict(list)
    for key in sorted(source.keys(), key=lambda one: (one.index, one.group)):
        labels = source.labels(key)
        kinds[int(labels.classes[0]) if len(labels.classes) else -1, labels.view].append(key)
    longest = max(map(len, kinds.values()), default=0)
    return [those[turn] for turn in range(longest) for _, those in sorted(kinds.items()) if turn < len(those)]
