"""Which classes are learned and which are only asked for: a base/novel split, and what it leaves of a data set.

A detector that has met novel objects while it learned, labelled or not, has not been asked anything new. So a protocol
says what becomes of them in training and validation:

- ``boxes-removed``: their boxes go, their images stay. The objects are seen, as background.
- ``images-removed``: each image with such an object goes. Nothing of a novel class is seen: leak-free.

The test part keeps every image and every box; what is asked for there is a vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, get_args

import numpy as np

from veritrain.data.detection_sample import DetectionKey, DetectionSample, FrameLabels
from veritrain.data.splits import PARTS
from veritrain.errors import ConfigError, SplitError, did_you_mean

NOVEL_DIOR = ("airport", "basketballcourt", "groundtrackfield", "windmill")
"""The four of DIOR's twenty classes that zero-shot detection on it holds out (16/4)."""

LeakProtocol = Literal["boxes-removed", "images-removed"]
Asked = Literal["novel", "all", "base"]
"""novel: zero-shot detection (ZSD), novel classes on images that have some; all: generalised (GZSD), every class on
every image; base: the learned classes on every image."""
LEARNED = ("train", "val")
"""Parts that a protocol changes: what trains and what selects."""


@dataclass(frozen=True, kw_only=True)
class ClassSplit:
    """The classes of a data set, divided.

    Attributes:
        names: of all, in the order of the data set's class numbers.
        novel: those that are not learned, in that order.
    """

    names: tuple[str, ...]
    novel: tuple[str, ...]

    @staticmethod
    def of(names: Sequence[str], novel: Sequence[str] = NOVEL_DIOR) -> ClassSplit:
        """Divide the classes of a data set.

        Raises:
            ConfigError: a novel class that the data set does not have or that stands there twice, none, or all.
        """
        unknown = [name for name in novel if name not in names]
        if unknown:
            raise ConfigError(
                f"{len(unknown)} novel classes that the data set does not have",
                expected=f"some of: {', '.join(names)}",
                found=", ".join(map(repr, unknown)),
                fix=did_you_mean(unknown[0], names),
            )
        twice = [name for name, count in Counter(novel).items() if count > 1]
        if twice:
            raise ConfigError("a novel class stands there twice", expected="each once", found=", ".join(twice))
        if not novel:
            raise ConfigError(
                "an empty vocabulary: no class is novel",
                expected="one novel class or more",
                found="none",
                fix=f"for DIOR: {' '.join(NOVEL_DIOR)}",
            )
        if len(novel) == len(names):
            raise ConfigError(
                "an empty vocabulary: no class is left to learn",
                expected=f"fewer novel classes than the {len(names)} of the data set",
                found=f"all {len(names)} are novel",
                fix="leave some out of the novel ones",
            )
        return ClassSplit(names=tuple(names), novel=tuple(name for name in names if name in set(novel)))

    @property
    def base(self) -> tuple[str, ...]:
        """The learned classes, in the order of the data set's class numbers."""
        return tuple(name for name in self.names if name not in self.novel)

    def vocabulary(self, asked: Asked) -> tuple[str, ...]:
        """What is asked for, in the order of the answers' numbers: base classes first, so that a base class has the
        same number in training, under "base" and under "all"."""
        known = {"novel": self.novel, "base": self.base, "all": (*self.base, *self.novel)}
        if asked not in known:
            raise ConfigError(
                f"no vocabulary '{asked}'",
                expected=" or ".join(known),
                found=asked,
                fix=did_you_mean(asked, known),
            )
        return known[asked]


