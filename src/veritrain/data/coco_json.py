"""Detection files in COCO's JSON: which files are such, and their content, checked entry by entry.

Source: the COCO data format (cocodataset.org, "Data format"): ``images``, ``annotations`` with ``bbox`` [x, y, width,
height] in pixels from the image's left top, ``categories`` with any ids.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from veritrain.data.detection_inventory import AnnotationError
from veritrain.data.detection_set import WORDS_OF_PARTS

DEEPEST = 2
"""Levels below the given folder where documents are looked for."""
NEEDED = (b'"images"', b'"annotations"', b'"categories"', b'"bbox"')
PANOPTIC = b'"segments_info"'
LISTS = ("images", "annotations", "categories")


@dataclass(frozen=True, kw_only=True)
class CocoDocument:
    """One file.

    Attributes:
        file: where it is. part: "train", "val", "test" by its name or its folder's; "" where neither says it.
        images, annotations: the lists, each entry an object.
        names: category id -> class name, in the order of the ids.
    """

    file: Path
    part: str
    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    names: Mapping[int, str]


def find_documents(path: Path) -> list[Path]:
    """The detection files at ``path``: the file itself, or those in the folder and in folders up to DEEPEST below."""
    if path.is_file():
        return [path] if path.suffix == ".json" and holds_boxes(path) else []
    if not path.is_dir():
        return []
    found = []
    for place, folders, names in os.walk(path):
        depth = len(Path(place).relative_to(path).parts)
        folders[:] = [one for one in folders if depth < DEEPEST and not one.startswith(".")]
        found += [Path(place, name) for name in names if name.endswith(".json") and not name.startswith(".")]
    return [file for file in sorted(found) if holds_boxes(file)]


def holds_boxes(file: Path) -> bool:
    """Whether a file has the words of a detection file, and not those of a panoptic one; nothing is parsed."""
    if not file.stat().st_size:
        return False
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(word) >= 0 for word in NEEDED) and content.find(PANOPTIC) < 0


def part_of(file: Path) -> str:
    """What a word of a document's name says ("instances_train2017"), else its whole folder's name; "" without."""
    for word in (*re.split(r"[^a-z]+", file.stem.lower()), file.parent.name.lower().rstrip("0123456789")):
        if word in WORDS_OF_PARTS:
            return WORDS_OF_PARTS[word]
    return ""


def read_document(file: Path) -> CocoDocument:
    """The content of one file.

    Raises:
        AnnotationError: no JSON, cut off, without one of the three lists, or with categories that contradict each
            other; it names the element. OSError: it cannot be read.
    """
    content = _content(file)
    for name in LISTS:
        if not isinstance(content.get(name), list):
            _refuse(file, name, "list_missing", "the list is missing", f"a list '{name}'", type(content.get(name)))
        for place, one in enumerate(content[name]):
            if not isinstance(one, dict):
                _refuse(file, f"{name}[{place}]", "entry_broken", "the entry is no object", "an object", type(one))
    return CocoDocument(
        file=file,
        part=part_of(file),
        images=content["images"],
        annotations=content["annotations"],
        names=_names(content["categories"], file),
    )


def number(value: Any) -> float | None:
    """A finite number of the JSON, or None: a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def whole(value: Any) -> int | None:
    """A whole number of the JSON, or None: a truth value is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _content(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    try:
        found = json.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise AnnotationError(
            "the file is no JSON, or cut off",
            name="json_broken",
            file=file,
            line=error.lineno if isinstance(error, json.JSONDecodeError) else None,
            expected="a whole JSON document in UTF-8",
            found=f"{error} ({len(content)} bytes)",
            fix="copy the file again",
        ) from error
    if not isinstance(found, dict):
        _refuse(
            file, "", "list_missing", "the document is no object", f"an object with {', '.join(LISTS)}", type(found)
        )
    return found


def _names(categories: list[dict[str, Any]], file: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for place, one in enumerate(categories):
        element, known, name = f"categories[{place}]", whole(one.get("id")), one.get("name")
        if known is None or not isinstance(name, str) or not name:
            _refuse(
                file, element, "category_broken", "a category is no number with a name", "id and name", str(one)[:80]
            )
        if known in names or name in names.values():
            message = "a category id or name stands twice"
            _refuse(file, element, "category_broken", message, "each id and each name once", f"{known} {name}")
        names[known] = name
    if not names:
        _refuse(file, "categories", "category_broken", "there is no category", "at least one", "none")
    return dict(sorted(names.items()))


def _refuse(file: Path, element: str, name: str, message: str, expected: str, found: object) -> NoReturn:
    told = found.__name__ if isinstance(found, type) else str(found)
    raise AnnotationError(
        message, name=name, element=element, file=file, expected=expected, found=told, fix="correct the file"
    )
