"""The echo world: made echocardiograms with leaking valves, in YOLO folders with a view line. Made data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from veritrain.worlds.drawing_jobs import drawn, world_folder
from veritrain.worlds.echo_plan import HOME, VALVES, VIEWS, Recording, plan_recordings
from veritrain.worlds.echo_render import Renderer
from veritrain.worlds.options import EchoWorldOptions

SIDECAR = "veritrain_world.json"
"""Beside data.yaml: options, seed, licence and what each recording shows. No loader reads it."""
PARTS = ("train", "valid", "test")
PART_SHARES = (0.68, 0.12, 0.20)
"""Of the frames, as the real set's 1,042, 183 and 306."""
QUALITY = 90
"""Of the JPEG files."""

Boxes = dict[str, tuple[int, int, int, int]]


@dataclass(frozen=True, kw_only=True)
class FramePlan:
    """One file: name without ending, the part that holds it, place in the recording, whether it names its view."""

    name: str
    part: str
    index: int
    with_view: bool


@dataclass(frozen=True, kw_only=True)
class EchoSummary:
    """What was written.

    Attributes:
        path: the data set's folder.
        patients: number of them.
        videos: recordings.
        frames: images, each with a label file.
        objects: boxes in all label files.
        by_valve: valve -> boxes.
        by_view: view -> frames, those among them whose file does not say it.
        by_part: published part -> frames.
        unknown_views: frames whose label file has no view line.
        empty: frames without any box.
    """

    path: Path
    patients: int
    videos: int
    frames: int
    objects: int
    by_valve: dict[str, int]
    by_view: dict[str, int]
    by_part: dict[str, int]
    unknown_views: int
    empty: int


class EchoWorld:
    """Colour-Doppler frames of leaking heart valves in three views, in YOLO folders; equal options give equal bytes."""

    options_type = EchoWorldOptions
    """What ``data make`` asks for."""

    def __init__(self, options: EchoWorldOptions | None = None) -> None:
        self.options = options or EchoWorldOptions()

    def write(
        self, out: Path | str, progress: Callable[[int, int], None] | None = None, *, workers: int | None = None
    ) -> EchoSummary:
        """Writes the world below ``out``, recording by recording.

        Args:
            out: a folder that does not exist yet or is empty.
            progress: called with (recordings written, recordings in all).
            workers: processes; None takes one per processor. The bytes do not depend on it.

        Raises:
            UsageError: ``out`` holds something.
            StorageError: the disk is full or read-only; what was written is removed again.
        """
        folder = Path(out)
        with world_folder(folder, "echo", room="about 25 kB a frame"):
            recordings = plan_recordings(self.options)
            plans = plan_frames(recordings, self.options)
            for part in PARTS:
                for kind in ("images", "labels"):
                    (folder / part / kind).mkdir(parents=True)
            jobs = [(folder, one, frames, self.options) for one, frames in zip(recordings, plans, strict=True)]
            found = list(drawn(_write_job, jobs, progress, workers=workers, chunk=4))
            self._write_rest(folder, recordings, plans, found)
        return self._summary(folder, recordings, plans, found)

    def _write_rest(
        self, out: Path, recordings: list[Recording], plans: list[list[FramePlan]], found: list[list[Boxes]]
    ) -> None:
        description = {
            "names": list(VALVES),
            "nc": len(VALVES),
            "views": list(VIEWS),
            "train": "train/images",
            "val": "valid/images",
            "test": "test/images",
        }
        (out / "data.yaml").write_text(yaml.safe_dump(description, sort_keys=False), encoding="utf-8")
        text = json.dumps(self._sidecar(recordings, plans, found), indent=1, sort_keys=True)
        (out / SIDECAR).write_text(text + "\n", encoding="utf-8")

    def _sidecar(
        self, recordings: list[Recording], plans: list[list[FramePlan]], found: list[list[Boxes]]
    ) -> dict[str, Any]:
        pairs = Counter((one.valve, one.view) for one in recordings)
        return {
            "schema": 1,
            "world": "echo",
            "licence": "CC0-1.0",
            "commercial_use": True,
            "nature": "made data: drawn by Veritrain, no recording of any person; says nothing about echocardiography",
            "options": asdict(self.options),
            "recordings_by_valve_and_view": {valve: {view: pairs[valve, view] for view in VIEWS} for valve in VALVES},
            "home_view": HOME,
            "recordings": {
                f"{one.patient.name}/{one.series}": {
                    "view": one.view,
                    "looked_at": one.valve,
                    "leaks": [jet.valve for jet in one.jets],
                    "depth_mm": round(one.depth, 2),
                    "style": one.patient.style,
                    "frames": {
                        plan.name: {"phase": round((one.phase + plan.index * one.step) % 1, 4), "boxes": boxes}
                        for plan, boxes in zip(frames, drawn, strict=True)
                    },
                }
                for one, frames, drawn in zip(recordings, plans, found, strict=True)
            },
        }

    def _summary(
        self, out: Path, recordings: list[Recording], plans: list[list[FramePlan]], found: list[list[Boxes]]
    ) -> EchoSummary:
        frames = [plan for those in plans for plan in those]
        drawn = [boxes for those in found for boxes in those]
        valves = Counter(valve for boxes in drawn for valve in boxes)
        views = Counter(one.view for one, those in zip(recordings, plans, strict=True) for _ in those)
        parts = Counter(plan.part for plan in frames)
        return EchoSummary(
            path=out,
            patients=len({one.patient.name for one in recordings}),
            videos=len(recordings),
            frames=len(frames),
            objects=sum(valves.values()),
            by_valve={valve: valves[valve] for valve in VALVES},
            by_view={view: views[view] for view in VIEWS},
            by_part={part: parts[part] for part in PARTS},
            unknown_views=sum(not plan.with_view for plan in frames),
            empty=sum(not boxes for boxes in drawn),
        )


