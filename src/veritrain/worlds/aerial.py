"""The aerial world: made pictures from above with DIOR's 20 classes, in DIOR's layout, with captions. Made data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from veritrain.worlds.aerial_captions import captions_entry, sentences
from veritrain.worlds.aerial_parts import PARTS, deal, plan_scenes
from veritrain.worlds.aerial_render import Label
from veritrain.worlds.aerial_scene import (
    KEPT_SHARE,
    LEAST_BREADTH,
    LEAST_SIDE,
    ScenePlan,
    draw_scene,
    lay_out,
)
from veritrain.worlds.aerial_sites import LOOKS
from veritrain.worlds.dior_files import (
    HORIZONTAL,
    ORIENTED,
    annotation_folder,
    horizontal_xml,
    image_folder,
    oriented_xml,
    split_text,
)
from veritrain.worlds.drawing_jobs import drawn, world_folder
from veritrain.worlds.options import AerialOptions

SIDECAR = "veritrain_world.json"
"""Beside ImageSets: options, seed, licence and what each scene is. No loader reads it."""
SCENES, CAPTIONS = "scenes.json", "captions.json"
DRAWN = "drawn"
"""Where images wait until it is known which part they are in."""
QUALITY = 92
"""Of the JPEG files."""


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """An image that was drawn.

    Attributes:
        scene: it was cut out of. waits: its file in ``DRAWN``. labels: what it shows.
        part: train, val or test. id: five digits.
    """

    scene: ScenePlan
    waits: str
    labels: list[Label]
    part: str
    id: str


@dataclass(frozen=True, kw_only=True)
class AerialSummary:
    """What was written.

    Attributes:
        path: the data set's folder.
        images: number of them.
        scenes: that they were cut out of.
        objects: boxes.
        by_class: class -> boxes, and images that show it.
        by_part: part -> images, boxes, scenes.
        shared_scenes: scenes with images in more than one part.
        lacking: part -> classes that it does not show.
    """

    path: Path
    images: int
    scenes: int
    objects: int
    by_class: dict[str, dict[str, int]]
    by_part: dict[str, dict[str, int]]
    shared_scenes: int
    lacking: dict[str, list[str]]


class AerialWorld:
    """Pictures from above with the 20 classes of DIOR, in its layout, with captions; equal options give equal bytes."""

    options_type = AerialOptions
    """What ``data make`` asks for."""

    def __init__(self, options: AerialOptions | None = None) -> None:
        self.options = options or AerialOptions()

    def write(
        self, out: Path | str, progress: Callable[[int, int], None] | None = None, *, workers: int | None = None
    ) -> AerialSummary:
        """Writes the world below ``out``, scene by scene.

        Args:
            out: a folder that does not exist yet or is empty.
            progress: called with (scenes drawn, scenes in all).
            workers: processes; None takes one per processor. The bytes do not depend on it.

        Raises:
            UsageError: ``out`` holds something.
            StorageError: the disk is full or read-only; what was written is removed again.
        """
        folder = Path(out)
        with world_folder(folder, "aerial", room="about 30 kB an image of 256 x 256"):
            plans = plan_scenes(self.options)
            (folder / DRAWN).mkdir(parents=True)
            jobs = [(folder / DRAWN, plan, self.options) for plan in plans]
            found = list(drawn(_draw_job, jobs, progress, workers=workers, chunk=2))
            files = self._name(plans, found)
            self._write_files(folder, files)
        return self._summary(folder, files)

    def _name(self, plans: list[ScenePlan], found: list[list[list[Label]]]) -> list[ImageFile]:
        """Parts and ids: train counts from 00001, val and test go on, scene after scene."""
        options = self.options
        images = [
            (plan, _waits(plan, index), labels)
            for plan, drawn in zip(plans, found, strict=True)
            for index, labels in enumerate(drawn)
        ]
        unit_of = [plan.number if options.split_by == "scenes" else index for index, (plan, _, _) in enumerate(images)]
        kinds: list[set[str]] = [set() for _ in range(max(unit_of) + 1)]
        for unit, (_, _, labels) in zip(unit_of, images, strict=True):
            kinds[unit].update(label.name for label in labels)
        sizes = Counter(unit_of)
        parts = deal(
            [frozenset(names) for names in kinds],
            [sizes[unit] for unit in range(len(kinds))],
            (options.train_share, options.val_share, round(1 - options.train_share - options.val_share, 9)),
            np.random.default_rng([options.seed, 89]),
        )
        placed = sorted(range(len(images)), key=lambda index: PARTS.index(parts[unit_of[index]]))
        return [
            ImageFile(
                scene=images[index][0],
                waits=images[index][1],
                labels=images[index][2],
                part=parts[unit_of[index]],
                id=f"{number:05d}",
            )
            for number, index in enumerate(placed, start=1)
        ]

    def _write_files(self, out: Path, files: list[ImageFile]) -> None:
        options = self.options
        sheets = {
            kind: out / "Annotations" / annotation_folder(kind, options.folder_names) for kind in (HORIZONTAL, ORIENTED)
        }
        lists = out / "ImageSets" / "Main"
        for folder in (*sheets.values(), lists, *(out / image_folder(part) for part in PARTS)):
            folder.mkdir(parents=True, exist_ok=True)
        size = (options.width, options.height)
        for one in files:
            name = f"{one.id}.jpg"
            (out / DRAWN / one.waits).replace(out / image_folder(one.part) / name)
            _write_text(sheets[HORIZONTAL] / f"{one.id}.xml", horizontal_xml(name, *size, one.labels))
            _write_text(sheets[ORIENTED] / f"{one.id}.xml", oriented_xml(name, one.part, *size, one.labels))
        (out / DRAWN).rmdir()
        for part in PARTS:
            _write_text(lists / f"{part}.txt", split_text([one.id for one in files if one.part == part]))
        _write_json(out / SCENES, {one.id: one.scene.name for one in files})
        _write_json(out / CAPTIONS, {"images": self._captions(files), "dataset": "veritrain-aerial"})
        _write_json(out / SIDECAR, self._sidecar(files))

    def _captions(self, files: list[ImageFile]) -> list[dict[str, object]]:
        options = self.options
        entries = []
        for number, one in enumerate(files):
            rng = np.random.default_rng([options.seed, 83, number])
            raw = sentences(one.labels, options.width, options.height, options.captions, rng)
            entries.append(captions_entry(number, f"{one.id}.jpg", one.part, raw))
        return entries

    def _sidecar(self, files: list[ImageFile]) -> dict[str, Any]:
        by_scene: dict[str, dict[str, Any]] = {}
        for one in sorted(files, key=lambda file: (file.scene.number, file.id)):
            plain = {"site": one.scene.site, "cover": one.scene.cover, "images": {}}
            by_scene.setdefault(one.scene.name, plain)["images"][one.id] = one.part
        return {
            "schema": 1,
            "world": "aerial",
            "licence": "CC0-1.0",
            "commercial_use": True,
            "nature": "made data: drawn by Veritrain, no picture of any place; says nothing about DIOR",
            "options": asdict(self.options),
            "boxes": "around the pixels that show the thing itself; shadows, smoke, wakes and foam are not part of it",
            "left_out": {
                "kept_share": KEPT_SHARE,
                "least_breadth_pixels": LEAST_BREADTH,
                "least_side_pixels": LEAST_SIDE,
                "meaning": "things of which an image would show less are neither drawn nor labelled in it",
            },
            "scenes": by_scene,
        }

    def _summary(self, out: Path, files: list[ImageFile]) -> AerialSummary:
        objects = Counter(label.name for one in files for label in one.labels)
        images = Counter(name for one in files for name in {label.name for label in one.labels})
        parts_of: dict[str, set[str]] = {}
        for one in files:
            parts_of.setdefault(one.scene.name, set()).add(one.part)
        by_part, lacking = {}, {}
        for part in PARTS:
            those = [one for one in files if one.part == part]
            shown = {label.name for one in those for label in one.labels}
            by_part[part] = {
                "images": len(those),
                "objects": sum(len(one.labels) for one in those),
                "scenes": len({one.scene.name for one in those}),
            }
            lacking[part] = [name for name in LOOKS if name not in shown]
        return AerialSummary(
            path=out,
            images=len(files),
            scenes=len(parts_of),
            objects=sum(objects.values()),
            by_class={name: {"objects": objects[name], "images": images[name]} for name in LOOKS},
            by_part=by_part,
            shared_scenes=sum(len(parts) > 1 for parts in parts_of.values()),
            lacking=lacking,
        )


def _waits(plan: ScenePlan, index: int) -> str:
    return f"{plan.number:05d}-{index:02d}.jpg"


def _draw_job(job: tuple[Path, ScenePlan, AerialOptions]) -> list[list[Label]]:
    folder, plan, options = job
    drawn = draw_scene(lay_out(plan, options), options.seed, plan.number)
    for index, (image, _) in enumerate(drawn):
        Image.fromarray(image).save(folder / _waits(plan, index), quality=QUALITY)
    return [labels for _, labels in drawn]


def _write_text(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8", newline="")


def _write_json(file: Path, content: dict[str, Any]) -> None:
    _write_text(file, json.dumps(content, indent=1) + "\n")
