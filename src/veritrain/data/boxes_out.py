"""The boxes of a data set as COCO annotations, for programs that know no YOLO folders.

Source: the COCO data format (cocodataset.org, "Data format"). Tests hold it against pycocotools.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from veritrain.data.boxed_images import BoxedImages
from veritrain.data.coco import image_number
from veritrain.data.detection_labels import BOX_TOKENS, read_text
from veritrain.data.detection_sample import DetectionKey, FrameLabels
from veritrain.data.echo import EchoFormat
from veritrain.data.labels_out import DOCUMENT, demand_unmixed
from veritrain.data.sample import UNKNOWN
from veritrain.errors import BrokenFileError, UsageError

FORM = "coco"
PLACES = 3
"""Digits after the point of a pixel."""
Entry = tuple[dict[str, Any], list[dict[str, Any]]]
"""An image and its annotations."""


def export_boxes(source: EchoFormat | BoxedImages, folder: Path, form: str) -> dict[str, Any]:
    """A data set's boxes as one COCO file; images that do not decode are counted, or an error by its policy.

    Categories are numbered from 1 in the order of the class numbers. The ``id`` of an image comes from its path below
    the data set, that of an annotation from path and line: both are the same in every file, whatever else it holds. A
    polygon of the label file is the ``segmentation``; a box has none. Views, which COCO has no place for, stand under
    ``views`` and, by name, in each image's ``view`` (null where the file names none), beside ``patient``, ``video`` and
    ``part``. An image without any box is among the images. Of DIOR's and COCO's sets the stated sizes are taken and no
    image is needed; the group is the ``scene``, four corners are a ``segmentation``, crowds stay crowds.

    Returns:
        form, path, frames, annotations, broken, left_out (finding -> files that could not be meant).

    Raises:
        UsageError: another form, or ``folder`` holds something.
        BrokenFileError: an image does not decode and the policy is "error".
    """
    if form != FORM:
        raise UsageError(
            f"boxes have no form '{form}'",
            expected=f"{FORM}: csv and npy hold labels of pixels and returns, which images with boxes have none of",
            found=form,
            fix=f"--as {FORM}",
        )
    demand_unmixed(folder)
    entries, broken = (_boxed_entries(source), 0) if isinstance(source, BoxedImages) else _echo_entries(source)
    images = [image for image, _ in entries]
    annotations = [one for _, those in entries for one in those]
    content = {
        "info": {"description": "labels of a data set, by veritrain"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(source.classes, start=1)],
        **({"views": list(source.views)} if source.views else {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / DOCUMENT
    path.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
    left_out = Counter(problem.name for problem in source.inventory().problems if problem.left_out)
    told: dict[str, Any] = {"form": form, "path": str(path), "frames": len(images), "annotations": len(annotations)}
    return {**told, "broken": broken, "left_out": dict(left_out)}


def _echo_entries(source: EchoFormat) -> tuple[list[Entry], int]:
    """Images that decode with their annotations, and how many do not."""
    found, broken = [], 0
    for key in source.keys():  # noqa: SIM118 - a format is no mapping
        try:
            sample = source.read(key)
        except (BrokenFileError, OSError):
            if source.options.on_broken == "error":
                raise
            broken += 1
            continue
        size = (sample.width, sample.height)
        found.append((_image(source, key, size), _annotations(source, key, size)))
    return found, broken


def _boxed_entries(source: BoxedImages) -> list[Entry]:
    """Images as their annotations state them; no image is read."""
    found = []
    for key in source.keys():  # noqa: SIM118
        about = source.about(key)
        labels, size = about.labels, (about.width, about.height)
        image = {
            "id": image_number(key.id),
            "file_name": os.path.relpath(about.image, source.root).replace(os.sep, "/"),
            "width": about.width,
            "height": about.height,
            "scene": key.group,
            "part": key.published or None,
        }
        annotations = []
        for place, line in enumerate(labels.lines):
            box = _pixels(labels, place, size)
            corners = (
                [] if labels.corners is None else (labels.corners[place] * np.array(size, np.float64)).ravel().tolist()
            )
            polygon = [round(float(one), PLACES) for one in corners]
            annotations.append(
                {
                    "id": image_number(f"{key.id}:{line}"),
                    "image_id": image["id"],
                    "category_id": int(labels.classes[place]) + 1,
                    "bbox": box,
                    "area": round(box[2] * box[3], PLACES),
                    "segmentation": [polygon] if polygon else [],
                    "iscrowd": int(labels.crowd is not None and labels.crowd[place]),
                }
            )
        found.append((image, annotations))
    return found


def _image(source: EchoFormat, key: DetectionKey, size: tuple[int, int]) -> dict[str, Any]:
    view = source.labels(key).view
    file = source.files(key)[0]
    return {
        "id": image_number(key.id),
        "file_name": key.id + file.suffix,
        "width": size[0],
        "height": size[1],
        "patient": key.group,
        "video": key.video,
        "part": key.published or None,
        **({"view": None if view == UNKNOWN else source.views[view]} if source.views else {}),
    }


def _annotations(source: EchoFormat, key: DetectionKey, size: tuple[int, int]) -> list[dict[str, Any]]:
    labels = source.labels(key)
    text = read_text(source.files(key)[1]).splitlines()
    found = []
    for place, line in enumerate(labels.lines):
        polygon = _polygon(text[line - 1].split(), size)
        left, top, width, height = _pixels(labels, place, size)
        found.append(
            {
                "id": image_number(f"{key.id}:{line}"),
                "image_id": image_number(key.id),
                "category_id": int(labels.classes[place]) + 1,
                "bbox": [left, top, width, height],
                "area": _area(polygon) if polygon else round(width * height, PLACES),
                "segmentation": [polygon] if polygon else [],
                "iscrowd": 0,
            }
        )
    return found


def _pixels(labels: FrameLabels, place: int, size: tuple[int, int]) -> list[float]:
    """[left, top, width, height] in pixels, cut off where six digits let a box stand out of the image."""
    x, y, width, height = (float(one) for one in labels.boxes[place])
    left, right = max(x - width / 2, 0.0) * size[0], min(x + width / 2, 1.0) * size[0]
    top, bottom = max(y - height / 2, 0.0) * size[1], min(y + height / 2, 1.0) * size[1]
    return [round(one, PLACES) for one in (left, top, right - left, bottom - top)]


def _polygon(tokens: list[str], size: tuple[int, int]) -> list[float]:
    """[x, y, x, y, ...] in pixels of a line that is a polygon; empty where it is a box."""
    if len(tokens) <= BOX_TOKENS:
        return []
    return [round(float(token) * size[place % 2], PLACES) for place, token in enumerate(tokens[1:])]


def _area(polygon: list[float]) -> float:
    """In square pixels (the shoelace formula)."""
    points = list(zip(polygon[0::2], polygon[1::2], strict=True))
    turns = zip(points, [*points[1:], points[0]], strict=True)
    return round(abs(sum(x * below - right * y for (x, y), (right, below) in turns)) / 2, PLACES)
