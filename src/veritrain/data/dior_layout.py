"""What lies in a folder of DIOR's layout: annotations, images, split files; found by names alone.

Folder names count without their case and with spaces, underscores and hyphens alike, wherever they lie up to DEEPEST
levels below the given folder, and files may lie one folder deeper than released, as unpacked archives leave them:

- annotations: ``Horizontal Bounding Boxes`` and ``Oriented Bounding Boxes`` (or ``horizontal``, ``oriented``); without
  either ``Annotations`` itself, as in PASCAL VOC;
- images: ``JPEGImages-trainval``, ``JPEGImages-test``, ``JPEGImages``, ``images``, and all folders below them;
- splits: ``ImageSets/Main`` or ``splits``, a text file of ids each.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from veritrain.data.detection_inventory import AnnotationError
from veritrain.data.detection_set import ENDINGS, WORDS_OF_PARTS
from veritrain.data.dior_xml import is_oriented
from veritrain.data.scene_groups import SCENES
from veritrain.data.splits import PARTS
from veritrain.errors import LayoutError

DEEPEST = 4
"""Levels below the given folder where folders are looked for."""
HORIZONTAL = frozenset({"horizontal bounding boxes", "horizontal"})
ORIENTED = frozenset({"oriented bounding boxes", "oriented"})
FLAT = "annotations"
XML = frozenset({".xml"})
NOT_DATA = frozenset({"__macosx"})
BOTH = "trainval"
"""Read as train where neither train nor val has a file."""


@dataclass(frozen=True)
class SplitLine:
    """One line of a split file."""

    file: Path
    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class DiorFolders:
    """The names of a data set.

    Attributes:
        root: the given folder.
        horizontal, oriented, images: id -> file, in the order of the ids.
        splits: part -> its lines that are not blank, in the order of train, val, test.
        other_lists: text files beside the split files that are not read.
        scenes: the file that declares scenes, or None.
        home: the folder that holds ``ImageSets``, or the given one.
    """

    root: Path
    horizontal: Mapping[str, Path]
    oriented: Mapping[str, Path]
    images: Mapping[str, Path]
    splits: Mapping[str, tuple[SplitLine, ...]]
    other_lists: tuple[Path, ...]
    scenes: Path | None
    home: Path


@dataclass
class _Places:
    """Folders by what they hold."""

    horizontal: list[Path] = field(default_factory=list)
    oriented: list[Path] = field(default_factory=list)
    flat: list[Path] = field(default_factory=list)
    images: list[Path] = field(default_factory=list)
    splits: list[Path] = field(default_factory=list)


def looks_like_dior(path: Path) -> bool:
    """Whether annotation folders of DIOR's names hold XML, or a flat one beside split files does."""
    if not path.is_dir():
        return False
    places = _places(path)
    named = any(_has_xml(folder) for folder in (*places.horizontal, *places.oriented))
    return named or (bool(places.splits) and any(_has_xml(folder) for folder in places.flat))


def find_dior(path: Path) -> DiorFolders:
    """The names of the data set below a folder.

    Raises:
        LayoutError: no annotations, two files for one id, or a split file that is no text.
    """
    places = _places(path) if path.is_dir() else _Places()
    horizontal, oriented = _annotations(places)
    if not horizontal and not oriented:
        raise LayoutError(
            "no annotations in DIOR's layout",
            file=path,
            expected="Annotations/Horizontal Bounding Boxes/*.xml or Annotations/Oriented Bounding Boxes/*.xml",
            found="none" if path.is_dir() else "no folder",
            fix="give the folder that holds Annotations, ImageSets and the images",
        )
    files = [file for folder in places.splits for file in _files_in(folder) if file.suffix == ".txt"]
    part_of = _part_of(files)
    home = _home(path, places.splits)
    return DiorFolders(
        root=path,
        horizontal=horizontal,
        oriented=oriented,
        images=_by_id(places.images, ENDINGS),
        splits={
            part: tuple(line for file in files if part_of.get(file) == part for line in _lines(file))
            for part in PARTS
            if part in part_of.values()
        },
        other_lists=tuple(file for file in files if file not in part_of),
        scenes=next((one / SCENES for one in (home, path) if (one / SCENES).is_file()), None),
        home=home,
    )


def _annotations(places: _Places) -> tuple[dict[str, Path], dict[str, Path]]:
    """Horizontal and oriented files; a folder without either name does not say what it holds: its first file does."""
    if places.horizontal or places.oriented:
        return _by_id(places.horizontal, XML), _by_id(places.oriented, XML)
    flat = _by_id(places.flat, XML)
    try:
        oriented = bool(flat) and is_oriented(next(iter(flat.values())))
    except AnnotationError:
        oriented = False  # reading the file will say what is wrong with it
    return ({}, flat) if oriented else (flat, {})


def _places(path: Path) -> _Places:
    """Folders below ``path`` by their roles; what lies below one with a role belongs to it."""
    found = _Places()
    waiting = [(path, 0)]
    while waiting:
        folder, depth = waiting.pop()
        for child in _folders_in(folder):
            name = re.sub(r"[\s_-]+", " ", child.name.lower()).strip()
            if name in HORIZONTAL:
                found.horizontal.append(child)
            elif name in ORIENTED:
                found.oriented.append(child)
            elif name.startswith("jpegimages") or name == "images":
                found.images.append(child)
            elif name == "splits" or (name == "main" and folder.name.lower() == "imagesets"):
                found.splits.append(child)
            elif depth + 1 < DEEPEST:
                if name == FLAT and not any(child.is_relative_to(one) for one in found.flat):
                    found.flat.append(child)
                waiting.append((child, depth + 1))
    for folders in vars(found).values():
        folders.sort()
    return found


def _home(path: Path, splits: list[Path]) -> Path:
    """The folder that holds ``ImageSets`` (or ``splits``)."""
    if not splits:
        return path
    return splits[0].parent.parent if splits[0].name.lower() == "main" else splits[0].parent


def _folders_in(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(Path(one.path) for one in entries if one.is_dir() and _is_data(one.name))


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in NOT_DATA


def _files_in(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return sorted(Path(one.path) for one in entries if one.is_file() and not one.name.startswith("."))


def _has_xml(folder: Path) -> bool:
    return next(_below(folder, XML), None) is not None


def _below(folder: Path, endings: frozenset[str]) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [one for one in folders if _is_data(one)]
        for name in names:
            if f".{name.rpartition('.')[2]}".lower() in endings and not name.startswith("."):
                yield Path(place, name)


def _by_id(folders: list[Path], endings: frozenset[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in folders:
        for file in _below(folder, endings):
            other = found.setdefault(file.stem, file)
            if other is not file:
                raise LayoutError(
                    f"two files for the image '{file.stem}'",
                    file=file,
                    expected="each id once, whatever the folder",
                    found=f"also {other}",
                    fix="remove one of them, or give the folder of one copy of the data set",
                )
    return dict(sorted(found.items()))


def _part_of(files: list[Path]) -> dict[Path, str]:
    """Split file -> part, for those that are read."""
    found = {file: WORDS_OF_PARTS[file.stem.lower()] for file in files if file.stem.lower() in WORDS_OF_PARTS}
    if not {"train", "val"} & set(found.values()):
        found |= {file: "train" for file in files if file.stem.lower() == BOTH}
    return found


def _lines(file: Path) -> list[SplitLine]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LayoutError(
            "the split file is no text",
            file=file,
            expected="an image id in each line",
            found=f"byte {error.object[error.start]:#04x} at place {error.start}",
            fix="write the file again",
        ) from error
    stripped = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [SplitLine(file, number, line) for number, line in stripped if line]
