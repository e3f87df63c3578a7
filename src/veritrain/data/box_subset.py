"""A part of a DIOR or COCO set as a data set of its own: whole groups, file by file, read again afterwards."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veritrain.data.boxed_images import BoxedImages
from veritrain.data.choosing import demand_possible, draw_by_class, words_of
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.coco_json import read_document
from veritrain.data.detection_sample import DetectionKey
from veritrain.data.dior import DiorFormat
from veritrain.data.scene_groups import SCENES
from veritrain.data.taking import WORLD, demand_apart, place_below, take, whole_or_nothing, world_card, write_card
from veritrain.errors import LayoutError, UsageError


@dataclass(frozen=True, kw_only=True)
class BoxSubsetOptions:
    """What to take. Every word narrows what the others leave.

    Attributes:
        groups: names of scenes (or blocks of ids, or images), separated by commas.
        classes: names, separated by commas: groups that have an object of one of them, with all their images.
        share: of the groups of each class that are left, drawn by the seed; at least one each.
        seed: of the drawing.
        link: hard links instead of copies: no room taken, but a change in one place is a change in both.

    Raises:
        ConfigError: a value is out of range.
    """

    groups: str = ""
    classes: str = ""
    share: float = 1.0
    seed: int = 0
    link: bool = False

    def __post_init__(self) -> None:
        demand_possible(share=self.share, frames=0, seed=self.seed, example=4)


@dataclass(frozen=True, kw_only=True)
class BoxSubsetSummary:
    """What was written.

    Attributes:
        path: the new data set. groups, images, objects: how many.
        by_class: class -> objects. by_split: split -> images.
        files: annotation files and images, written or linked. missing: images that are not there to be taken.
        left_out: finding -> files or boxes of the whole data set that could not be meant.
    """

    path: Path
    groups: int
    images: int
    objects: int
    by_class: dict[str, int]
    by_split: dict[str, int]
    files: int
    missing: int
    left_out: dict[str, int]


def write_box_subset(source: DiorFormat | CocoBoxes, out: Path | str, options: BoxSubsetOptions) -> BoxSubsetSummary:
    """Copies or links the images of the chosen groups, where they lay below the data set, and what names them.

    Of DIOR both kinds of annotation files are taken, split files are cut to the ids (their line endings stay), and
    ``scenes.json`` comes along as it is. Of COCO each document is cut to the images. The result is read again.

    Raises:
        UsageError: ``out`` holds something or lies inside the data set, or nothing is left to take.
        LayoutError: files lie outside of the data set's folder, or the result does not read as what was taken.
        StorageError: the disk is full, read-only, or cannot link; what was written is removed again.
    """
    folder = Path(out)
    keys = choose_groups(source, options)
    demand_apart(folder, source.root)
    files = [source.about(key).image for key in keys if source.about(key).present]
    texts = _dior_texts(source, keys) if isinstance(source, DiorFormat) else _coco_texts(source, keys)
    if isinstance(source, DiorFormat):
        both = (source.folders.horizontal, source.folders.oriented)
        files += [kind[key.id] for key in keys for kind in both if key.id in kind]
        files += [source.folders.scenes] if source.folders.scenes is not None else []
    places = [place_below(source.root, file) for file in files]
    with whole_or_nothing(folder, link=options.link):
        for file, place in zip(files, places, strict=True):
            take(file, folder / place, link=options.link)
        for place, text in texts.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_bytes(text)
        _take_cards(source, folder)
        summary = _summary(source, folder, keys, len(files))
        content = {"format": source.format_name, "asked": asdict(options), "taken": {**asdict(summary), "path": None}}
        write_card(folder, content)
    _demand_equal(source, folder, keys)
    return summary


def choose_groups(source: BoxedImages, options: BoxSubsetOptions) -> list[DetectionKey]:
    """The images to take, in the order of ``source.keys()``.

    Raises:
        UsageError: a word fits nothing, or no image is left.
    """
    classes: dict[str, set[int]] = defaultdict(set)
    for key in source.keys():  # noqa: SIM118 - a format is no mapping
        classes[key.group] |= {int(number) for number in source.labels(key).classes}
    named, wanted = words_of(options.groups), words_of(options.classes)
    for words, known, what in ((named, tuple(classes), "group"), (wanted, source.classes, "class")):
        for word in words:
            if word not in known:
                expected = f"one of {len(known)}: {', '.join(list(known)[:8])}"
                raise UsageError(f"no {what} '{word}'", file=source.path, expected=expected, found=word)
    numbers = {source.classes.index(word) for word in wanted}
    left = {
        name: those
        for name, those in classes.items()
        if (not named or name in named) and (not numbers or those & numbers)
    }
    if not left:
        raise UsageError(
            "nothing is left to take",
            file=source.path,
            expected="at least one group that fits all words",
            found="none",
            fix="`veritrain data check` counts classes and groups",
        )
    drawn = draw_by_class(left, options.share, options.seed)
    return [key for key in source.keys() if key.group in drawn]  # noqa: SIM118


def _dior_texts(source: DiorFormat, keys: Sequence[DetectionKey]) -> dict[str, bytes]:
    """Split files with the lines of these ids alone, byte for byte."""
    taken = {key.id for key in keys}
    found = {}
    for lines in source.folders.splits.values():
        for file in dict.fromkeys(line.file for line in lines):
            kept = [line for line in file.read_bytes().splitlines(keepends=True) if Path(_text(line)).stem in taken]
            found[place_below(source.root, file)] = b"".join(kept)
    return found


def _text(line: bytes) -> str:
    return line.decode("utf-8-sig").strip()


def _coco_texts(source: CocoBoxes, keys: Sequence[DetectionKey]) -> dict[str, bytes]:
    """Documents with the images and annotations of these keys alone; everything else stays as it is."""
    taken: dict[Path, set[str]] = defaultdict(set)
    for key in keys:
        taken[source.about(key).label].add(key.id)
    found = {}
    for file, names in taken.items():
        document = read_document(file)
        content: dict[str, Any] = json.loads(file.read_bytes().decode("utf-8-sig"))
        ids = {number for number, name in source.numbers[file].items() if name in names}
        content["images"] = [one for one in document.images if one.get("id") in ids]
        content["annotations"] = [one for one in document.annotations if one.get("image_id") in ids]
        place = file.name if file == source.path else place_below(source.root, file)
        found[place] = (json.dumps(content, allow_nan=False) + "\n").encode()
    return found


def _take_cards(source: BoxedImages, folder: Path) -> None:
    """What says that data are made, and a COCO set's scenes."""
    card = world_card((source.root,))
    if card is not None:
        take(card, folder / WORLD, link=False)
    if isinstance(source, CocoBoxes) and (source.root / SCENES).is_file():
        take(source.root / SCENES, folder / SCENES, link=False)


