"""Images with boxes and a view: colour-Doppler frames in YOLO folders, and plain YOLO detection sets.

Label lines: :mod:`veritrain.data.detection_labels`. Folders and ``data.yaml``: :mod:`veritrain.data.detection_set`.
Labels are read when the object is made, images when they are asked for.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from veritrain.data.detection_inventory import DetectionInventory, FileProblem
from veritrain.data.detection_labels import LabelError, LabelSchema, Survey, parse_labels, read_text, survey
from veritrain.data.detection_sample import DetectionKey, DetectionSample, FrameLabels
from veritrain.data.detection_set import find_description, image_folders, read_set
from veritrain.data.echo_names import PATTERN, Origin, origin_of
from veritrain.data.image_file import image_hash, read_image, smaller
from veritrain.data.options import EchoOptions
from veritrain.data.sample import unknown_key
from veritrain.errors import DataError, LayoutError

DECODER_VERSION = 1
"""Part of every cache key: raise it when the same files would give other samples."""

VIEWS = ("PSAX", "PLAX", "A4C")
"""Parasternal short and long axis, apical four chambers: assumed where three ones and zeros have no names."""


@dataclass(frozen=True, kw_only=True)
class _Frame:
    image: Path
    label: Path
    labels: FrameLabels
    origin: Origin
    published: str


class EchoFormat:
    """Images with label files of boxes or polygons and, where there is one, a view line: ultrasound, or any YOLO set.

    Args:
        path: the folder of the data set, or the YAML file that describes it.
        options: names, how names of files tell patients, and the policy for what cannot be meant.

    Attributes:
        classes: class names, in the order of the class numbers.
        views: view names, in the order of the view numbers; empty where no image has a view.

    Raises:
        LayoutError: no labelled image, a description that contradicts itself, or with ``on_broken="error"`` an image
            without label file or the other way round.
        LabelError: with ``on_broken="error"``, a label line that cannot be meant or that repeats another.
    """

    group_name = "patient"

    def __init__(self, path: Path | str, options: EchoOptions | None = None) -> None:
        self.path = Path(path)
        self.options = options or EchoOptions()
        self.set = read_set(self.path)
        self._problems: list[FileProblem] = []
        self._demand_pairs()
        texts = self._texts()
        seen = survey(texts.values())
        self.schema = self._schema(seen)
        self._frames: dict[str, _Frame] = {}
        for frame in self._parsed(texts):
            self._take(frame)
        if not self._frames:
            first = self._problems[0] if self._problems else None
            raise LayoutError(
                "no image of the data set has labels that can be meant",
                file=self.path,
                expected="at least one",
                found=f"{len(self._problems)} problems" + (f"; first {first.file}: {first.reason}" if first else ""),
                fix="look at `veritrain data check`",
            )
        self.classes = self._class_names()
        self.views = self._view_names(seen)
        self._keys = self._made_keys()
        self.assumed = [*self.set.assumed, *self._assumptions(seen)]

    @staticmethod
    def recognises(path: Path | str) -> bool:
        """Whether ``path`` is a data.yaml or a folder with one, or has ``images`` beside ``labels``: by content."""
        place = Path(path)
        try:
            return find_description(place) is not None or (place.is_dir() and bool(image_folders(place)))
        except LayoutError:
            return True  # several descriptions: it is this format, and opening it says which files are meant

    @property
    def root(self) -> Path:
        """The folder that ids are relative to."""
        return self.set.root

    def keys(self) -> list[DetectionKey]:
        """All images with readable labels, sorted by group and id."""
        return list(self._keys.values())

    def labels(self, key: DetectionKey) -> FrameLabels:
        """Boxes, classes and view of an image, without decoding it."""
        return self._locate(key).labels

    def files(self, key: DetectionKey) -> tuple[Path, Path]:
        """The image and its label file."""
        frame = self._locate(key)
        return frame.image, frame.label

    def only(self, keys: Iterable[DetectionKey]) -> EchoFormat:
        """The same data set with these images: what a worker process needs of a large index."""
        part = copy(self)
        part.set = replace(self.set, parts={}, labels={}, unlabelled=(), orphans=())
        part._keys = {key.id: key for key in keys}
        part._frames = {name: self._frames[name] for name in part._keys}
        return part

    def read(self, key: DetectionKey) -> DetectionSample:
        """One image with its boxes and its view.

        Raises:
            BrokenFileError: the image does not decode. OSError: it cannot be read.
        """
        frame = self._locate(key)
        stored = read_image(frame.image)
        return DetectionSample(
            id=key.id,
            group=key.group,
            video=key.video,
            image=smaller(stored, self.options.longest_side),
            boxes=frame.labels.boxes,
            classes=frame.labels.classes,
            view=frame.labels.view,
            width=stored.shape[1],
            height=stored.shape[0],
        )

    def content_hash(self, key: DetectionKey) -> str:
        """sha256 of the decoded pixels, to find copies under other names."""
        return image_hash(self.read(key).image)

    def file_hash(self, key: DetectionKey) -> str:
        """sha256 over the image's bytes, the size asked for and the decoder's version: a cache key of the image."""
        digest = hashlib.sha256(f"image {DECODER_VERSION} {self.options.longest_side}".encode())
        digest.update(self._locate(key).image.read_bytes())
        return digest.hexdigest()

    def inventory(self) -> DetectionInventory:
        """Counts, names, assumptions, and everything that was left out or repeated."""
        frames = [self._frames[key.id].labels for key in self.keys()]
        return DetectionInventory(
            frames=len(frames),
            objects=sum(len(labels.classes) for labels in frames),
            groups=len({key.group for key in self.keys()}),
            videos=len({key.video for key in self.keys()}),
            classes=self.classes,
            views=self.views,
            polygons=sum(labels.polygons for labels in frames),
            assumed=list(self.assumed),
            problems=list(self._problems),
        )

    def _demand_pairs(self) -> None:
        """Images without label file and label files without image are told apart, and neither is used."""
        lonely = {
            "image_without_label": (self.set.unlabelled, "no label file: background has an empty one"),
            "label_without_image": (self.set.orphans, "no image for this label file"),
        }
        if self.options.on_broken == "error" and any(files for files, _ in lonely.values()):
            unlabelled, orphans = self.set.unlabelled, self.set.orphans
            raise LayoutError(
                "images and label files do not match",
                file=(unlabelled or orphans)[0],
                expected="a label file for each image (an empty one where there is no object), and no other",
                found=f"{len(unlabelled)} images without label file, {len(orphans)} label files without image",
                fix="add or remove the files, or leave them out: --on_broken skip",
            )
        for name, (files, reason) in lonely.items():
            self._problems += [
                FileProblem(name=name, file=str(file), line=None, reason=reason, left_out=True) for file in files
            ]

    def _texts(self) -> dict[Path, str]:
        """Image to the text of its label file, for those that are text."""
        texts = {}
        for image, label in self.set.labels.items():
            try:
                texts[image] = read_text(label)
            except DataError as error:
                self._note_or_raise(error)
        return texts

    def _schema(self, seen: Survey) -> LabelSchema:
        names, views = self.options.names or self.set.names, self.options.views or self.set.views
        geometry = self.options.geometry
        return LabelSchema(
            classes=len(names) or None,
            views=len(views) or seen.views,
            polygons_only=seen.polygons_only if geometry == "auto" else geometry == "polygon",
        )

    def _take(self, frame: _Frame) -> None:
        name = self._id(frame.image)
        if name in self._frames:
            raise LayoutError(
                "two images have one label file",
                file=frame.image,
                expected="names that differ in more than their ending",
                found=f"also {self._frames[name].image.name}",
                fix="remove one of both",
            )
        self._frames[name] = frame

    def _parsed(self, texts: dict[Path, str]) -> Iterable[_Frame]:
        part_of = {image: part for part, images in reversed(list(self.set.parts.items())) for image in images}
        pattern = re.compile(self.options.group_pattern) if self.options.group_pattern else PATTERN
        for image, text in texts.items():
            label = self.set.labels[image]
            try:
                labels = parse_labels(text, self.schema, label)
                for line in labels.repeated:
                    self._repeated(label, line)
            except LabelError as error:
                self._note_or_raise(error)
                continue
            origin = origin_of(image.stem, pattern)
            yield _Frame(image=image, label=label, labels=labels, origin=origin, published=part_of[image])

    def _repeated(self, label: Path, line: int) -> None:
        error = LabelError(
            "a line that repeats another",
            name="repeated_line",
            file=label,
            line=line,
            expected="each class and box once",
            found="the same class and box again",
            fix="delete one of both lines, or count them once: --on_broken skip",
        )
        self._note_or_raise(error, left_out=False)

    def _note_or_raise(self, error: DataError, *, left_out: bool = True) -> None:
        if self.options.on_broken == "error":
            raise error
        name = error.name if isinstance(error, LabelError) else "unreadable"
        found = f" (found {error.found})" if error.found else ""
        self._problems.append(
            FileProblem(
                name=name, file=str(error.file), line=error.line, reason=error.message + found, left_out=left_out
            )
        )

    def _id(self, image: Path) -> str:
        return os.path.relpath(image.with_suffix(""), self.set.root).replace(os.sep, "/")

    def _class_names(self) -> tuple[str, ...]:
        stated = self.options.names or self.set.names
        if stated:
            return tuple(stated)
        highest = max((int(frame.labels.classes.max(initial=-1)) for frame in self._frames.values()), default=-1)
        return tuple(f"class {number}" for number in range(highest + 1))

    def _view_names(self, seen: Survey) -> tuple[str, ...]:
        stated = self.options.views or self.set.views
        if stated or not seen.views:
            return tuple(stated)
        return VIEWS if seen.views == len(VIEWS) else tuple(f"view {number}" for number in range(seen.views))

    def _made_keys(self) -> dict[str, DetectionKey]:
        groups: dict[str, list[str]] = {}
        for name, frame in self._frames.items():
            groups.setdefault(frame.origin.patient or name, []).append(name)
        keys = {}
        for group, members in sorted(groups.items()):
            kind = self._kind(members)
            for index, name in enumerate(sorted(members)):
                frame = self._frames[name]
                keys[name] = DetectionKey(
                    id=name,
                    group=group,
                    kind=kind,
                    index=index,
                    video=frame.origin.video or group,
                    frame=frame.origin.frame,
                    published=frame.published,
                )
        return keys

    def _kind(self, members: list[str]) -> str:
        counts = Counter(int(one) for name in members for one in self._frames[name].labels.classes)
        return self.classes[min(counts, key=lambda one: (-counts[one], one))] if counts else "none"

    def _assumptions(self, seen: Survey) -> list[str]:
        told = []
        if self.views and not (self.options.views or self.set.views):
            told.append(f"data.yaml names no views: the order {', '.join(self.views)} is assumed, nothing confirms it")
        nameless = [name for name, frame in self._frames.items() if frame.origin.patient is None]
        if nameless and len(nameless) == len(self._frames):
            if self.options.group_pattern:
                self._refuse_pattern(nameless[0])
            told.append("no file name says who the patient is: each image counts as a group of its own")
        elif nameless:
            told.append(f"{len(nameless)} file names do not say who the patient is: each is a group of its own")
        if self.options.geometry == "auto" and seen.boxes and seen.polygons and not self.schema.polygons_only:
            told.append(f"{seen.boxes} lines of five numbers beside {seen.polygons} polygons are taken for boxes")
        return told

    def _refuse_pattern(self, name: str) -> NoReturn:
        raise LayoutError(
            "group_pattern fits no file name",
            file=self.path,
            expected=self.options.group_pattern,
            found=f"the first: {Path(name).name}",
            fix="correct the pattern; it must match the whole name without its ending",
        )

    def _locate(self, key: DetectionKey) -> _Frame:
        frame = self._frames.get(key.id)
        if frame is None:
            raise unknown_key(self.path, "image", key)
        return frame
