"""Images with boxes in COCO's JSON: one document, or one for each part, and folders of images beside it.

Documents: :mod:`veritrain.data.coco_json`. The groups of a document are its images' ``scene`` (or ``patient``, as our
own exports have it), or those of ``scenes.json`` beside it.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from veritrain.data.boxed_images import BoxedImage, BoxedImages, areas_of, labels_of
from veritrain.data.coco_json import CocoDocument, find_documents, number, read_document, whole
from veritrain.data.detection_inventory import AnnotationError
from veritrain.data.detection_set import WORDS_OF_PARTS
from veritrain.data.options import BoxOptions
from veritrain.data.scene_groups import SCENES, of_scenes, read_scenes
from veritrain.data.splits import PARTS
from veritrain.errors import LayoutError

OVERHANG = 1.0
"""Pixels by which a box may stand out of its image and be cut there: coordinates are rounded, or counted from 1."""
GROUP_WORDS = ("scene", "patient")
"""What an image's entry may call its group, in the order of preference."""
NEAR = 2
"""Levels below a document's folder where folders of images are looked for."""
NAMED = 3
"""Category ids that a message lists."""


class CocoBoxes(BoxedImages):
    """Images with boxes in COCO's JSON: crowds are kept as such, category ids may have gaps.

    Args:
        path: the document, or the folder that holds one or several (``instances_train.json``, ``train/...json``).
        options: the policies for what cannot be meant.

    Attributes:
        documents: the files, in the order of their paths.
        numbers: document -> image id of the document -> id here.
        crowds: boxes that stand for many objects.

    Raises:
        LayoutError: no document, or documents with other categories.
        AnnotationError: with ``on_broken="error"`` a document that is no JSON or lacks a list, an image without id,
            name or size, an annotation of an unknown image or category; with ``on_malformed="error"`` a box that cannot
            be meant.
    """

    format_name = "coco"
    annotation = "horizontal"

    def __init__(self, path: Path | str, options: BoxOptions | None = None) -> None:
        place = Path(path)
        self.documents = find_documents(place)
        if not self.documents:
            raise LayoutError(
                "no detection file in COCO's JSON",
                file=place,
                expected="a .json file with images, annotations with bbox, and categories",
                found="none" if place.exists() else "nothing there",
                fix="give the file, or the folder that holds it",
            )
        super().__init__(place, place if place.is_dir() else place.parent, options or BoxOptions(), ())
        documents = self._read()
        self.classes = self._classes(documents)
        self._class_of = {known: place for place, known in enumerate(documents[0].names)} if documents else {}
        self.numbers: dict[Path, dict[int, str]] = {}
        self.crowds = 0
        self._nameless = False
        for one in documents:
            self._take(one, alone=len(documents) == 1)
        self._demand_any()
        self._declare_scenes()
        self.splits = self._made_splits()
        self._make_keys()
        if self._nameless:
            self.assumed.append("no scene is named for images: each counts as a group of its own")

    @staticmethod
    def recognises(path: Path | str) -> bool:
        """Whether there is a JSON file with images, categories and boxes: by content."""
        return bool(find_documents(Path(path)))

    def _read(self) -> list[CocoDocument]:
        found = []
        for file in self.documents:
            try:
                found.append(read_document(file))
            except AnnotationError as error:
                self._note_or_raise(error)
        return found

    def _classes(self, documents: Sequence[CocoDocument]) -> tuple[str, ...]:
        for one in documents[1:]:
            if one.names != documents[0].names:
                differing = sorted(set(one.names.items()) ^ set(documents[0].names.items()))[:NAMED]
                raise LayoutError(
                    "two documents have other categories",
                    file=one.file,
                    expected=f"those of {documents[0].file}",
                    found=", ".join(f"{known} {name}" for known, name in differing),
                    fix="give one document, or make their categories equal",
                )
        return tuple(documents[0].names.values()) if documents else ()

    def _take(self, document: CocoDocument, *, alone: bool) -> None:
        """Adds the images of a document with their boxes."""
        ids: dict[int, tuple[str, dict[str, Any]]] = {}
        for place, entry in enumerate(document.images):
            try:
                known, name = _image(entry, f"images[{place}]", document.file)
                name = name if alone else f"{document.part or document.file.stem}/{name}"
                if known in ids or name in self._images or any(name == taken for taken, _ in ids.values()):
                    raise _error(document.file, f"images[{place}]", "image_repeated", "an image stands twice", name)
                ids[known] = name, entry
            except AnnotationError as error:
                self._note_or_raise(error)
        self.numbers[document.file] = {known: name for known, (name, _) in ids.items()}
        boxes = self._boxes_of(document, ids)
        folders = _image_folders(document.file)
        for known, (name, entry) in ids.items():
            if known in boxes:
                self._images[name] = self._boxed(document, name, entry, boxes[known], folders)

    def _boxes_of(
        self, document: CocoDocument, ids: Mapping[int, tuple[str, dict[str, Any]]]
    ) -> dict[int, list[tuple[int, dict[str, Any]]]]:
        """Image id -> its annotations and their places in the list, without images that have an unknown class."""
        found: dict[int, list[tuple[int, dict[str, Any]]]] = {known: [] for known in ids}
        broken: set[int] = set()
        unknown: Counter[int] = Counter()
        for place, one in enumerate(document.annotations):
            image, category = whole(one.get("image_id")), whole(one.get("category_id"))
            element = f"annotations[{place}]"
            if image is None or image not in ids:
                told = f"image_id {one.get('image_id')}"
                self._note_or_raise(
                    _error(document.file, element, "annotation_without_image", "no image has this id", told)
                )
            elif category not in document.names:
                told = f"category_id {one.get('category_id')}"
                error = _error(document.file, element, "class_unknown", "no category has this id", told)
                unknown[category if category is not None else -1] += 1
                broken.add(image)
                if self.options.on_broken == "skip":
                    self._problems.append(error.as_problem(left_out=True))
            else:
                found[image].append((place, one))
        if unknown and self.options.on_broken == "error":
            told = ", ".join(f"{known} {count} times" for known, count in unknown.most_common(NAMED))
            message = f"{unknown.total()} annotations of {len(unknown)} categories that the file does not name"
            raise _error(document.file, "annotations, category_id", "class_unknown", message, told)
        return {image: those for image, those in found.items() if image not in broken}

    def _boxed(
        self,
        document: CocoDocument,
        name: str,
        entry: Mapping[str, Any],
        annotations: Sequence[tuple[int, Mapping[str, Any]]],
        folders: Sequence[Path],
    ) -> BoxedImage:
        size = (int(entry["width"]), int(entry["height"]))
        rows, crowd = [], []
        for place, one in annotations:
            box = self._edges(one, size, f"annotations[{place}] (id {one.get('id')}), bbox", document.file)
            rows.append(box or [np.nan] * 4)
            crowd.append(one.get("iscrowd") in (1, True))
            self.crowds += crowd[-1] and box is not None
        edges = np.array(rows, np.float64).reshape(-1, 4)
        classes = np.array([self._class_of[one["category_id"]] for _, one in annotations], np.int64)
        image = _find_image(str(entry["file_name"]), folders)
        group = next((str(entry[word]) for word in GROUP_WORDS if entry.get(word)), "")
        self._nameless |= not group
        part = document.part or WORDS_OF_PARTS.get(str(entry.get("part") or ""), "")
        return BoxedImage(
            image=image or document.file.parent / str(entry["file_name"]),
            present=image is not None,
            label=document.file,
            width=size[0],
            height=size[1],
            labels=labels_of(
                edges, classes, [place + 1 for place, _ in annotations], size, crowd=np.array(crowd, np.bool_)
            ),
            stated=classes,
            areas=areas_of(edges),
            group=group or name,
            published=part,
        )

    def _edges(self, one: Mapping[str, Any], size: tuple[int, int], element: str, file: Path) -> list[float] | None:
        """Left, top, right, bottom in pixels, or None of a box that cannot be meant."""
        try:
            return _checked(one, size, element, file)
        except AnnotationError as error:
            self._note_malformed(error)
            return None

    def _declare_scenes(self) -> None:
        """``scenes.json`` in the data set's folder says more than entries do."""
        file = self.root / SCENES
        if file.is_file():
            scenes = of_scenes(read_scenes(file), list(self._images), file)
            self._images = {name: replace(one, group=scenes[name]) for name, one in self._images.items()}
            self._nameless = False

    def _made_splits(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = defaultdict(list)
        for name, one in self._images.items():
            found[one.published].append(name)
        return {part: tuple(found[part]) for part in PARTS if part in found}


def _image(entry: Mapping[str, Any], element: str, file: Path) -> tuple[int, str]:
    """The id of an image and its path without ending, of an entry that can be meant."""
    known, name = whole(entry.get("id")), entry.get("file_name")
    if known is None or not isinstance(name, str) or not name:
        told = f"id {entry.get('id')}, file_name {name}"
        raise _error(file, element, "image_nameless", "an image has no number or no file name", told)
    place = PurePosixPath(name.replace("\\", "/"))
    if place.is_absolute() or ".." in place.parts:
        raise _error(file, f"{element}, file_name", "image_outside", "the file lies outside of the data set", name)
    for side in ("width", "height"):
        pixels = whole(entry.get(side))
        if pixels is None or pixels < 1:
            message = "the size of the image is missing or impossible"
            raise _error(file, f"{element}, {side}", "size_impossible", message, str(entry.get(side)))
    return known, place.with_suffix("").as_posix()


def _checked(one: Mapping[str, Any], size: tuple[int, int], element: str, file: Path) -> list[float]:
    """Left, top, right, bottom in pixels, cut at the image.

    Raises:
        AnnotationError: no four numbers, no area, or outside of the image.
    """
    given = one.get("bbox")
    numbers = [number(value) for value in given] if isinstance(given, list) else []
    if len(numbers) != 4 or None in numbers:
        raise _error(file, element, "not_a_number", "four finite numbers are expected", str(given)[:80])
    left, top, width, height = (float(value) for value in numbers if value is not None)
    if width <= 0 or height <= 0:
        raise _error(file, element, "zero_area", "a box without area", f"{width:g} x {height:g}")
    right, bottom = left + width, top + height
    for low, high, side, axis in ((left, right, size[0], "x"), (top, bottom, size[1], "y")):
        if low < -OVERHANG or high > side + OVERHANG or low >= side or high <= 0:
            told = f"{axis} from {low:g} to {high:g} in an image of {size[0]} x {size[1]} pixels"
            raise _error(file, element, "box_outside", "the box stands out of the image", told)
    if one.get("iscrowd", 0) not in (0, 1):
        raise _error(file, element, "crowd_unclear", "iscrowd is neither 0 nor 1", str(one["iscrowd"])[:80])
    return [max(left, 0.0), max(top, 0.0), min(right, size[0]), min(bottom, size[1])]


def _image_folders(file: Path) -> list[Path]:
    """Where images of a document may lie: beside it, or beside its folder ``annotations``; likelier ones first."""
    bases = [file.parent, *([file.parent.parent] if file.parent.name.lower() == "annotations" else [])]
    found = []
    for base in bases:
        for place, folders, _ in os.walk(base):
            depth = len(Path(place).relative_to(base).parts)
            folders[:] = sorted(one for one in folders if depth < NEAR and not one.startswith("."))
            found.append(Path(place))
    likely = {True: 0, False: 1}
    return sorted(dict.fromkeys(found), key=lambda one: (likely[one.name in file.stem], likely[one.name == "images"]))


def _find_image(name: str, folders: Sequence[Path]) -> Path | None:
    """The image of that name in the first folder that has it."""
    places = (folder / name.replace("\\", "/") for folder in folders)
    return next((place for place in places if place.is_file()), None)


def _error(file: Path, element: str, name: str, message: str, found: str) -> AnnotationError:
    return AnnotationError(
        message,
        name=name,
        element=element,
        file=file,
        found=found,
        fix="correct the entry, or leave it out: --on_broken skip (a single box: --on_malformed drop)",
    )