def _summary(source: BoxedImages, folder: Path, keys: Sequence[DetectionKey], files: int) -> BoxSubsetSummary:
    taken = {key.id for key in keys}
    objects = Counter(int(number) for key in keys for number in source.labels(key).classes)
    return BoxSubsetSummary(
        path=folder,
        groups=len({key.group for key in keys}),
        images=len(keys),
        objects=objects.total(),
        by_class={name: objects[number] for number, name in enumerate(source.classes)},
        by_split={part: len(taken.intersection(names)) for part, names in source.splits.items()},
        files=files,
        missing=sum(not source.about(key).present for key in keys),
        left_out=dict(Counter(one.name for one in source.inventory().problems)),
    )


def _demand_equal(source: DiorFormat | CocoBoxes, folder: Path, keys: Sequence[DetectionKey]) -> None:
    """Reads the result and holds ids and labels against what was taken."""

    def told(one: BoxedImages, those: Sequence[DetectionKey]) -> dict[str, Any]:
        read = {key.id: one.labels(key) for key in those}
        return {name: (labels.boxes.tolist(), labels.classes.tolist()) for name, labels in read.items()}

    part = DiorFormat(folder, source.options) if isinstance(source, DiorFormat) else CocoBoxes(folder, source.options)
    if told(part, part.keys()) != told(source, keys):
        raise LayoutError(
            "the subset does not read as what was taken",
            file=folder,
            expected=f"{len(keys)} images, labels as before",
            found=f"{len(part.keys())} images, or other labels",
            fix="remove it; the data set changed while it was copied",
        )
