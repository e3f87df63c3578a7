"""What a set of images with boxes and views holds and what is wrong with it: ``veritrain data check``.

Labels are looked through and bytes are compared for every image, images are decoded for a sample. Levels are those of
:mod:`veritrain.data.inspection`. Groups appear under the first 12 digits of their name's sha256.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.data.check_form import check_form, shared_between
from veritrain.data.detection_inventory import DetectionInventory
from veritrain.data.detection_labels import read_text
from veritrain.data.detection_sample import DetectionKey, FrameLabels
from veritrain.data.detection_splits import leak_between
from veritrain.data.echo import EchoFormat
from veritrain.data.echo_remarks import remarks_of
from veritrain.data.image_file import read_image
from veritrain.data.inspection import Remark
from veritrain.data.sample import UNKNOWN
from veritrain.data.splits import PARTS
from veritrain.data.view_rule import ViewRule, view_table
from veritrain.errors import BrokenFileError, ConfigError

SAMPLE = 2000
"""Images that are decoded without another word."""
LARGEST = 5
"""Groups that are listed, the largest first."""
QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)


@dataclass(frozen=True, kw_only=True)
class EchoInspection:
    """What was found; dictionaries are as ``data check --json`` prints them.

    Attributes:
        inventory: names, what is assumed, what was left out.
        classes: class -> objects, frames, groups, videos.
        views: view ("unknown" among them) -> frames, groups, videos.
        parts: published part -> frames, objects, groups, videos, classes, views.
        leaks: "train/val", ... -> what the published parts share. shared_groups: patients in several published parts.
        objects: "instances" the reader gives, "label_lines" counted apart from it, "repeated", "polygons",
            "empty_frames", "thin" (a side below 2 pixels), QUANTILES of "width" and "height".
        valve_views: "table" class -> view -> frames, "rule" class -> view and accuracy (fitted and scored on all
            frames), "overall" and "macro" accuracy of the rule, "most_frequent_view" accuracy without knowing the
            class; None without views.
        concentration: how the frames spread over groups and videos; "effective" is (sum n)^2 / sum n^2.
        within_videos: how often the views of one recording disagree; None without views.
        copies: images with the same bytes under several names.
        sizes: "WxH" -> images decoded.
        sampled: "of", "read", "broken".
        remarks: errors first.
    """

    inventory: DetectionInventory
    classes: dict[str, dict[str, int]]
    views: dict[str, dict[str, int]]
    parts: dict[str, dict[str, Any]]
    leaks: dict[str, dict[str, int]]
    shared_groups: int
    objects: dict[str, Any]
    valve_views: dict[str, Any] | None
    concentration: dict[str, Any]
    within_videos: dict[str, int] | None
    copies: dict[str, Any]
    sizes: dict[str, int]
    sampled: dict[str, int]
    remarks: list[Remark]

    @property
    def usable(self) -> bool:
        """No finding is an error."""
        return all(remark.level != "error" for remark in self.remarks)

    def as_json(self) -> dict[str, Any]:
        """The keys that every format with boxes has, the inventory's fields, and beside them what was found."""
        found = {name: value for name, value in vars(self).items() if name not in ("inventory", "remarks")}
        named = {"classes", "views"}  # the inventory has the names alone; the counts have them as keys
        listed = {name: value for name, value in asdict(self.inventory).items() if name not in {*named, "objects"}}
        form = check_form(
            name="echo",
            annotation="horizontal",
            objects=self.inventory.objects,
            classes={name: (one["objects"], one["frames"]) for name, one in self.classes.items()},
            splits={part: (one["frames"], one["objects"], one["groups"]) for part, one in self.parts.items()},
            shared_groups=found.pop("shared_groups"),
            malformed=sum(problem.line is not None and problem.left_out for problem in self.inventory.problems),
        )
        counts = {name: {**form["classes"][name], **one} for name, one in found.pop("classes").items()}
        return {
            **form,
            **listed,
            "classes": counts,
            "boxes": found.pop("objects"),
            **found,
            "findings": [asdict(remark) for remark in self.remarks],
            "usable": self.usable,
        }


