"""The aerial images of one run: read, split, novel classes hidden as a protocol says, spoilt where asked."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from veritrain.data.aerial_frames import AerialFrames
from veritrain.data.box_changes import CHANNEL_SHARE, LEAST_CROP, LEAST_SIDE, MIDDLE
from veritrain.data.boxed_images import BoxedImages
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.detection_cache import CachedDetections, open_boxed
from veritrain.data.detection_frames import letterbox_shape
from veritrain.data.detection_sample import DetectionKey
from veritrain.data.detection_splits import DetectionSplit, split_detections
from veritrain.data.dior import DiorFormat
from veritrain.data.held import choose_hold
from veritrain.data.open_vocabulary import (
    LEARNED,
    Asked,
    ClassSplit,
    OpenVocabularySplit,
    VocabularyLabels,
    open_vocabulary_split,
)
from veritrain.data.options import AerialDataOptions, BoxChanges, BoxOptions, DiorOptions, Hold, SplitPolicy
from veritrain.data.splits import PARTS
from veritrain.errors import LayoutError
from veritrain.experiments.driving_data import LICENCES, MADE_DATA_FILE, short_hash
from veritrain.metrics.boxes import Truths
from veritrain.tasks.box_tables import as_predictions
from veritrain.tasks.constant_boxes import ConstantBoxes
from veritrain.tasks.task import Predictions

Place = Literal["train", "val", "test", "novel", "all", "base"]
"""A part (test is all), or a vocabulary that is asked for on the test part."""


@dataclass(frozen=True, kw_only=True)
class AerialData:
    """Sets of images and what is known about them.

    Attributes:
        sets: "train", "val" and "test" (all classes on every image) -> images, labels as this run reads them.
        asked: vocabulary -> the test images that it is asked on, their objects numbered by their place in it.
        keys: part to its keys, in the order of the set.
        classes: how the classes are divided; ``classes.vocabulary(...)`` names them in the order of their numbers.
        split: who is in which part, and what that leaks. vocabulary: what the protocol left of it.
        card: the content of ``data.json``.
        held: a sentence: where the images are held, and why.
    """

    sets: Mapping[str, AerialFrames]
    asked: Mapping[Asked, AerialFrames]
    keys: Mapping[str, Sequence[DetectionKey]]
    classes: ClassSplit
    split: DetectionSplit
    vocabulary: OpenVocabularySplit
    card: Mapping[str, Any]
    held: str

    @property
    def test_groups(self) -> list[str]:
        return [key.group for key in self.keys["test"]]

    def names_of(self, place: Place) -> tuple[str, ...]:
        """Names of the class numbers of a set, in their order."""
        asked: dict[str, Asked] = {"train": "base", "val": "base", "test": "all"}
        return self.classes.vocabulary(asked.get(place, place))  # type: ignore[arg-type]

    def frames_of(self, place: Place) -> AerialFrames:
        """The images of a part, or those that a vocabulary is asked on."""
        return self.sets[place] if place in self.sets else self.asked[place]  # type: ignore[index]


def open_aerial_data(options: AerialDataOptions) -> AerialData:
    """Read, split, hide and label.

    Raises:
        DataError: a broken data set, images that are missing, or a split that cannot carry the claim.
        ConfigError: novel classes that the data set does not have, or none.
    """
    boxed = read_boxed(options)
    source = open_boxed(boxed, cache=Path(options.cache) if options.cache else None)
    classes = ClassSplit.of(source.classes, options.novel)
    policy: SplitPolicy = "group" if options.split == "given" else "published"
    split = split_detections(source, policy, classes=source.classes)
    by_id = {key.id: key for key in source.keys()}  # noqa: SIM118 - a method of the data set
    whole = {part: [by_id[name] for name in getattr(split.split, part)] for part in PARTS}
    if options.split == "val=train":
        whole["val"] = whole["train"]
    vocabulary = open_vocabulary_split(source, whole, classes, options.protocol)
    shape = letterbox_shape((source.stored_size(key) for key in by_id.values()), options.imgsz)
    images = sum(len(vocabulary.keys[part]) for part in PARTS) + len(vocabulary.asked["novel"])
    needed = 3 * shape[0] * shape[1] * images * (1 + options.workers)
    hold, told = choose_hold(options.hold, needed=needed, budget_mb=options.memory_mb)
    asked = {
        name: _frames(source, those, shape, classes.vocabulary(name), options, hold, part="test")
        for name, those in vocabulary.asked.items()
    }
    asked["base"].share_images_with(asked["all"])
    learned = {
        part: _frames(source, vocabulary.keys[part], shape, classes.base, options, hold, part=part) for part in LEARNED
    }
    return AerialData(
        sets={**learned, "test": asked["all"]},
        asked=asked,
        keys=vocabulary.keys,
        classes=classes,
        split=split,
        vocabulary=vocabulary,
        card={"schema": 1, "format": boxed.format_name, "annotation": boxed.annotation}
        | _card(source, split, vocabulary, shape, options),
        held=told,
    )


def read_boxed(options: AerialDataOptions) -> BoxedImages:
    """The boxes of a data set, in whichever format its content is.

    Raises:
        LayoutError: neither format recognises it. DataError: it is broken.
    """
    path = Path(options.data)
    if DiorFormat.recognises(path):
        dior = DiorOptions(
            on_broken=options.on_broken, longest_side=options.imgsz, boxes=options.boxes, block=options.block
        )
        return DiorFormat(path, dior)
    if CocoBoxes.recognises(path):
        return CocoBoxes(path, BoxOptions(on_broken=options.on_broken, longest_side=options.imgsz))
    raise LayoutError(
        "no images with boxes from above",
        file=path,
        expected="DIOR's layout (Annotations, ImageSets, JPEGImages-*), or a detection file in COCO's JSON",
        found="neither" if path.exists() else "nothing there",
        fix="give the folder that holds them; `veritrain data make aerial OUT` makes one",
    )


def _frames(
    source: CachedDetections,
    keys: Sequence[DetectionKey],
    shape: tuple[int, int],
    names: Sequence[str],
    options: AerialDataOptions,
    hold: Hold,
    *,
    part: str,
) -> AerialFrames:
    return AerialFrames(
        VocabularyLabels(source, names),
        keys,
        shape,
        classes=len(names),
        labels="given" if part == "test" else options.labels,
        label_seed=options.label_seed,
        box_changes=options.changes if part == "train" else BoxChanges(),
        hold=hold,
    )


def _card(
    source: CachedDetections,
    split: DetectionSplit,
    vocabulary: OpenVocabularySplit,
    shape: tuple[int, int],
    options: AerialDataOptions,
) -> dict[str, Any]:
    """What lies where; names of scenes and files as hashes."""
    root = source.source.root
    made = any((folder / MADE_DATA_FILE).is_file() for folder in (root, *root.resolve().parents[:2]))
    licence, commercial = LICENCES[made]
    inventory = source.inventory()
    names = {part: vocabulary.classes.vocabulary("base" if part in LEARNED else "all") for part in PARTS}
    return {
        "made_data": made,
        "medical": False,
        "licence": licence,
        "commercial_use": commercial,
        "split_sha256": split.split.sha256,
        "split": split.as_json(),
        "split_told": split.told(),
        "open_vocabulary": vocabulary.as_json(),
        "open_vocabulary_told": vocabulary.told(),
        "image_size": list(shape),
        "augmentation": _augmentation(options.changes),
        "splits": {part: _part_card(source, vocabulary.keys[part], names[part]) for part in PARTS},
        "classes": list(names["test"]),
        "assumed": inventory.assumed,
        "problems": dict(Counter(problem.name for problem in inventory.problems)),
        "dropped": [
            {"file": short_hash(problem.file), "line": problem.line, "reason": problem.name}
            for problem in inventory.problems
            if problem.left_out
        ],
    }


def _augmentation(changes: BoxChanges) -> dict[str, Any]:
    """What may be drawn for a training image, with what no option says."""
    fixed = {
        "least_side_pixels": LEAST_SIDE,
        "least_crop_side": LEAST_CROP,
        "channel_share": CHANNEL_SHARE,
        "mosaic_meets": list(MIDDLE),
    }
    return {**asdict(changes), **fixed}


def _part_card(source: CachedDetections, keys: Sequence[DetectionKey], names: Sequence[str]) -> dict[str, Any]:
    """``names``: the classes whose objects have boxes in this part."""
    labels = [VocabularyLabels(source, names).labels(key) for key in keys]
    digest = hashlib.sha256()
    for one in labels:
        digest.update(one.boxes.tobytes() + one.classes.tobytes())
    objects = Counter(int(number) for one in labels for number in one.classes)
    return {
        "groups": sorted({short_hash(key.group) for key in keys}),
        "frames": len(keys),
        "positives": sum(len(one.classes) > 0 for one in labels),
        "negatives": sum(len(one.classes) == 0 for one in labels),
        "labelled": {"boxes": {name: objects[number] for number, name in enumerate(names)}},
        "largest_group": max(Counter(key.group for key in keys).values()),
        "groups_with": {
            name: len({key.group for key, one in zip(keys, labels, strict=True) if number in one.classes})
            for number, name in enumerate(names)
        },
        "labels_sha256": digest.hexdigest(),
        "contents": [source.content_hash(key)[:16] for key in keys],
    }


class TrivialBoxes:
    """The same boxes in every image: where base classes lay in training, and for novel classes where any of them did.

    Fitted on the boxes of the training split as they are, never on spoilt ones, and on no novel object.
    """

    def __init__(self, data: AerialData) -> None:
        self._data = data
        train = data.sets["train"].with_given_labels()
        labels = [train.labels_at(index)[:2] for index in range(len(train))]
        sizes = _sizes(train)
        images = np.repeat(np.arange(len(labels)), [len(boxes) for boxes, _ in labels])
        shares = np.concatenate([boxes for boxes, _ in labels]).astype(np.float64)
        corners = np.concatenate((shares[:, :2] - shares[:, 2:] / 2, shares[:, :2] + shares[:, 2:] / 2), axis=1)
        truths = Truths(images, corners * np.tile(sizes[images], (1, 2)), np.concatenate([one for _, one in labels]))
        base, novel = len(data.classes.base), len(data.classes.novel)
        self._boxes = ConstantBoxes.fit_open(truths, len(labels), base, novel, sizes=sizes)

    def predict(self, place: Place, like: Predictions, *, threshold: float | None = None) -> dict[str, Predictions]:
        """Name to predictions; ``like`` are a network's for the same images, in order.

        Args:
            place: whose images, and which vocabulary.
            threshold: of the boxes' scores, chosen on validation; None where no rate is asked for.
        """
        names = self._data.names_of(place)
        first = self._data.names_of("all").index(names[0])
        sizes = _sizes(self._data.frames_of(place))
        found = self._boxes.of_classes(first, len(names)).predict(len(like["truth_counts"]), sizes)
        return {"constant boxes": as_predictions(found, like, threshold=threshold)}


def _sizes(frames: AerialFrames) -> np.ndarray:
    """(N, 2) width and height of the stored images."""
    return np.array([frames.source.stored_size(key) for key in frames.keys], np.float64)