class VocabularySource(Protocol):
    """A data set with named classes whose images and labels are read by key: :class:`CachedDetections`."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def read(self, key: DetectionKey) -> DetectionSample: ...

    def labels(self, key: DetectionKey) -> FrameLabels: ...

    def stored_size(self, key: DetectionKey) -> tuple[int, int]: ...


class VocabularyLabels:
    """A data set that shows the objects of a vocabulary alone, numbered by their place in it.

    Objects of other classes have no box here, and neither have crowds, which are no object that a detector could be
    asked to box; both are counted by :func:`open_vocabulary_split`.

    Args:
        source: the whole data set. names: the vocabulary, each a class of the data set.

    Raises:
        ConfigError: a name that is no class of the data set, or none at all.
    """

    def __init__(self, source: VocabularySource, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in source.classes]
        if unknown or not names:
            raise ConfigError(
                "a vocabulary that the labels cannot be told in",
                expected=f"one class or more of: {', '.join(source.classes)}",
                found=", ".join(map(repr, unknown)) or "none",
                fix=did_you_mean(unknown[0], source.classes) if unknown else "name the classes to look for",
            )
        self.source, self.names = source, tuple(names)
        self._numbers = np.full(len(source.classes), -1, np.int64)
        self._numbers[[source.classes.index(name) for name in names]] = np.arange(len(names))

    def read(self, key: DetectionKey) -> DetectionSample:
        """The image, with the boxes of the vocabulary."""
        labels = self.labels(key)
        return replace(self.source.read(key), boxes=labels.boxes, classes=labels.classes)

    def labels(self, key: DetectionKey) -> FrameLabels:
        """Boxes and classes of the vocabulary; ``objects`` stays that of the file."""
        found = self.source.labels(key)
        numbers = self._numbers[found.classes]
        kept = (numbers >= 0) & ~_crowds(found)
        return replace(
            found,
            boxes=found.boxes[kept],
            classes=numbers[kept],
            lines=tuple(line for line, stays in zip(found.lines, kept, strict=True) if stays),
            crowd=None if found.crowd is None else found.crowd[kept],
            corners=None if found.corners is None else found.corners[kept],
        )

    def stored_size(self, key: DetectionKey) -> tuple[int, int]:
        """(width, height) of the stored image, in pixels."""
        return self.source.stored_size(key)


@dataclass(frozen=True, kw_only=True)
class PartCounts:
    """What a part holds.

    Attributes:
        images, groups, objects: how many; objects are boxes that are no crowds. empty: images without object.
        crowds: boxes that stand for many objects; they are not asked for.
        classes: name -> {"objects", "images"}, for every class of the data set.
        hidden: name -> {"objects", "images"} of novel objects that are to be seen and have no box.
    """

    images: int
    groups: int
    objects: int
    empty: int
    crowds: int
    classes: Mapping[str, Mapping[str, int]]
    hidden: Mapping[str, Mapping[str, int]]

    def as_json(self) -> dict[str, Any]:
        """Numbers by name, for the record."""
        return {**vars(self), "classes": dict(self.classes), "hidden": dict(self.hidden)}


@dataclass(frozen=True, kw_only=True)
class OpenVocabularySplit:
    """A split of images under a base/novel split of classes.

    Attributes:
        classes: how the classes are divided. protocol: what became of novel objects in training and validation.
        keys: part -> its images; of train and val what the protocol leaves, of test all.
        before, after: part -> what it held and holds.
        asked: vocabulary -> the test images that it is asked on.
    """

    classes: ClassSplit
    protocol: LeakProtocol
    keys: Mapping[str, tuple[DetectionKey, ...]]
    before: Mapping[str, PartCounts]
    after: Mapping[str, PartCounts]
    asked: Mapping[Asked, tuple[DetectionKey, ...]]

    @property
    def lacking(self) -> dict[str, tuple[str, ...]]:
        """Part -> classes that it should have an object of and has none: base ones, and in test novel ones too."""
        wanted = {part: self.classes.base if part in LEARNED else self.classes.names for part in PARTS}
        return {
            part: tuple(name for name in names if not self.after[part].classes[name]["objects"])
            for part, names in wanted.items()
        }

    def told(self) -> str:
        """A sentence for the log: what is novel, and what training still sees of it."""
        novel = ", ".join(self.classes.novel)
        seen = {part: sum(one["objects"] for one in self.after[part].hidden.values()) for part in LEARNED}
        left = "; ".join(
            f"{part} {self.after[part].images} of {self.before[part].images} images, "
            f"{self.after[part].objects} of {self.before[part].objects} boxes, {seen[part]} novel objects without box"
            for part in LEARNED
        )
        leak = "LEAKS: novel objects are seen as background" if any(seen.values()) else "no novel object is seen"
        return f"novel: {novel}; {self.protocol}: {left}; {leak}"

    def as_json(self) -> dict[str, Any]:
        """Classes, protocol and counts; no id and no group."""
        return {
            "protocol": self.protocol,
            "base": list(self.classes.base),
            "novel": list(self.classes.novel),
            "before": {part: self.before[part].as_json() for part in PARTS},
            "after": {part: self.after[part].as_json() for part in PARTS},
            "asked": {
                asked: {"classes": list(self.classes.vocabulary(asked)), "images": len(those)}
                for asked, those in self.asked.items()
            },
            "lacking": {part: list(names) for part, names in self.lacking.items()},
        }


def open_vocabulary_split(
    source: VocabularySource,
    keys: Mapping[str, Sequence[DetectionKey]],
    classes: ClassSplit,
    protocol: LeakProtocol,
) -> OpenVocabularySplit:
    """What a protocol leaves of the parts. Images only ever go: groups that were apart stay apart.

    Args:
        source: the whole data set.
        keys: "train", "val" and "test" -> their images.
        classes: of this data set.
        protocol: of training and validation.

    Raises:
        ConfigError: no such protocol.
        SplitError: no base object is left to train on or to select by, or a novel class has no object in test.
    """
    if protocol not in get_args(LeakProtocol):
        words = get_args(LeakProtocol)
        fix = did_you_mean(protocol, words)
        raise ConfigError(f"no protocol '{protocol}'", expected=" or ".join(words), found=protocol, fix=fix)
    novel = np.array([source.classes.index(name) for name in classes.novel])

    def shows_novel(key: DetectionKey) -> bool:
        return bool(np.isin(source.labels(key).classes, novel).any())

    left = {
        part: tuple(
            key for key in keys[part] if part not in LEARNED or protocol == "boxes-removed" or not shows_novel(key)
        )
        for part in PARTS
    }
    asked_novel = VocabularyLabels(source, classes.novel)
    everything = set(classes.names)
    found = OpenVocabularySplit(
        classes=classes,
        protocol=protocol,
        keys=left,
        before={part: _counts(source, keys[part], everything) for part in PARTS},
        after={
            part: _counts(source, left[part], set(classes.base) if part in LEARNED else everything) for part in PARTS
        },
        asked={
            "novel": tuple(key for key in left["test"] if len(asked_novel.labels(key).classes)),
            "all": left["test"],
            "base": left["test"],
        },
    )
    _demand_carried(found)
    return found


def _counts(source: VocabularySource, keys: Sequence[DetectionKey], boxed: set[str]) -> PartCounts:
    """``boxed``: classes whose objects have boxes; those of other classes are hidden."""
    objects: Counter[str] = Counter()
    images: Counter[str] = Counter()
    crowds = empty = 0
    for key in keys:
        found = source.labels(key)
        names = [source.classes[number] for number in found.classes[~_crowds(found)]]
        crowds += len(found.classes) - len(names)
        objects.update(names)
        images.update(set(names))
        empty += not any(name in boxed for name in names)
    each = {name: {"objects": objects[name], "images": images[name]} for name in source.classes}
    nothing = {"objects": 0, "images": 0}
    return PartCounts(
        images=len(keys),
        groups=len({key.group for key in keys}),
        objects=sum(objects[name] for name in boxed),
        empty=empty,
        crowds=crowds,
        classes={name: each[name] if name in boxed else nothing for name in source.classes},
        hidden={name: each[name] for name in source.classes if name not in boxed},
    )


def _crowds(labels: FrameLabels) -> np.ndarray:
    return np.zeros(len(labels.classes), bool) if labels.crowd is None else labels.crowd


def _demand_carried(split: OpenVocabularySplit) -> None:
    for part, purpose in (("train", "train on"), ("val", "select by")):
        if not split.after[part].objects:
            raise SplitError(
                f"nothing is left to {purpose}: {part} has no box of a base class",
                expected=f"boxes of {', '.join(split.classes.base)}",
                found=f"{split.protocol} leaves {split.after[part].images} of {split.before[part].images} images",
                fix="hold fewer classes out, or take boxes-removed",
            )
    absent = [name for name in split.classes.novel if not split.after["test"].classes[name]["objects"]]
    if absent:
        raise SplitError(
            f"{len(absent)} novel classes have no object in the test split",
            expected="an object or more of each: what is never there cannot be found",
            found=f"none of {', '.join(absent)}",
            fix="hold other classes out, or take another split",
        )
