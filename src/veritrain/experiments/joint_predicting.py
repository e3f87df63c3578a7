"""Boxes, view and a picture of single images, from a finished joint run. Names of files never leave: ids are hashes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from veritrain.data.detection_frames import DetectionFrames
from veritrain.data.detection_sample import DetectionKey, DetectionSample, FrameLabels
from veritrain.data.detection_set import ENDINGS
from veritrain.data.image_file import read_image, smaller
from veritrain.data.sample import UNKNOWN
from veritrain.errors import DataError, UsageError
from veritrain.experiments.driving_data import short_hash
from veritrain.experiments.joint import EXPERIMENT, PreparedJoint
from veritrain.experiments.joint_pictures import BoxErrors, box_errors, called_boxes, least_score, picture_of
from veritrain.metrics.boxes import images_of_counts
from veritrain.record import RecordWriter, RunFolder, write_json
from veritrain.tasks.joint import JointTask
from veritrain.tasks.task import Predictions
from veritrain.training import checkpoint as checkpoints
from veritrain.training.evaluate import predict_set

DOCUMENT = "predictions.json"


class LooseImages:
    """Images of a folder, or single files, as a source without labels.

    Args:
        path: a folder (all images below it) or an image. longest_side: images are made smaller to this many pixels.

    Raises:
        DataError: no image there.
    """

    def __init__(self, path: Path, longest_side: int) -> None:
        files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.suffix.lower() in ENDINGS)
        if not files or any(one.suffix.lower() not in ENDINGS for one in files):
            raise DataError("no image to look at", expected="a .jpg or .png, or a folder with some", file=path)
        self._longest, self._files = longest_side, {str(one): one for one in files}

    def keys(self) -> list[DetectionKey]:
        """One key an image, by its path."""
        return [
            DetectionKey(id=name, group=name, kind="none", index=0, video=name, frame=-1, published="")
            for name in self._files
        ]

    def read(self, key: DetectionKey) -> DetectionSample:
        """Raises BrokenFileError where the image does not decode."""
        stored = read_image(self._files[key.id])
        labels = self.labels(key)
        return DetectionSample(
            id=key.id,
            group=key.group,
            video=key.video,
            image=smaller(stored, self._longest),
            boxes=labels.boxes,
            classes=labels.classes,
            view=labels.view,
            width=stored.shape[1],
            height=stored.shape[0],
        )

    def labels(self, key: DetectionKey) -> FrameLabels:
        """None: no box, view unknown."""
        boxes, classes = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        return FrameLabels(boxes=boxes, classes=classes, view=UNKNOWN, lines=(), polygons=0, repeated=(), objects=0)

    def stored_size(self, key: DetectionKey) -> tuple[int, int]:
        stored = read_image(self._files[key.id])
        return stored.shape[1], stored.shape[0]


def predict_run(
    folder: RunFolder, inputs: Sequence[str], *, samples: int, split: str, out: str
) -> tuple[dict[str, Any], Path]:
    """The content of ``predictions.json``, written beside one picture per image, and the folder it lies in.

    Images of the run's own data have labels, and ``errors`` against them; others have null there.

    Args:
        inputs: folders of images or images; the run's own split without any.
        samples: evenly spaced images; 0: all. split: of the run's data. out: a folder; empty is in the run folder.

    Raises:
        UsageError: pictures of recordings that are not made would leave the run folder.
    """
    prepared, model = EXPERIMENT.reopen(folder)
    task = _with_stored_threshold(prepared.task, folder)
    place = Path(out) if out else folder.predictions / ("input" if inputs else split)
    inside = place.resolve().is_relative_to(folder.path.resolve())
    if not inside and not (prepared.data.card["made_data"] and not inputs):
        raise UsageError(
            "pictures of recordings stay in the run folder",
            expected="--out below the run, or none",
            found=str(place),
            fix="leave --out out",
        )
    if split == "test" and not inputs:
        with RecordWriter(folder) as record:
            record.event("look", split="test", purpose="pictures of single samples")
    sets = [_own(prepared, split)] if not inputs else [_given(prepared, Path(one)) for one in inputs]
    rows = [row for one in sets for row in _rows(_some(one, samples), task, model, place, labelled=not inputs)]
    document = {
        "schema": 1,
        "task": task.name,
        "run": folder.path.resolve().name,
        "split": None if inputs else split,
        "medical": True,
        "made_data": prepared.data.card["made_data"] if not inputs else None,
        "weights_sha256": checkpoints.best(folder).weights_sha256,
        "thresholds": {**_thresholds(task), "chosen_on": "val"},
        "count": len(rows),
        "frames": rows,
    }
    write_json(place / DOCUMENT, document)
    return document, place


def _thresholds(task: JointTask) -> dict[str, float | None]:
    """``box`` as chosen on validation (null where no box hit anything there), ``called_from`` what boxes are called
    from; null without a detector."""
    return {"box": task.threshold, "called_from": least_score(task) if task.network.detects else None}


def _with_stored_threshold(task: JointTask, folder: RunFolder) -> JointTask:
    stored = json.loads(folder.results.read_text(encoding="utf-8")) if folder.results.is_file() else {}
    return replace(task, threshold=(stored.get("selection") or {}).get("threshold"))


def _own(prepared: PreparedJoint, split: str) -> DetectionFrames:
    return prepared.data.sets[split].with_given_labels()


def _given(prepared: PreparedJoint, path: Path) -> DetectionFrames:
    source = LooseImages(path, prepared.recipe.imgsz)
    own = prepared.data.sets["test"]
    return DetectionFrames(source, source.keys(), own.shape, classes=own.classes, views=own.views, hold="disk")


def _some(frames: DetectionFrames, samples: int) -> DetectionFrames:
    """Evenly spaced images."""
    if not samples or samples >= len(frames):
        return frames
    chosen = sorted({round(i * (len(frames) - 1) / max(samples - 1, 1)) for i in range(samples)})
    return DetectionFrames(
        frames.source,
        [frames.keys[index] for index in chosen],
        frames.shape,
        classes=frames.classes,
        views=frames.views,
        hold="disk",
    )


def _rows(
    frames: DetectionFrames, task: JointTask, model: nn.Module, out: Path, *, labelled: bool
) -> list[dict[str, Any]]:
    """One row per image, its picture in ``out``; ``labelled``: the images have labels to be held against."""
    out.mkdir(parents=True, exist_ok=True)
    predictions = predict_set(task, model, frames)
    wrong = box_errors(predictions, task) if labelled and task.network.detects else None
    rows = []
    for row, key in enumerate(frames.keys):
        name = short_hash(key.id)
        size = frames.source.stored_size(key)
        picture_of(frames.source.read(key).image, size, predictions, row, task, out / f"{name}.png")
        errors = _errors(predictions, row, task, wrong) if labelled else None
        told = _told(predictions, row, task)
        rows.append({"id": name, "image": f"{name}.png", "size": list(size), **told, "errors": errors})
    return rows


def _errors(predictions: Predictions, row: int, task: JointTask, wrong: BoxErrors | None) -> dict[str, Any]:
    """``missed`` objects and ``false_alarms``, null without a detector; ``view_wrong``, null where no view is labelled;
    ``surest``: score or probability of the surest wrong answer, 0 without one."""
    found: dict[str, Any] = {"missed": None, "false_alarms": None, "view_wrong": None, "surest": 0.0}
    if wrong is not None:
        found |= {"missed": int(wrong.missed[row]), "false_alarms": int(wrong.false_alarms[row])}
        found["surest"] = float(wrong.surest[row])
    if task.network.sees_view and predictions["view_labels"][row] != UNKNOWN:
        odds = predictions["view_probabilities"][row]
        found["view_wrong"] = bool(np.argmax(odds) != predictions["view_labels"][row])
        if found["view_wrong"]:
            found["surest"] = max(found["surest"], float(odds.max()))
    return found


def _told(predictions: Predictions, row: int, task: JointTask) -> dict[str, Any]:
    """``boxes`` called (left, top, right, bottom in pixels of the stored image), ``view`` with probabilities, and the
    labels, where there are any."""
    own = images_of_counts(predictions["truth_counts"]) == row
    found: dict[str, Any] = {"labelled": [task.class_names[cls] for cls in predictions["truth_classes"][own]]}
    if task.network.detects:
        found["boxes"] = [
            {"class": task.class_names[cls], "score": score, "box": [round(float(side), 2) for side in box]}
            for box, score, cls in called_boxes(predictions, row, task)
        ]
    if task.network.sees_view:
        odds, label = predictions["view_probabilities"][row], int(predictions["view_labels"][row])
        found["view"] = task.view_names[int(np.argmax(odds))]
        found["view_probabilities"] = {name: float(p) for name, p in zip(task.view_names, odds, strict=True)}
        found["view_label"] = None if label == UNKNOWN else task.view_names[label]
    return found