def inspect_echo(source: EchoFormat, *, sample: int | None = None, strict: bool = True) -> EchoInspection:
    """Looks through a data set that was opened with ``on_broken="skip"``, so that everything is listed.

    Args:
        source: the data set.
        sample: images to decode, evenly spaced over all; None takes all up to SAMPLE.
        strict: what cannot be meant is an error, as ``on_broken="error"`` has it; else a warning.

    Raises:
        ConfigError: ``sample`` is below 1.
    """
    if sample is not None and sample < 1:
        raise ConfigError("nothing to read", expected="--sample of at least 1", found=str(sample), fix="--sample 20")
    keys = source.keys()
    frames = [(key, source.labels(key)) for key in keys]
    sizes, broken, read = _decoded(source, keys, sample or SAMPLE)
    copies = _copies(source, frames)
    inventory = source.inventory()
    parts = {part: [one for one in frames if one[0].published == part] for part in PARTS}
    values: dict[str, Any] = {
        "inventory": inventory,
        "classes": _by_class(frames, source.classes),
        "views": _by_view(frames, source.views),
        "parts": {part: _part(those, source) for part, those in parts.items() if those},
        "leaks": {
            f"{one}/{two}": asdict(leak_between([key for key, _ in parts[one]], [key for key, _ in parts[two]]))
            for one, two in combinations(PARTS, 2)
            if parts[one] and parts[two]
        },
        "shared_groups": shared_between({part: [key.group for key, _ in those] for part, those in parts.items()}),
        "objects": _objects(source, frames, sizes),
        "valve_views": _valve_views(frames, source.classes, source.views),
        "concentration": _concentration(keys),
        "within_videos": _within_videos(frames) if source.views else None,
        "copies": copies,
        "sizes": dict(Counter(f"{width}x{height}" for width, height in sizes.values()).most_common()),
        "sampled": {"of": len(frames), "read": read, "broken": len(broken)},
    }
    foreign = sorted(str(file) for file in source.set.root.rglob("*.cache"))
    remarks = remarks_of(values, broken=broken, foreign=foreign, strict=strict)
    return EchoInspection(**values, remarks=remarks)


def hashed(name: str) -> str:
    """A group's name as 12 hexadecimal digits, as a run's ``data.json`` has it."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]


Frames = list[tuple[DetectionKey, FrameLabels]]


def _decoded(
    source: EchoFormat, keys: list[DetectionKey], count: int
) -> tuple[dict[str, tuple[int, int]], list[BrokenFileError], int]:
    """id -> (width, height) of those that decode, what does not, and how many do."""
    sizes, broken = {}, []
    for place in np.unique(np.rint(np.linspace(0, len(keys) - 1, min(count, len(keys)))).astype(np.int64)):
        key = keys[place]
        try:
            image = read_image(source.files(key)[0])
        except BrokenFileError as error:
            broken.append(error)
            continue
        sizes[key.id] = (image.shape[1], image.shape[0])
    return sizes, broken, len(sizes)


def _tally(keys: Iterable[DetectionKey]) -> dict[str, int]:
    those = list(keys)
    return {
        "frames": len(those),
        "groups": len({key.group for key in those}),
        "videos": len({key.video for key in those}),
    }


def _by_class(frames: Frames, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for number, name in enumerate(names):
        holding = [(key, labels) for key, labels in frames if (labels.classes == number).any()]
        objects = sum(int((labels.classes == number).sum()) for _, labels in holding)
        found[name] = {"objects": objects, **_tally(key for key, _ in holding)}
    return found


def _by_view(frames: Frames, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    if not names:
        return {}
    numbered = [*enumerate(names), (UNKNOWN, "unknown")]
    return {name: _tally(key for key, labels in frames if labels.view == number) for number, name in numbered}


def _part(frames: Frames, source: EchoFormat) -> dict[str, Any]:
    return {
        **_tally(key for key, _ in frames),
        "objects": sum(len(labels.classes) for _, labels in frames),
        "classes": {name: one["objects"] for name, one in _by_class(frames, source.classes).items()},
        "views": {name: one["frames"] for name, one in _by_view(frames, source.views).items()},
    }


def _objects(source: EchoFormat, frames: Frames, sizes: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Boxes as the reader gives them, beside the lines of the files counted without it."""
    boxes = np.concatenate([labels.boxes for _, labels in frames] or [np.zeros((0, 4), np.float32)])
    thin = sum(
        int((labels.boxes[:, 2:] * np.array(sizes[key.id], np.float32) < 2).any(axis=1).sum())
        for key, labels in frames
        if key.id in sizes
    )
    return {
        "instances": len(boxes),
        "label_lines": sum(_object_lines(read_text(source.files(key)[1])) for key, _ in frames),
        "repeated": sum(len(labels.repeated) for _, labels in frames),
        "polygons": sum(labels.polygons for _, labels in frames),
        "empty_frames": sum(not len(labels.classes) for _, labels in frames),
        "thin": thin,
        "width": _quantiles(boxes[:, 2]),
        "height": _quantiles(boxes[:, 3]),
    }


