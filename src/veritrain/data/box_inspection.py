"""What a set of aerial images with boxes holds and what is wrong with it: ``veritrain data check`` of DIOR and COCO.

Objects are counted as the files hold them, malformed ones among them, so that the counts can be held against published
ones; what a reader of the set gets is counted apart ("kept"). Levels are those of :mod:`veritrain.data.inspection`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from veritrain.data.box_remarks import remarks_of
from veritrain.data.boxed_images import MALFORMED, BoxedImage, BoxedImages
from veritrain.data.check_form import check_form, shared_between
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.detection_inventory import DetectionInventory, FileProblem
from veritrain.data.detection_splits import leak_between
from veritrain.data.dior import DiorFormat
from veritrain.data.image_presence import SAMPLE, look_at_images
from veritrain.data.inspection import Remark
from veritrain.errors import ConfigError

MAX_DETS = (100, 300, 500)
"""Detections that an evaluation keeps of an image and a class, or a network gives of an image."""
COUNT_EDGES = (0, 1, 2, 6, 21, 101, 301, 501)
"""First counts of the classes of images by their objects: none, 1, 2 to 5, 6 to 20, ..., above 500."""
SMALL, MEDIUM = 32**2, 96**2
"""Square pixels of the stored image below which an object is small, and up to which it is medium (COCO's bounds)."""
ALL = "all"

Images = Sequence[BoxedImage]


@dataclass(frozen=True, kw_only=True)
class BoxInspection:
    """What was found; dictionaries are as ``data check --json`` prints them.

    Attributes:
        format_name, annotation: "dior" or "coco", "horizontal" or "oriented".
        inventory: names, what is assumed, what was left out; its objects are those that are kept.
        objects: that the files hold.
        classes: class -> "objects", "images".
        splits: published split -> "images", "objects", "groups", "several_classes" (images with more than one class),
            "most_objects" (in one image), "classes" -> objects.
        shared_groups: groups in several splits. leaks: "train/val", ... -> what both share.
        malformed: the boxes that cannot be meant and are left out.
        oriented: of the oriented boxes beside horizontal ones: "objects", "classes", "malformed", "overhanging" (with a
            corner outside), "sizes", "images_that_differ" (in how many objects of which class), "files"; of oriented
            boxes alone the same without the last two; None without any.
        sizes: stated "WxH" -> images.
        object_sizes: "small", "medium", "large" -> objects that are kept, by COCO's bounds at the stored size.
        images_by_objects: split (or "all") -> "0", "1", "2-5", ... -> images.
        max_dets: limit -> split (or "all") -> "pairs" of image and class with more objects than that, "unreachable"
            objects beyond it, "share" of all objects, "images" with more objects of all classes, "beyond" it.
        further: "kept" objects, "groups", "crowds", "repeated" (equal class and box in an image), "renamed" spellings,
            "unknown_classes", "unlisted" images in no split.
        images: what is there of the images. copies: images with the same bytes.
        remarks: errors first.
    """

    format_name: str
    annotation: str
    inventory: DetectionInventory
    objects: int
    classes: dict[str, dict[str, int]]
    splits: dict[str, dict[str, Any]]
    shared_groups: int
    leaks: dict[str, dict[str, int]]
    malformed: list[FileProblem]
    oriented: dict[str, Any] | None
    sizes: dict[str, int]
    object_sizes: dict[str, int]
    images_by_objects: dict[str, dict[str, int]]
    max_dets: dict[str, dict[str, dict[str, Any]]]
    further: dict[str, Any]
    images: dict[str, int]
    copies: dict[str, int]
    remarks: list[Remark]

    @property
    def usable(self) -> bool:
        """No finding is an error."""
        return all(remark.level != "error" for remark in self.remarks)

    def as_json(self) -> dict[str, Any]:
        """The keys that every format with boxes has, and beside them what was found."""
        form = check_form(
            name=self.format_name,
            annotation=self.annotation,
            objects=self.objects,
            classes={name: (one["objects"], one["images"]) for name, one in self.classes.items()},
            splits={name: (one["images"], one["objects"], one["groups"]) for name, one in self.splits.items()},
            shared_groups=self.shared_groups,
            malformed=len(self.malformed),
        )
        further = {"several_classes", "most_objects", "classes"}
        return {
            **form,
            "oriented": self.oriented,
            "malformed_boxes": [asdict(one) for one in self.malformed],
            "problems": [asdict(one) for one in self.inventory.problems if one.name not in MALFORMED],
            "split_details": {
                name: {key: one[key] for key in one if key in further} for name, one in self.splits.items()
            },
            "leaks": self.leaks,
            "sizes": self.sizes,
            "object_sizes": self.object_sizes,
            "images_by_objects": self.images_by_objects,
            "max_dets": self.max_dets,
            **self.further,
            "images": self.images,
            "copies": self.copies,
            "assumed": self.inventory.assumed,
            "findings": [asdict(remark) for remark in self.remarks],
            "usable": self.usable,
        }


def inspect_boxes(
    source: DiorFormat | CocoBoxes,
    *,
    sample: int | None = None,
    strict: bool = True,
    strict_boxes: bool = False,
) -> BoxInspection:
    """Looks through a data set that was opened with "skip" and "drop", so that everything is listed.

    Args:
        source: the data set. sample: images to decode, evenly spaced; None takes all up to SAMPLE.
        strict: files that cannot be meant are an error, as ``on_broken="error"`` has it; else a warning.
        strict_boxes: malformed boxes are an error, as ``on_malformed="error"`` has it; else a warning.

    Raises:
        ConfigError: ``sample`` is below 1.
    """
    if sample is not None and sample < 1:
        raise ConfigError("nothing to read", expected="--sample of at least 1", found=str(sample), fix="--sample 20")
    every = [source.about(key) for key in source.keys()]  # noqa: SIM118 - a format is no mapping
    parts = _by_part(source)
    looked = look_at_images(source, sample or SAMPLE)
    inventory = source.inventory()
    inventory = replace(inventory, problems=[*inventory.problems, *looked.problems])
    values: dict[str, Any] = {
        "format_name": source.format_name,
        "annotation": source.annotation,
        "inventory": inventory,
        "objects": sum(len(one.stated) for one in every),
        "classes": count_classes(every, source.classes),
        "splits": {name: _split(those, source.classes) for name, those in parts.items()},
        "shared_groups": shared_between({name: [one.group for one in those] for name, those in parts.items()}),
        "leaks": _leaks(source),
        "malformed": [one for one in inventory.problems if one.name in MALFORMED],
        "oriented": _oriented(source, every) if isinstance(source, DiorFormat) else None,
        "sizes": sizes_of(every),
        "object_sizes": _object_sizes(every),
        "images_by_objects": {name: _by_objects(those) for name, those in {ALL: every, **parts}.items()},
        "max_dets": {
            str(limit): {name: _beyond(those, limit) for name, those in {ALL: every, **parts}.items()}
            for limit in MAX_DETS
        },
        "further": _further(source, every),
        "images": looked.counts,
        "copies": looked.copies,
    }
    return BoxInspection(**values, remarks=remarks_of(values, strict=strict, strict_boxes=strict_boxes))


def count_classes(images: Images, names: Sequence[str]) -> dict[str, dict[str, int]]:
    """Class -> objects, and images that have one."""
    objects, holding = Counter[int](), Counter[int]()
    for one in images:
        numbers, counts = np.unique(one.stated, return_counts=True)
        objects.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        holding.update(numbers.tolist())
    return {name: {"objects": objects[place], "images": holding[place]} for place, name in enumerate(names)}


def sizes_of(images: Images) -> dict[str, int]:
    """Stated "WxH" -> images, the most frequent first."""
    return dict(Counter(f"{one.width}x{one.height}" for one in images).most_common())


def _by_part(source: BoxedImages) -> dict[str, list[BoxedImage]]:
    by_id = {key.id: source.about(key) for key in source.keys()}  # noqa: SIM118
    return {part: [by_id[name] for name in names if name in by_id] for part, names in source.splits.items()}


def _split(images: Images, names: Sequence[str]) -> dict[str, Any]:
    return {
        "images": len(images),
        "objects": sum(len(one.stated) for one in images),
        "groups": len({one.group for one in images}),
        "several_classes": sum(len(np.unique(one.stated)) > 1 for one in images),
        "most_objects": max((len(one.stated) for one in images), default=0),
        "classes": {name: one["objects"] for name, one in count_classes(images, names).items()},
    }


def _leaks(source: BoxedImages) -> dict[str, dict[str, int]]:
    by_id = {key.id: key for key in source.keys()}  # noqa: SIM118
    keys = {part: [by_id[name] for name in names if name in by_id] for part, names in source.splits.items()}
    found = {}
    for one, two in combinations(keys, 2):
        leak = leak_between(keys[one], keys[two])
        same = len(set(source.splits[one]) & set(source.splits[two]))
        found[f"{one}/{two}"] = {
            "groups": leak.groups,
            "of_groups": leak.of_groups,
            "images": leak.frames,
            "of_images": leak.of_frames,
            "same_images": same,
        }
    return found


def _oriented(source: DiorFormat, every: Images) -> dict[str, Any] | None:
    if "oriented" not in source.kinds:
        return None
    if source.annotation == "oriented":
        return _oriented_counts(source, every)
    twin = DiorFormat(source.path, replace(source.options, boxes="oriented"))
    keys = {key.id: key for key in twin.keys()}  # noqa: SIM118
    differing = sum(
        key.id in keys
        and Counter(source.about(key).stated.tolist()) != Counter(twin.about(keys[key.id]).stated.tolist())
        for key in source.keys()  # noqa: SIM118
    )
    counts = _oriented_counts(twin, [twin.about(key) for key in keys.values()])
    both = {key.id for key in source.keys()} & set(keys)  # noqa: SIM118
    return {**counts, "images_in_both": len(both), "images_that_differ": differing}


def _oriented_counts(source: DiorFormat, images: Images) -> dict[str, Any]:
    problems = source.inventory().problems
    return {
        "objects": sum(len(one.stated) for one in images),
        "classes": count_classes(images, source.classes),
        "malformed": sum(one.name in MALFORMED for one in problems),
        "malformed_boxes": [asdict(one) for one in problems if one.name in MALFORMED],
        "problems": [asdict(one) for one in problems if one.name not in MALFORMED],
        "overhanging": source.overhanging,
        "sizes": sizes_of(images),
        "files": source.kinds["oriented"],
    }


def _object_sizes(images: Images) -> dict[str, int]:
    areas = np.concatenate([one.areas for one in images])
    areas = areas[~np.isnan(areas)]
    small, large = int((areas < SMALL).sum()), int((areas > MEDIUM).sum())
    return {"small": small, "medium": len(areas) - small - large, "large": large}


def _by_objects(images: Images) -> dict[str, int]:
    counts = np.array([len(one.stated) for one in images], np.int64)
    found = {}
    for first, after in zip(COUNT_EDGES, [*COUNT_EDGES[1:], None], strict=True):
        last = None if after is None else after - 1
        name = f"{first}-{last}" if last is not None and last > first else str(first) if last == first else f"{first}-"
        found[name] = int(((counts >= first) & (True if after is None else counts < after)).sum())
    return found


def _beyond(images: Images, limit: int) -> dict[str, Any]:
    """What an evaluation that keeps ``limit`` detections of an image and a class, or of an image, cannot reach."""
    each = [np.bincount(one.stated) for one in images if len(one.stated)]
    of_pairs = np.concatenate(each) if each else np.zeros(0, np.int64)
    of_images = np.array([counts.sum() for counts in each], np.int64)
    total = int(of_images.sum())
    unreachable = int(np.maximum(of_pairs - limit, 0).sum())
    return {
        "pairs": int((of_pairs > limit).sum()),
        "unreachable": unreachable,
        "share": unreachable / total if total else None,
        "images": int((of_images > limit).sum()),
        "beyond": int(np.maximum(of_images - limit, 0).sum()),
    }


def _further(source: DiorFormat | CocoBoxes, images: Images) -> dict[str, Any]:
    listed = {name for names in source.splits.values() for name in names}
    found = {
        "kept": sum(len(one.labels.classes) for one in images),
        "groups": len({one.group for one in images}),
        "repeated": sum(_repeated(one) for one in images),
        "unlisted": sum(key.id not in listed for key in source.keys()) if source.splits else 0,  # noqa: SIM118
        "crowds": source.crowds if isinstance(source, CocoBoxes) else 0,
    }
    if isinstance(source, DiorFormat):
        renamed = {word: {"class": name, "objects": count} for word, (name, count) in source.renamed.items()}
        return {
            **found,
            "renamed": renamed,
            "unknown_classes": source.unknown_classes,
            "filenames_differ": source.filenames_differ,
            "scenes_declared": source.scenes_declared,
        }
    return {**found, "documents": [str(file) for file in source.documents]}


def _repeated(one: BoxedImage) -> int:
    rows = np.column_stack((one.labels.classes, one.labels.boxes))
    return len(rows) - len(np.unique(rows, axis=0)) if len(rows) else 0
