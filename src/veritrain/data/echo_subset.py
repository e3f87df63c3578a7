"""A part of a set of images with boxes as a data set of its own, by patient, file by file, with a data.yaml."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from veritrain.data.choosing import demand_possible, draw_by_class, spaced, words_of
from veritrain.data.detection_sample import DetectionKey
from veritrain.data.echo import EchoFormat
from veritrain.data.sample import UNKNOWN
from veritrain.data.taking import WORLD, demand_apart, place_below, take, whole_or_nothing, world_card, write_card
from veritrain.errors import DataError, LayoutError, UsageError

PART_OF_NONE = "train"
"""What data.yaml calls images that no published part holds: it has no word for them."""


@dataclass(frozen=True, kw_only=True)
class EchoSubsetOptions:
    """What to take. Every word narrows what the others leave.

    Attributes:
        patients: their names as the file names have them, separated by commas; where no name tells the patient, the
            paths of images below the data set, without ending.
        classes: names, separated by commas: patients who have an object of one of them, with all their images.
        share: of the patients of each class that are left, drawn by the seed; at least one each.
        frames: of each video, evenly spaced in time; 0 takes all.
        seed: of the drawing.
        link: hard links instead of copies: no room taken, but a change in one place is a change in both.

    Raises:
        ConfigError: a value is out of range.
    """

    patients: str = ""
    classes: str = ""
    share: float = 1.0
    frames: int = 0
    seed: int = 0
    link: bool = False

    def __post_init__(self) -> None:
        demand_possible(share=self.share, frames=self.frames, seed=self.seed, example=4)


@dataclass(frozen=True, kw_only=True)
class EchoSubsetSummary:
    """What was written.

    Attributes:
        path: the new data set.
        patients: how many (images where no name tells the patient). videos, frames: how many.
        objects: boxes.
        by_class: class -> patients who have it.
        by_view: view -> images, "unknown" among them; empty without views.
        by_part: published part -> images.
        files: images and label files, written or linked.
        left_out: finding -> files of the whole data set that could not be meant, and so were not taken.
    """

    path: Path
    patients: int
    videos: int
    frames: int
    objects: int
    by_class: dict[str, int]
    by_view: dict[str, int]
    by_part: dict[str, int]
    files: int
    left_out: dict[str, int]


def write_echo_subset(source: EchoFormat, out: Path | str, options: EchoSubsetOptions) -> EchoSubsetSummary:
    """Copies or links the images of the chosen patients with their label files, where they lay below the data set.

    Paths and so ids stay. ``data.yaml`` names classes, views and folders as far as the data set does; the card of a
    made world is cut down to what was taken. The result is read again.

    Raises:
        UsageError: ``out`` holds something or lies inside the data set, or nothing is left to take.
        LayoutError: files lie outside of the data set's folder, or the result does not read as what was taken.
        StorageError: the disk is full, read-only, or cannot link; what was written is removed again.
    """
    folder, root = Path(out), source.set.root
    keys = choose_images(source, options)
    demand_apart(folder, root)
    files = [file for key in keys for file in source.files(key)]
    places = [place_below(root, file) for file in files]
    with whole_or_nothing(folder, link=options.link):
        for file, place in zip(files, places, strict=True):
            take(file, folder / place, link=options.link)
        text = yaml.safe_dump(_description(source, keys), sort_keys=False, allow_unicode=True)
        (folder / "data.yaml").write_text(text, encoding="utf-8")
        _write_world_card(source, folder, keys)
        summary = _summary(source, folder, keys)
        _write_card(source, folder, summary, options)
    _demand_equal(source, folder, keys)
    return summary


def choose_images(source: EchoFormat, options: EchoSubsetOptions) -> list[DetectionKey]:
    """The images to take, in the order of ``source.keys()``.

    Raises:
        UsageError: a word fits nothing, or no image is left.
    """
    classes: dict[str, set[int]] = defaultdict(set)
    for key in source.keys():  # noqa: SIM118 - a format is no mapping
        classes[key.group] |= {int(number) for number in source.labels(key).classes}
    left = _named(source, classes, words_of(options.patients))
    left = _with_class(source, left, words_of(options.classes))
    drawn = draw_by_class(left, options.share, options.seed)
    videos: dict[str, list[DetectionKey]] = defaultdict(list)
    for key in source.keys():  # noqa: SIM118
        if key.group in drawn:
            videos[key.video].append(key)
    taken = set()
    for those in videos.values():
        ordered = sorted(those, key=lambda key: (key.frame, key.id))
        taken |= {key.id for key in spaced(ordered, options.frames)}
    return [key for key in source.keys() if key.id in taken]  # noqa: SIM118


def _named(source: EchoFormat, classes: Mapping[str, set[int]], words: Sequence[str]) -> dict[str, set[int]]:
    for word in words:
        if word not in classes:
            raise UsageError(
                f"no patient '{word}'",
                file=source.path,
                expected=f"one of the {len(classes)} names that the file names begin with",
                found=word,
                fix="give the name as it stands in the file names, or --group_pattern to say where it stands",
            )
    return {name: those for name, those in classes.items() if not words or name in words}


def _with_class(source: EchoFormat, classes: Mapping[str, set[int]], words: Sequence[str]) -> dict[str, set[int]]:
    for word in words:
        if word not in source.classes:
            raise UsageError(
                f"no class '{word}'", expected=", ".join(source.classes), found=word, fix="choose from these"
            )
    numbers = {source.classes.index(word) for word in words}
    left = {name: those for name, those in classes.items() if not numbers or those & numbers}
    if not left:
        raise UsageError(
            "nothing is left to take",
            file=source.path,
            expected="at least one patient that fits all words",
            found=f"none with {' or '.join(words)}",
            fix="`veritrain data check` counts the patients of each class",
        )
    return left


def _description(source: EchoFormat, keys: Sequence[DetectionKey]) -> dict[str, Any]:
    """The content of data.yaml; what nobody said stays unsaid."""
    content: dict[str, Any] = {"nc": len(source.classes)}
    if source.classes != tuple(f"class {number}" for number in range(len(source.classes))):
        content["names"] = list(source.classes)
    if source.options.views or source.set.views:
        content["views"] = list(source.views)
    taken = {source.files(key)[0] for key in keys}
    folders: dict[str, set[str]] = defaultdict(set)
    for part, images in source.set.parts.items():
        for image in taken.intersection(images):
            folders[part or PART_OF_NONE].add(PurePosixPath(place_below(source.set.root, image)).parent.as_posix())
    for part, those in folders.items():
        outer = sorted(one for one in those if not any(_lies_in(one, other) for other in those))
        content[part] = outer[0] if len(outer) == 1 else outer
    return content


def _lies_in(one: str, other: str) -> bool:
    return one != other and (other == "." or one.startswith(f"{other}/"))


def _summary(source: EchoFormat, folder: Path, keys: Sequence[DetectionKey]) -> EchoSubsetSummary:
    labels = {key.id: source.labels(key) for key in keys}
    views = Counter(one.view for one in labels.values())
    by_view = {name: views[number] for number, name in enumerate(source.views)}
    return EchoSubsetSummary(
        path=folder,
        patients=len({key.group for key in keys}),
        videos=len({key.video for key in keys}),
        frames=len(keys),
        objects=sum(len(one.classes) for one in labels.values()),
        by_class={
            name: len({key.group for key in keys if number in labels[key.id].classes})
            for number, name in enumerate(source.classes)
        },
        by_view={**by_view, "unknown": views[UNKNOWN]} if source.views else {},
        by_part=dict(Counter(key.published or PART_OF_NONE for key in keys)),
        files=2 * len(keys),
        left_out=dict(Counter(one.name for one in source.inventory().problems if one.left_out)),
    )


def _write_card(source: EchoFormat, folder: Path, summary: EchoSubsetSummary, options: EchoSubsetOptions) -> None:
    """``subset.json``: what was asked, of what, and what was taken, in numbers."""
    whole = source.inventory()
    content = {
        "format": "echo",
        "asked": asdict(options),
        "of": {"patients": whole.groups, "videos": whole.videos, "frames": whole.frames},
        "assumed": whole.assumed,
        "taken": {name: value for name, value in asdict(summary).items() if name != "path"},
    }
    write_card(folder, content)


def _write_world_card(source: EchoFormat, folder: Path, keys: Sequence[DetectionKey]) -> None:
    """The card of a made world, with the frames that were taken alone."""
    root = source.set.root.resolve()
    card = world_card((root, *root.parents[:2]))
    if card is None:
        return
    try:
        content = dict(json.loads(card.read_text(encoding="utf-8")))
        names = {key.id.rpartition("/")[2] for key in keys}
        recordings = {
            name: {**one, "frames": {frame: facts for frame, facts in one["frames"].items() if frame in names}}
            for name, one in content.pop("recordings", {}).items()
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise LayoutError(
            "the card of the made world cannot be read",
            file=card,
            expected="JSON as `veritrain data make echo` writes it",
            found=str(error),
            fix="make the world again",
        ) from error
    content.pop("recordings_by_valve_and_view", None)  # counts of the whole
    content["recordings"] = {name: one for name, one in recordings.items() if one["frames"]}
    (folder / WORLD).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _demand_equal(source: EchoFormat, folder: Path, keys: Sequence[DetectionKey]) -> None:
    """Reads the result and holds ids, patients and labels against what was taken."""
    geometry = "polygon" if source.schema.polygons_only else "mixed"
    options = replace(source.options, names=(), views=(), geometry=geometry, longest_side=0)

    def told(one: EchoFormat, those: Sequence[DetectionKey]) -> dict[str, Any]:
        read = {key.id: one.labels(key) for key in those}
        return {
            key.id: (key.group, read[key.id].boxes.tolist(), read[key.id].classes.tolist(), read[key.id].view)
            for key in those
        }

    expected, found = told(source, keys), f"{len(keys)} images with other labels"
    try:
        part = EchoFormat(folder, options)
        if told(part, part.keys()) == expected:
            return
        if len(part.keys()) != len(keys):
            found = f"{len(part.keys())} images"
    except DataError as error:
        found = str(error.message)
    raise LayoutError(
        "the subset does not read as what was taken",
        file=folder,
        expected=f"{len(keys)} images of {len({key.group for key in keys})} patients, labels as before",
        found=found,
        fix="remove it; where data.yaml names no views say them (--views), or the data set changed while it was copied",
    )