def _object_lines(text: str) -> int:
    """Lines that are not blank and not all zeros and ones: counted by no rule of the reader's."""
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return sum(not set(tokens) <= {"0", "1"} for tokens in lines)


def _quantiles(values: NDArray[np.float32]) -> list[float] | None:
    return [round(float(one), 4) for one in np.quantile(values, QUANTILES)] if len(values) else None


def _pairs(frames: Frames) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A class and a view for each class that an image has."""
    pairs = [(int(one), labels.view) for _, labels in frames for one in np.unique(labels.classes)]
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def _valve_views(frames: Frames, classes: tuple[str, ...], views: tuple[str, ...]) -> dict[str, Any] | None:
    valves, seen = _pairs(frames)
    if not views or not (seen != UNKNOWN).any():
        return None
    table = view_table(valves, seen, of_classes=len(classes), of_views=len(views))
    rule = ViewRule.fit(valves, seen, of_classes=len(classes), of_views=len(views))
    accuracy = rule.accuracy(valves, seen)
    right = sum(table[number, view] for number, view in enumerate(rule.view_of))
    return {
        "table": {name: dict(zip(views, map(int, row), strict=True)) for name, row in zip(classes, table, strict=True)},
        "rule": {
            name: {"view": views[view], "accuracy": None if np.isnan(value) else float(value), "frames": int(row.sum())}
            for name, view, value, row in zip(classes, rule.view_of, accuracy, table, strict=True)
        },
        "overall": float(right / table.sum()),
        "macro": float(np.nanmean(accuracy)),
        "most_frequent_view": float(table.sum(axis=0).max() / table.sum()),
    }


def _concentration(keys: list[DetectionKey]) -> dict[str, Any]:
    groups, videos = Counter(key.group for key in keys), Counter(key.video for key in keys)
    sizes = np.array(list(groups.values()), np.float64)
    return {
        "groups": len(groups),
        "effective": round(float(sizes.sum() ** 2 / (sizes**2).sum()), 2),
        "largest": [
            {"group": hashed(name), "frames": count, "share": count / len(keys)}
            for name, count in groups.most_common(LARGEST)
        ],
        "videos": len(videos),
        "frames_in_a_video_median": float(np.median(list(videos.values()))),
    }


def _within_videos(frames: Frames) -> dict[str, int]:
    """How often a recording has several views, a frame its most frequent one, and neighbours different ones."""
    videos: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for key, labels in frames:
        if labels.view != UNKNOWN:
            videos[key.video].append((key.frame, labels.view))
    agree = sum(Counter(view for _, view in those).most_common(1)[0][1] for those in videos.values())
    neighbours = [
        (one[1], two[1])
        for those in videos.values()
        for one, two in zip(sorted(those), sorted(those)[1:], strict=False)
        if one[0] >= 0 and two[0] - one[0] == 1
    ]
    return {
        "videos": len(videos),
        "with_several_views": sum(len({view for _, view in those}) > 1 for those in videos.values()),
        "frames": sum(map(len, videos.values())),
        "most_frequent_of_their_video": agree,
        "neighbours": len(neighbours),
        "neighbours_that_differ": sum(one != two for one, two in neighbours),
    }


def _copies(source: EchoFormat, frames: Frames) -> dict[str, Any]:
    """Sets of images with equal bytes, and what differs within them."""
    sets: dict[str, Frames] = defaultdict(list)
    for key, labels in frames:
        sets[hashlib.sha256(source.files(key)[0].read_bytes()).hexdigest()].append((key, labels))
    several = [those for those in sets.values() if len(those) > 1]
    overlaps = [
        _overlap(one.boxes[0], two.boxes[0])
        for those in several
        for (_, one), (_, two) in combinations(those, 2)
        if len(one.boxes) == len(two.boxes) == 1
    ]
    return {
        "sets": len(several),
        "files": sum(map(len, several)),
        "across_parts": sum(len({key.published for key, _ in those}) > 1 for those in several),
        "other_classes": sum(len({tuple(sorted(one.classes)) for _, one in those}) > 1 for those in several),
        "other_views": sum(len({one.view for _, one in those} - {UNKNOWN}) > 1 for those in several),
        "other_boxes": sum(len({one.boxes.tobytes() for _, one in those}) > 1 for those in several),
        "box_iou_median": float(np.median(overlaps)) if overlaps else None,
    }


def _overlap(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes (4,) of centre and size."""
    low = np.maximum(one[:2] - one[2:] / 2, two[:2] - two[2:] / 2)
    high = np.minimum(one[:2] + one[2:] / 2, two[:2] + two[2:] / 2)
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / float(np.prod(one[2:]) + np.prod(two[2:]) - shared)