def plan_frames(recordings: list[Recording], options: EchoWorldOptions) -> list[list[FramePlan]]:
    """Names, published parts and view lines of the frames of each recording; the same for the same options."""
    rng = np.random.default_rng([options.seed, 61])
    count = len(recordings) * options.frames
    parts = _published(recordings, options, rng)
    nameless = np.zeros(count, bool)
    nameless[: int(np.ceil(options.unknown_views * count))] = True
    nameless = rng.permutation(nameless)
    return [
        [
            FramePlan(
                name=f"{one.patient.name}-{one.series}.mp4-{one.first + index}",
                part=parts[number * options.frames + index],
                index=index,
                with_view=not nameless[number * options.frames + index],
            )
            for index in range(options.frames)
        ]
        for number, one in enumerate(recordings)
    ]


def _published(recordings: list[Recording], options: EchoWorldOptions, rng: np.random.Generator) -> list[str]:
    """The part of each frame, recording after recording: dealt out by frame, or by patient."""
    units = len(recordings) * options.frames if options.published == "frames" else options.patients
    edges = np.rint(np.cumsum(PART_SHARES) * units).astype(int)
    dealt = [PARTS[int(np.searchsorted(edges, place, side="right"))] for place in range(units)]
    order = rng.permutation(units)
    parts = [dealt[place] for place in order]
    return (
        parts
        if options.published == "frames"
        else [part for part in parts for _ in range(options.videos * options.frames)]
    )


def _write_job(job: tuple[Path, Recording, list[FramePlan], EchoWorldOptions]) -> list[Boxes]:
    out, recording, plans, options = job
    renderer = Renderer(recording, options.height, options.width)
    found = []
    for plan in plans:
        picture = renderer.frame(plan.index)
        Image.fromarray(picture.image).save(out / plan.part / "images" / f"{plan.name}.jpg", quality=QUALITY)
        text = label_text(picture.boxes, recording.view if plan.with_view else None, options)
        (out / plan.part / "labels" / f"{plan.name}.txt").write_text(text, encoding="utf-8")
        found.append(picture.boxes)
    return found


def label_text(boxes: Boxes, view: str | None, options: EchoWorldOptions) -> str:
    """A label file as the real set's: a line a box, a blank line, the view as ones and zeros without an end of line."""
    lines = []
    for valve, (left, top, right, bottom) in boxes.items():
        x0, x1, y0, y1 = left / options.width, right / options.width, top / options.height, bottom / options.height
        numbers = [x0, y0, x1, y0, x1, y1, x0, y1]
        if options.labels == "xywh":
            numbers = [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0]
        lines.append(" ".join(map(str, (VALVES.index(valve), *numbers))))
    text = "".join(f"{line}\n" for line in lines)
    return text if view is None else f"{text}\n" + " ".join("1" if one == view else "0" for one in VIEWS)
