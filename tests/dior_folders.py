"""Small sets in DIOR's layout and in COCO's JSON, written by hand, for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Box = tuple[float, ...]
Objects = Sequence[tuple[str, Box]]

EDGES = ("xmin", "ymin", "xmax", "ymax")
CORNERS = (
    "x_left_top", "y_left_top", "x_right_top", "y_right_top",
    "x_right_bottom", "y_right_bottom", "x_left_bottom", "y_left_bottom",
)  # fmt: skip
FOLDERS = {
    "spaces": ("Annotations/{} Bounding Boxes", "JPEGImages-{}", "ImageSets/Main"),
    "underscores": ("Annotations/{}_Bounding_Boxes", "JPEGImages_{0}/JPEGImages_{0}", "ImageSets/Main"),
    "repository": ("annotations/{}", "images/{}", "splits"),
    "merged": ("Annotations/{} Bounding Boxes", "JPEGImages", "ImageSets/Main"),
    "nested": (
        "DIOR/Annotations/Annotations/{0} Bounding Boxes/{0} Bounding Boxes",
        "DIOR/JPEGImages-{}",
        "DIOR/ImageSets/Main",
    ),
    "flat": ("Annotations", "JPEGImages", "ImageSets/Main"),
}
"""Layout -> folders of annotations, images and splits."""


def xml_of(name: str, objects: Objects, size: tuple[int, int] = (40, 30), *, oriented: bool = False) -> str:
    """An annotation as the released files have it: no difficult, tabs, CRLF; oriented ones with spaces and LF."""
    tag, fields = ("robndbox", CORNERS) if oriented else ("bndbox", EDGES)
    lines = ["<annotation>", f"\t<filename>{name}.jpg</filename>", "\t<source>", "\t\t<database>DIOR</database>"]
    lines += ["\t</source>", "\t<size>", f"\t\t<width>{size[0]}</width>", f"\t\t<height>{size[1]}</height>"]
    lines += ["\t\t<depth>3</depth>", "\t</size>", "\t<segmented>0</segmented>"]
    for word, box in objects:
        lines += ["\t<object>", f"\t\t<name>{word}</name>", "\t\t<pose>Unspecified</pose>", f"\t\t<{tag}>"]
        lines += [f"\t\t\t<{field}>{value:g}</{field}>" for field, value in zip(fields, box, strict=True)]
        lines += [f"\t\t</{tag}>", *(["\t\t<angle>0</angle>"] if oriented else []), "\t</object>"]
    end = "\n" if oriented else "\r\n"
    return end.join([*lines, "</annotation>", ""])


def write_dior(
    root: Path,
    splits: Mapping[str, Mapping[str, Objects]],
    *,
    layout: str = "spaces",
    size: tuple[int, int] = (40, 30),
    pictures: bool = True,
    oriented: Mapping[str, Objects] | None = None,
    scenes: Mapping[str, str] | None = None,
    horizontal: bool = True,
) -> Path:
    """A set: split -> image id -> objects; returns the root. A split "" has no split file."""
    annotations, images, lists = FOLDERS[layout]
    words = {"horizontal": "Horizontal", "oriented": "Oriented"}
    if layout == "repository":
        words = {word: word for word in words}
    number = 0
    for split, members in splits.items():
        for name, objects in members.items():
            number += 1
            kinds = {"horizontal": objects} if horizontal else {}
            kinds |= {"oriented": oriented[name]} if oriented is not None and name in oriented else {}
            for kind, those in kinds.items():
                folder = root / annotations.format(words[kind])
                folder.mkdir(parents=True, exist_ok=True)
                text = xml_of(name, those, size, oriented=kind == "oriented")
                (folder / f"{name}.xml").write_bytes(text.encode())
            if pictures:
                place = root / images.format("test" if split == "test" else "trainval")
                place.mkdir(parents=True, exist_ok=True)
                picture = np.full((size[1], size[0], 3), number * 7 % 256, np.uint8)
                Image.fromarray(picture).save(place / f"{name}.jpg")
        if split:
            folder = root / lists
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{split}.txt").write_bytes("".join(f"{name}\r\n" for name in members).encode())
    if scenes is not None:
        home = (root / lists).parent if layout == "repository" else (root / lists).parent.parent
        (home / "scenes.json").write_text(json.dumps(scenes))
    return root


SHIP: Box = (1, 1, 10, 10)
TINY: Mapping[str, Mapping[str, Objects]] = {
    "train": {"00001": [("ship", SHIP), ("harbor", (11, 5, 40, 30))], "00002": [("ship", (3, 3, 8, 9))]},
    "val": {"00011": [("Expressway-toll-station", (2, 2, 30, 20))]},
    "test": {"00021": [("ship", SHIP)], "00022": []},
}
"""Five images, five objects of three classes."""


def coco_of(
    images: Mapping[int, tuple[str, tuple[int, int]]],
    boxes: Sequence[tuple[int, int, Sequence[Any]]],
    names: Mapping[int, str],
    *,
    crowd: Sequence[int] = (),
    **more: object,
) -> dict[str, Any]:
    """A document: id -> (file name, (width, height)); (image id, category id, bbox); category id -> name."""
    return {
        **more,
        "images": [
            {"id": number, "file_name": name, "width": size[0], "height": size[1]}
            for number, (name, size) in images.items()
        ],
        "annotations": [
            {"id": place, "image_id": image, "category_id": category, "bbox": list(box), "iscrowd": int(place in crowd)}
            for place, (image, category, box) in enumerate(boxes, start=1)
        ],
        "categories": [{"id": number, "name": name} for number, name in names.items()],
    }


def write_pictures(folder: Path, names: Mapping[str, tuple[int, int]]) -> None:
    """Images of different grey: path below the folder -> (width, height)."""
    for number, (name, size) in enumerate(names.items(), start=1):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((size[1], size[0], 3), number * 7 % 256, np.uint8)).save(folder / name)
