"""What lies in a folder of images and label files: names, views, parts and pairs; found by names alone.

The layout is the one of YOLO data sets: ``data.yaml`` names classes and folders of images, and the label file of
``.../images/x.jpg`` is ``.../labels/x.txt``. A folder without ``data.yaml`` is read too; what it does not say is
assumed, and said to be.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from veritrain.config import read_mapping
from veritrain.data.splits import PARTS
from veritrain.errors import ConfigError, LayoutError

ENDINGS = frozenset({".jpg", ".jpeg", ".png"})
"""Endings of image files, whatever their case."""
YAML_ENDINGS = (".yaml", ".yml")
WORDS_OF_PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
NO_LABELS = frozenset({"classes.txt", "notes.txt", "README.txt"})
"""Text files beside labels that belong to no image, as annotation tools leave them."""
DEEPEST = 3
"""Levels below the given folder where an ``images`` folder is looked for when no ``data.yaml`` names it."""


@dataclass(frozen=True, kw_only=True)
class DetectionSet:
    """The names of a data set.

    Attributes:
        root: the folder that ids are relative to.
        names: class names; empty where nobody says them.
        views: view names; empty where nobody says them.
        parts: "train", "val", "test", or "" without parts -> images, sorted. An image may stand in several.
        labels: image -> its label file, for images that have one.
        unlabelled: images without label file.
        orphans: label files without image.
        assumed: what the files do not say and the reader takes for granted, in sentences.
    """

    root: Path
    names: tuple[str, ...]
    views: tuple[str, ...]
    parts: Mapping[str, tuple[Path, ...]]
    labels: Mapping[Path, Path]
    unlabelled: tuple[Path, ...]
    orphans: tuple[Path, ...]
    assumed: tuple[str, ...]


def find_description(path: Path) -> Path | None:
    """The YAML file that describes the data set at ``path`` (a folder or the file itself), or None without one.

    Raises:
        LayoutError: several files could be it and none is called ``data.yaml``.
    """
    if path.is_file():
        return path if path.suffix in YAML_ENDINGS and _describes(path) else None
    if not path.is_dir():
        return None
    named = path / "data.yaml"
    if named.is_file():
        return named
    fitting = [file for file in sorted(path.iterdir()) if file.suffix in YAML_ENDINGS and _describes(file)]
    if len(fitting) > 1:
        raise LayoutError(
            "several files describe a data set here",
            file=path,
            expected="data.yaml, or one YAML file with names and train",
            found=", ".join(file.name for file in fitting),
            fix="give the file that is meant instead of the folder",
        )
    return fitting[0] if fitting else None


def image_folders(path: Path) -> list[Path]:
    """Folders called ``images`` with ``labels`` beside them, up to DEEPEST levels below ``path``, sorted."""
    found, waiting = [], [(path, 0)]
    while waiting:
        folder, depth = waiting.pop()
        if (folder / "images").is_dir() and (folder / "labels").is_dir():
            found.append(folder / "images")
        elif depth < DEEPEST:
            waiting += [(one, depth + 1) for one in folder.iterdir() if one.is_dir() and not one.name.startswith(".")]
    return sorted(found)


def read_set(path: Path) -> DetectionSet:
    """The data set at ``path``: a folder, or the YAML file that describes it.

    Raises:
        LayoutError: no images with labels, or a description that contradicts itself.
    """
    description = find_description(path)
    if description is not None:
        return _described(description)
    folders = image_folders(path) if path.is_dir() else []
    if not folders:
        raise LayoutError(
            "no images with label files",
            file=path,
            expected="data.yaml (names, train, val, test), or folders images and labels beside each other",
            found="neither" if path.exists() else "nothing there",
            fix="give the folder that holds data.yaml; `veritrain data make echo OUT` makes one",
        )
    parts: dict[str, list[Path]] = {}
    for folder in folders:
        for image in _images_below(folder):
            words = image.relative_to(path).parts[:-1]
            part = next((WORDS_OF_PARTS[word] for word in words if word in WORDS_OF_PARTS), "")
            parts.setdefault(part, []).append(image)
    assumed = ["no data.yaml: classes are numbered, and parts are those of folders called train, val or test"]
    return _paired(path, (), (), parts, folders, assumed)


def _described(file: Path) -> DetectionSet:
    content = _content(file)
    base = file.parent / str(content.get("path") or "")
    root = base if base.is_dir() else file.parent
    names, views = _names(content, "names", file), _names(content, "views", file)
    count = content.get("nc")
    if count is not None and names and count != len(names):
        _refuse(file, "nc and names do not agree", f"nc: {len(names)}", f"nc: {count}", "correct one of them")
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        _refuse(file, "nc is no number of classes", "a whole number from 1", repr(count), "correct nc")
    assumed = []
    if not names:
        assumed.append("data.yaml names no classes: they are numbered")
        names = tuple(f"class {number}" for number in range(count or 0))
    folders: dict[str, list[Path]] = {}
    for word, part in WORDS_OF_PARTS.items():
        for entry in _entries(content.get(word), word, file):
            folders.setdefault(part, []).append(_folder(entry, word, root, file))
    if not folders:
        _refuse(file, "no folder of images is named", "train, val or test: a folder", "none of them", "name one")
    parts = {part: [image for folder in those for image in _images_below(folder)] for part, those in folders.items()}
    return _paired(root, names, views, parts, [one for those in folders.values() for one in those], assumed)


def _paired(
    root: Path,
    names: tuple[str, ...],
    views: tuple[str, ...],
    parts: Mapping[str, Sequence[Path]],
    folders: Sequence[Path],
    assumed: list[str],
) -> DetectionSet:
    images = sorted({image for those in parts.values() for image in those})
    label_folders = {folder: _label_folder(folder) for folder in {image.parent for image in images}}
    texts = {folder: _texts_in(folder) for folder in {*label_folders.values(), *map(_label_folder, folders)}}
    labels = {
        image: label_folders[image.parent] / name
        for image in images
        if (name := f"{image.stem}.txt") in texts[label_folders[image.parent]]
    }
    if not labels:
        raise LayoutError(
            "no image has a label file",
            file=root,
            expected=".../labels/x.txt for .../images/x.jpg (or .png)",
            found=f"{len(images)} images",
            fix="put the label files there; an image without objects has an empty one",
        )
    orphans = {folder / name for folder, names in texts.items() for name in names - NO_LABELS} - set(labels.values())
    return DetectionSet(
        root=root,
        names=names,
        views=views,
        parts={part: tuple(sorted(set(parts[part]))) for part in (*PARTS, "") if parts.get(part)},
        labels=labels,
        unlabelled=tuple(image for image in images if image not in labels),
        orphans=tuple(sorted(orphans)),
        assumed=tuple(assumed),
    )


def _label_folder(folder: Path) -> Path:
    """Where labels of the images in a folder lie: its last part called ``images`` becomes ``labels``, else beside."""
    parts = list(folder.parts)
    places = [place for place, part in enumerate(parts) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts)


def _texts_in(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir() if file.name.endswith(".txt")} if folder.is_dir() else set()


def _images_below(folder: Path) -> list[Path]:
    return [
        Path(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if f".{name.rpartition('.')[2]}".lower() in ENDINGS
    ]


def _content(file: Path) -> dict[str, Any]:
    try:
        return read_mapping(file)
    except ConfigError as error:
        raise LayoutError(
            "the description of the data set cannot be read",
            file=file,
            line=error.line,
            expected="plain YAML with names, train, val, test",
            found=error.found or error.message,
            fix="correct the file",
        ) from error


def _describes(file: Path) -> bool:
    try:
        content = read_mapping(file)
    except ConfigError:
        return False
    return "names" in content and any(word in content for word in WORDS_OF_PARTS)


def _names(content: Mapping[str, Any], key: str, file: Path) -> tuple[str, ...]:
    """A list of names, or a mapping from 0, 1, 2, ... to names."""
    given = content.get(key)
    if given is None:
        return ()
    if isinstance(given, Mapping) and sorted(given, key=str) == sorted(range(len(given)), key=str):
        given = [given[number] for number in range(len(given))]
    if not isinstance(given, list) or not given:
        _refuse(file, f"{key} is no list", "names, or numbers from 0 with names", repr(given)[:80], "list the names")
    names = tuple(str(name) for name in given)
    if len(set(names)) < len(names):
        _refuse(file, f"{key} says a name twice", "each name once", ", ".join(names)[:80], "correct the list")
    return names


def _entries(given: Any, word: str, file: Path) -> list[str]:
    """The folders of a part; upstream's YAML may say one, several, or nothing."""
    entries = given if isinstance(given, list) else [given] if given else []
    for entry in entries:
        if not isinstance(entry, str) or entry.endswith(".txt"):
            _refuse(file, f"{word} is no folder", "one folder of images or several", repr(entry), "name folders")
    return entries


def _folder(entry: str, word: str, root: Path, file: Path) -> Path:
    """Where a folder lies: below ``path``, below the YAML file, or there without its leading ``../``."""
    inside = Path(*[part for part in Path(entry).parts if part != ".."])
    places = (root / entry, file.parent / entry, root / inside, file.parent / inside)
    found = next((folder for folder in places if folder.is_dir()), None)
    if found is None:
        _refuse(file, f"the folder of {word} is missing", f"{root / entry}", "nothing there", "correct the path")
    return Path(os.path.normpath(found))


def _refuse(file: Path, message: str, expected: str, found: str, fix: str) -> NoReturn:
    raise LayoutError(message, file=file, expected=expected, found=found, fix=fix)
