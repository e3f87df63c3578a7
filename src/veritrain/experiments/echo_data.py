"""The boxed images of one recipe: read, split by patient, spoilt where the recipe asks; and their trivial answers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.data.autoanchor import AnchorCheck, check_anchors
from veritrain.data.detection_cache import CachedDetections, open_echo
from veritrain.data.detection_frames import DetectionFrames, letterbox_shape
from veritrain.data.detection_sample import DetectionKey
from veritrain.data.detection_splits import DetectionSplit, split_detections
from veritrain.data.held import choose_hold
from veritrain.data.options import EchoOptions, Hold, ImageChanges, SplitPolicy
from veritrain.data.sample import UNKNOWN
from veritrain.data.splits import PARTS
from veritrain.errors import DataError
from veritrain.experiments.driving_data import LICENCES, MADE_DATA_FILE, short_hash
from veritrain.metrics.boxes import Truths
from veritrain.models.options import COCO_ANCHORS
from veritrain.tasks.box_tables import as_predictions
from veritrain.tasks.class_tables import rule_given, shares_of
from veritrain.tasks.constant_boxes import ConstantBoxes
from veritrain.tasks.options import JointRecipe
from veritrain.tasks.task import Predictions


@dataclass(frozen=True, kw_only=True)
class EchoData:
    """Three sets and what is known about them.

    Attributes:
        sets: part to its images, labels as this run reads them.
        keys: part to their keys, in the order of the set.
        classes, views: names, in the order of the numbers.
        split: how it came about, and what it leaks.
        anchors: how the anchors fit the training boxes; None without a detector.
        card: the content of ``data.json``.
        held: a sentence: where the images are held, and why.
    """

    sets: Mapping[str, DetectionFrames]
    keys: Mapping[str, Sequence[DetectionKey]]
    classes: tuple[str, ...]
    views: tuple[str, ...]
    split: DetectionSplit
    anchors: AnchorCheck | None
    card: Mapping[str, Any]
    held: str

    @property
    def test_groups(self) -> list[str]:
        return [key.group for key in self.keys["test"]]


def open_echo_data(recipe: JointRecipe) -> EchoData:
    """Read, split and label.

    Raises:
        DataError: a broken data set, a split that cannot carry the claim, or no view where one is to be learned.
    """
    options = EchoOptions(
        on_broken=recipe.on_broken,
        geometry=recipe.geometry,
        group_pattern=recipe.group_pattern,
        longest_side=recipe.imgsz,
    )
    source = open_echo(recipe.data, options, cache=Path(recipe.cache) if recipe.cache else None)
    classes, views = tuple(source.classes), tuple(source.views)
    _demand_labels(recipe, classes, views)
    policy: SplitPolicy = "published" if recipe.split == "published" else "group"
    split = split_detections(source, policy, classes=classes, views=views)
    by_id = {key.id: key for key in source.keys()}  # noqa: SIM118 - a method of the data set
    keys = {part: [by_id[name] for name in getattr(split.split, part)] for part in PARTS}
    if recipe.split == "val=train":
        keys["val"] = keys["train"]
    shape = letterbox_shape((source.stored_size(key) for key in by_id.values()), recipe.imgsz)
    needed = 3 * shape[0] * shape[1] * len(by_id) * (1 + recipe.workers)
    hold, told = choose_hold(recipe.hold, needed=needed, budget_mb=recipe.memory_mb)
    sets = _sets(source, keys, shape, recipe, hold)
    anchors = None if recipe.tasks == "view" else _anchors(sets["train"], recipe)
    card = _card(source, keys, split, shape, recipe) | {"anchors": None if anchors is None else _told(anchors)}
    return EchoData(
        sets=sets, keys=keys, classes=classes, views=views, split=split, anchors=anchors, card=card, held=told
    )


def _demand_labels(recipe: JointRecipe, classes: Sequence[str], views: Sequence[str]) -> None:
    if recipe.tasks != "detection" and len(views) < 2:
        raise DataError(
            "no view to learn",
            expected="label files with a line of one 1 and zeros for the view, of two views or more",
            found=f"{len(views)} views",
            fix="--tasks detection learns the boxes alone",
            file=Path(recipe.data),
        )
    if not classes:
        raise DataError("no box to learn", expected="label files with boxes or polygons", file=Path(recipe.data))


def _sets(
    source: CachedDetections,
    keys: Mapping[str, Sequence[DetectionKey]],
    shape: tuple[int, int],
    recipe: JointRecipe,
    hold: Hold,
) -> dict[str, DetectionFrames]:
    changes = {"train": recipe.image_changes()}
    return {
        part: DetectionFrames(
            source,
            keys[part],
            shape,
            classes=len(source.classes),
            views=len(source.views),
            labels=recipe.labels if part != "test" else "given",
            label_seed=recipe.seed,
            changes=changes.get(part, ImageChanges()),
            hold=hold,
        )
        for part in PARTS
    }


def _anchors(train: DetectionFrames, recipe: JointRecipe) -> AnchorCheck:
    """Against the boxes as given, in pixels of the letterbox: spoilt labels do not choose anchors."""
    sides = [_sides(train, index) for index in range(len(train))]
    found = check_anchors(np.concatenate(sides), COCO_ANCHORS)
    if recipe.anchors == "auto":
        return found
    return replace(found, anchors=np.asarray(COCO_ANCHORS, np.float64), new_recall=found.recall, refitted=False)


def _sides(train: DetectionFrames, index: int) -> NDArray[np.float64]:
    width, height = train.source.stored_size(train.keys[index])
    ratio = min(train.shape[0] / height, train.shape[1] / width)
    shares = train.source.labels(train.keys[index]).boxes[:, 2:].astype(np.float64)
    return shares * np.array([width, height]) * ratio


def _told(anchors: AnchorCheck) -> dict[str, Any]:
    return {**asdict(anchors), "anchors": anchors.anchors.tolist()}


def _card(
    source: CachedDetections,
    keys: Mapping[str, Sequence[DetectionKey]],
    split: DetectionSplit,
    shape: tuple[int, int],
    recipe: JointRecipe,
) -> dict[str, Any]:
    """What lies where; names of patients and files as hashes."""
    root = source.source.root
    made = any((folder / MADE_DATA_FILE).is_file() for folder in (root, Path(recipe.data), *root.parents[:2]))
    licence, commercial = LICENCES[made]
    inventory = source.inventory()
    return {
        "schema": 1,
        "format": "echo",
        "made_data": made,
        "medical": True,
        "licence": licence,
        "commercial_use": commercial,
        "split_sha256": split.split.sha256,
        "split": split.as_json(),
        "split_told": split.told(),
        "image_size": list(shape),
        "splits": {part: _part_card(source, those) for part, those in keys.items()},
        "classes": list(source.classes),
        "views": list(source.views),
        "assumed": inventory.assumed,
        "problems": dict(Counter(problem.name for problem in inventory.problems)),
        "dropped": [
            {"file": short_hash(problem.file), "line": problem.line, "reason": problem.name}
            for problem in inventory.problems
            if problem.left_out
        ],
    }


def _part_card(source: CachedDetections, keys: Sequence[DetectionKey]) -> dict[str, Any]:
    labels = [source.labels(key) for key in keys]
    digest = hashlib.sha256()
    for one in labels:
        digest.update(one.boxes.tobytes() + one.classes.tobytes() + np.int64(one.view).tobytes())
    boxes = Counter(int(number) for one in labels for number in one.classes)
    views = Counter(one.view for one in labels)
    return {
        "groups": sorted({short_hash(key.group) for key in keys}),
        "videos": len({key.video for key in keys}),
        "frames": len(keys),
        "positives": sum(len(one.classes) > 0 for one in labels),
        "negatives": sum(len(one.classes) == 0 for one in labels),
        "unknown": views[UNKNOWN],
        "labelled": {
            "boxes": {name: boxes[number] for number, name in enumerate(source.classes)},
            "view": {name: views[number] for number, name in enumerate(source.views)},
        },
        "largest_group": max(Counter(key.group for key in keys).values()),
        "groups_with": {
            name: len({key.group for key, one in zip(keys, labels, strict=True) if number in one.classes})
            for number, name in enumerate(source.classes)
        },
        "labels_sha256": digest.hexdigest(),
        "contents": [source.content_hash(key)[:16] for key in keys],
    }


class TrivialAnswers:
    """Constant boxes, the shares of the views, and the most frequent view given the valve; fitted on train.

    The first two see no input. The rule sees the labelled valves of the image that it answers for, which no network
    does: it is what knowing the valve tells of the view, and only ``view_accuracy_given_valve`` is held against it.
    """

    def __init__(self, data: EchoData) -> None:
        train = data.sets["train"].with_given_labels()
        self._classes, self._views = len(data.classes), len(data.views)
        labels = [train.labels_at(index) for index in range(len(train))]
        sizes = np.array([train.source.stored_size(key) for key in train.keys], np.float64)
        self._sizes = {
            part: np.array([one.source.stored_size(key) for key in one.keys], np.float64)
            for part, one in data.sets.items()
        }
        images = np.repeat(np.arange(len(labels)), [len(one[0]) for one in labels])
        shares = np.concatenate([one[0] for one in labels]).astype(np.float64)
        corners = np.concatenate((shares[:, :2] - shares[:, 2:] / 2, shares[:, :2] + shares[:, 2:] / 2), axis=1)
        classes = np.concatenate([one[1] for one in labels])
        truths = Truths(images, corners * np.tile(sizes[images], (1, 2)), classes)
        self._boxes = ConstantBoxes.fit(truths, len(labels), self._classes, sizes=sizes)
        self._train_views = np.array([one[2] for one in labels], np.int64)
        self._valves = np.zeros((len(labels), self._classes), bool)
        self._valves[images, classes] = True

    def predict(self, part: str, like: Predictions, *, threshold: float | None = None) -> dict[str, Predictions]:
        """Name to predictions for the split ``part``; ``like`` are a network's for the same images, in order.

        Args:
            threshold: of the constant boxes' scores, chosen on validation; None where no rate is asked for.
        """
        found: dict[str, Predictions] = {}
        kept = {key: like[key] for key in ("index", "truth_counts", "truth_boxes", "truth_classes")}
        if "box_counts" in like:
            boxes = self._boxes.predict(len(like["truth_counts"]), self._sizes[part])
            found["constant boxes"] = as_predictions(boxes, kept, threshold=threshold)
        if "view_labels" in like:
            n = len(like["view_labels"])
            shares = np.tile(shares_of(self._train_views, self._views), (n, 1))
            seen = {"view_probabilities": shares, "view_labels": like["view_labels"], "valves": like["valves"]}
            answers = rule_given(self._train_views, self._valves, self._views, n)
            found["most frequent view"] = {**kept, **seen}
            found["most frequent view given the valve"] = {**kept, **seen, "view_answers_given": answers}
        return found
