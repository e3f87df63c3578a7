"""Aerial images with boxes in DIOR's layout: one XML file an image, horizontal or oriented, and split files of ids.

Folders: :mod:`veritrain.data.dior_layout`. XML: :mod:`veritrain.data.dior_xml`. Class names:
:mod:`veritrain.data.dior_names`. Groups: :mod:`veritrain.data.scene_groups`.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np

from veritrain.data.boxed_images import BoxedImage, BoxedImages, areas_of, labels_of
from veritrain.data.detection_inventory import AnnotationError
from veritrain.data.detection_sample import DetectionKey
from veritrain.data.dior_layout import SplitLine, find_dior, looks_like_dior
from veritrain.data.dior_names import DIOR_CLASSES, class_number
from veritrain.data.dior_xml import Annotation, read_annotation
from veritrain.data.options import DiorOptions
from veritrain.data.scene_groups import SCENES, of_blocks, of_scenes, read_scenes
from veritrain.errors import LayoutError

CHUNK = 256
"""Files that a process reads at a time."""
ALONE = 4 * CHUNK
"""Up to so many files one process reads them all."""
NAMED = 8
"""Names that a message lists."""
PLACE = "JPEGImages"
"""Where an image that is not there is said to be missing."""


class DiorFormat(BoxedImages):
    """Aerial images with horizontal or oriented boxes: DIOR's XML files, split files and image folders.

    Args:
        path: the folder that holds ``Annotations``, ``ImageSets`` and, where there are any, the images.
        options: which boxes, how groups are made, and the policies for what cannot be meant.
        workers: processes that read; None takes one per processor, 1 none but this one.

    Attributes:
        annotation: "horizontal" or "oriented", whichever was read.
        kinds: "horizontal", "oriented" -> number of files, of those that are there.
        renamed: spelling of a class that is not DIOR's -> (DIOR's name, objects).
        unknown_classes: name that is none of DIOR's -> objects; their images are left out.
        filenames_differ: files whose ``filename`` names another image.
        overhanging: oriented boxes with a corner outside of their image.
        scenes_declared: groups are the scenes of ``scenes.json``.

    Raises:
        LayoutError: no annotations, two files for one id, scenes that lack images, or with ``on_broken="error"`` a
            class name that DIOR has not, with all such names counted.
        AnnotationError: with ``on_broken="error"`` a file that is cut off, no XML or without a size, a split line or an
            image without annotation; with ``on_malformed="error"`` a box that cannot be meant.
    """

    format_name = "dior"
    options: DiorOptions

    def __init__(self, path: Path | str, options: DiorOptions | None = None, *, workers: int | None = None) -> None:
        options = options or DiorOptions()
        self.folders = find_dior(Path(path))
        super().__init__(Path(path), self.folders.root, options, DIOR_CLASSES)
        both = {"horizontal": self.folders.horizontal, "oriented": self.folders.oriented}
        self.kinds = {kind: len(files) for kind, files in both.items() if files}
        self.annotation = next(iter(self.kinds)) if options.boxes == "auto" else options.boxes
        files = both[self.annotation]
        self._demand_kind(files)
        self.scenes_declared = self.folders.scenes is not None
        self.filenames_differ = self.overhanging = 0
        read = self._read_all(files, workers)
        self.renamed, self.unknown_classes = self._names(files, read)
        read = {name: one for name, one in read.items() if all(class_number(word) is not None for word in one.names)}
        self.splits = self._splits(files, read)
        self._demand_annotations(files)
        part_of = dict.fromkeys(read, "")
        for part, those in reversed(list(self.splits.items())):
            part_of |= dict.fromkeys(those, part)
        groups = self._groups(part_of)
        for name, one in read.items():
            self._images[name] = self._boxed(name, one, files[name], groups[name], part_of[name])
        self._demand_any()
        self._make_keys()
        self.assumed += self._assumptions()

    def only(self, keys: Iterable[DetectionKey]) -> Self:
        """As every format's; the names of all other files stay behind."""
        part = super().only(keys)
        part.folders = replace(self.folders, horizontal={}, oriented={}, images={}, splits={})
        return part

    @staticmethod
    def recognises(path: Path | str) -> bool:
        """Whether folders of DIOR's names hold XML files: by content."""
        return looks_like_dior(Path(path))

    def _demand_kind(self, files: Mapping[str, Path]) -> None:
        if not files:
            raise LayoutError(
                f"no {self.annotation} boxes",
                file=self.path,
                expected=f"Annotations/{self.annotation.title()} Bounding Boxes/*.xml",
                found=", ".join(f"{count} {kind}" for kind, count in self.kinds.items()),
                fix=f"--boxes {next(iter(self.kinds))}",
            )

    def _read_all(self, files: Mapping[str, Path], workers: int | None) -> dict[str, Annotation]:
        """The annotations that are whole, in the order of the ids."""
        names, paths = list(files), list(files.values())
        chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
        read = partial(_read_chunk, oriented=self.annotation == "oriented")
        workers = min(workers or os.cpu_count() or 1, len(chunks))
        if workers == 1 or len(paths) <= ALONE:
            results = [one for chunk in chunks for one in read(chunk)]
        else:
            with ProcessPoolExecutor(max_workers=workers) as pool:
                results = [one for found in pool.map(read, chunks) for one in found]
        whole = {}
        for name, one in zip(names, results, strict=True):
            if isinstance(one, AnnotationError):
                self._note_or_raise(one)
            else:
                whole[name] = one
        return whole

    def _names(
        self, files: Mapping[str, Path], read: Mapping[str, Annotation]
    ) -> tuple[dict[str, tuple[str, int]], dict[str, int]]:
        """Spellings that were mapped, and names that are none of DIOR's, with their objects.

        Raises:
            LayoutError: there are such names and the policy is "error".
        """
        counts = Counter(word for one in read.values() for word in one.names)
        renamed: dict[str, tuple[str, int]] = {}
        unknown: dict[str, int] = {}
        for word, count in sorted(counts.items()):
            number = class_number(word)
            if number is None:
                unknown[word] = count
            elif DIOR_CLASSES[number] != word:
                renamed[word] = (DIOR_CLASSES[number], count)
        if unknown:
            self._note_unknown(unknown, files, read)
        return renamed, unknown

    def _note_unknown(
        self, unknown: Mapping[str, int], files: Mapping[str, Path], read: Mapping[str, Annotation]
    ) -> None:
        places = [
            (name, place, word) for name, one in read.items() for place, word in enumerate(one.names) if word in unknown
        ]
        name, place, _ = places[0]
        if self.options.on_broken == "error":
            told = [f"'{word}' {count} times" for word, count in list(unknown.items())[:NAMED]]
            more = [f"and {len(unknown) - NAMED} more names"] if len(unknown) > NAMED else []
            raise LayoutError(
                f"object {place + 1}, name: {len(places)} objects of {len(unknown)} classes that DIOR does not have",
                file=files[name],
                line=read[name].lines[place],
                expected=", ".join(DIOR_CLASSES),
                found=", ".join([*told, *more]),
                fix="correct the names (variants that are mapped: veritrain/data/dior_names.py); another set of "
                "classes is read from COCO's JSON",
            )
        for name, place, word in places:
            error = AnnotationError(
                "DIOR has no such class",
                name="class_unknown",
                element=f"object {place + 1}, name",
                file=files[name],
                line=read[name].lines[place],
                found=f"'{word}'",
            )
            self._problems.append(error.as_problem(left_out=True))

    def _splits(self, files: Mapping[str, Path], read: Mapping[str, Annotation]) -> dict[str, tuple[str, ...]]:
        found = {}
        for part, lines in self.folders.splits.items():
            ids: dict[str, None] = {}
            for line in lines:
                name = line.text if line.text in files else Path(line.text).stem
                if name not in files and name not in self.folders.images:
                    self._note_or_raise(_without_image(line))
                elif name in ids:
                    self._note_or_raise(_repeated(line), left_out=False)
                elif name in read:
                    ids[name] = None
            found[part] = tuple(ids)
        return found

    def _demand_annotations(self, files: Mapping[str, Path]) -> None:
        for name, image in self.folders.images.items():
            if name not in files:
                error = AnnotationError(
                    f"no {self.annotation} annotation for this image",
                    name="image_without_annotation",
                    file=image,
                    expected=f"{name}.xml",
                    found="none",
                    fix="add it (an image without objects has one without <object>), or remove the image",
                )
                self._note_or_raise(error)

    def _groups(self, part_of: Mapping[str, str]) -> dict[str, str]:
        scenes = self.folders.scenes
        if scenes is None:
            return of_blocks(part_of, self.options.block)
        return of_scenes(read_scenes(scenes), list(part_of), scenes)

    def _boxed(self, name: str, one: Annotation, file: Path, group: str, part: str) -> BoxedImage:
        classes = np.array([class_number(word) for word in one.names], np.int64)
        for wrong in one.malformed:
            self._note_malformed(
                AnnotationError(
                    wrong.reason,
                    name=wrong.name,
                    element=wrong.element,
                    file=file,
                    line=wrong.line,
                    expected="a box inside the image with an area above 0",
                    fix="correct the box, or leave it out: --on_malformed drop",
                )
            )
        self.filenames_differ += one.filename != "" and Path(one.filename).stem != name
        self.overhanging += one.overhanging
        image = self.folders.images.get(name)
        size = (one.width, one.height)
        return BoxedImage(
            image=image or self._expected_place(name, part),
            present=image is not None,
            label=file,
            width=one.width,
            height=one.height,
            labels=labels_of(one.edges, classes, one.lines, size, corners=one.corners),
            stated=classes,
            areas=areas_of(one.edges),
            group=group,
            published=part,
        )

    def _expected_place(self, name: str, part: str) -> Path:
        folder = {"train": f"{PLACE}-trainval", "val": f"{PLACE}-trainval", "test": f"{PLACE}-test"}.get(part, PLACE)
        return self.folders.home / folder / f"{name}.jpg"

    def _assumptions(self) -> list[str]:
        told = []
        if not self.scenes_declared:
            told.append(
                f"no {SCENES}: blocks of {self.options.block} neighbouring image ids are the groups; which images show "
                "the same ground is not known"
            )
        if not self.splits:
            told.append(
                "no split files (ImageSets/Main/train.txt, val.txt, test.txt): no image is in a published split"
            )
        if self.folders.other_lists:
            names = ", ".join(file.name for file in self.folders.other_lists[:NAMED])
            told.append(f"{len(self.folders.other_lists)} other lists beside the split files are not read: {names}")
        for word, (name, count) in self.renamed.items():
            told.append(f"'{word}' is read as {name} ({count} objects)")
        return told


def _read_chunk(paths: Sequence[Path], *, oriented: bool) -> list[Annotation | AnnotationError]:
    return [_read_one(path, oriented) for path in paths]


def _read_one(path: Path, oriented: bool) -> Annotation | AnnotationError:
    try:
        return read_annotation(path, oriented=oriented)
    except AnnotationError as error:
        return error
    except OSError as error:
        return AnnotationError(
            "the annotation cannot be read",
            name="unreadable",
            file=path,
            found=str(error.strerror),
            fix="copy it again",
        )


def _without_image(line: SplitLine) -> AnnotationError:
    return AnnotationError(
        "a split line without an image",
        name="split_line_without_image",
        file=line.file,
        line=line.line,
        expected="the id of an image or an annotation that is there",
        found=f"'{line.text[:80]}'",
        fix="add the image and its annotation, or take the line out; leave it out: --on_broken skip",
    )


def _repeated(line: SplitLine) -> AnnotationError:
    return AnnotationError(
        "an image id that stands in this file already",
        name="split_line_repeated",
        file=line.file,
        line=line.line,
        expected="each id once",
        found=f"'{line.text}' again",
        fix="take the line out; count it once: --on_broken skip",
    )
