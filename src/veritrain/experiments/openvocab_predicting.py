"""Boxes and a picture of single images, from a finished open-vocabulary run, for its classes or for any in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from veritrain.data.aerial_frames import AerialFrames
from veritrain.data.asked_frames import AskedFrames
from veritrain.errors import UsageError
from veritrain.experiments.driving_data import short_hash
from veritrain.experiments.joint_predicting import DOCUMENT, LooseImages
from veritrain.experiments.openvocab import EXPERIMENT, PreparedOpenVocab
from veritrain.experiments.openvocab_pictures import called_boxes, draw_answers, errors_of, labels_of
from veritrain.models.language import AERIAL_WORDS, Vocabulary, embed
from veritrain.models.named_detector import NamedDetector
from veritrain.record import RecordWriter, RunFolder, write_json
from veritrain.tasks.openvocab import NOTHING_CALLED, OpenVocabTask, called_from
from veritrain.tasks.openvocab_words import Words
from veritrain.training import checkpoint as checkpoints
from veritrain.training.evaluate import predict_set


def predict_run(
    folder: RunFolder, inputs: Sequence[str], *, samples: int, split: str, out: str, classes: Sequence[str] = ()
) -> tuple[dict[str, Any], Path]:
    """The content of ``predictions.json``, written beside one picture per image, and the folder it lies in.

    Args:
        inputs: folders of images or images; the run's own split without any.
        samples: evenly spaced images; 0: all. split: of the run's data. out: a folder; empty is in the run folder.
        classes: what is asked for, in words; empty: the classes of the run, base and novel. With others than those the
            run's own labels say nothing of them, so that there are no errors.

    Raises:
        UsageError: other classes, and the towers that read words are not there any more.
    """
    prepared, model = EXPERIMENT.reopen(folder)
    assert isinstance(model, NamedDetector)
    task, model = _asked(prepared, model, folder, classes)
    place = Path(out) if out else folder.predictions / ("input" if inputs else split)
    if split == "test" and not inputs:
        with RecordWriter(folder) as record:
            record.event("look", split="test", purpose="pictures of single samples")
    sets = [_own(prepared, split)] if not inputs else [_given(prepared, Path(one)) for one in inputs]
    judged = not inputs and not classes
    asked = range(len(task.class_names))
    rows = [
        row for one in sets for row in _rows(AskedFrames(_some(one, samples), asked), task, model, place, judged=judged)
    ]
    document = {
        "schema": 1,
        "task": task.name,
        "run": folder.path.resolve().name,
        "split": None if inputs else split,
        "medical": False,
        "made_data": prepared.data.card["made_data"] if not inputs else None,
        "weights_sha256": checkpoints.best(folder).weights_sha256,
        "classes": list(task.class_names),
        "novel": list(task.words.novel),
        "prompts": {name: list(_vocabulary(task).prompts(name)) for name in task.class_names},
        "thresholds": {"box": _threshold(task), "called_from": _threshold(task), "chosen_on": "val"},
        "count": len(rows),
        "frames": rows,
    }
    write_json(place / DOCUMENT, document)
    return document, place


def _threshold(task: OpenVocabTask) -> float | None:
    """None where no box of validation hit anything: the surest few are then told."""
    return None if called_from(task) == NOTHING_CALLED else called_from(task)


def _vocabulary(task: OpenVocabTask) -> Vocabulary:
    plain = task.words.vocabulary
    said = {name: said for name, said in AERIAL_WORDS.items() if name in task.class_names}
    return Vocabulary(names=task.class_names, templates=plain.templates, words=said)


def _asked(
    prepared: PreparedOpenVocab, model: NamedDetector, folder: RunFolder, classes: Sequence[str]
) -> tuple[OpenVocabTask, NamedDetector]:
    """The task and the network, asked for the run's classes or for others in words."""
    stored = json.loads(folder.results.read_text(encoding="utf-8")) if folder.results.is_file() else {}
    task = EXPERIMENT.as_scored(prepared, stored).task if stored else prepared.task
    if not classes:
        return task, model
    if not prepared.data.start.trained:
        raise UsageError(
            "these words cannot be read",
            expected="a run on trained towers whose file is where its recipe says",
            found="untrained towers" if prepared.data.start.known else "no file there any more",
            fix="leave --classes out, or put the towers' file back",
        )
    learned = [row for row, name in enumerate(classes) if name in task.words.base]
    task = replace(task, words=Words(base=tuple(classes), novel=(), bare=prepared.recipe.bare))
    texts = embed(prepared.data.start.pair.text, _vocabulary(task))
    return task, NamedDetector(model.detector, texts, learned=learned)


def _own(prepared: PreparedOpenVocab, split: str) -> AerialFrames:
    return prepared.data.aerial.sets[split].with_given_labels()


def _given(prepared: PreparedOpenVocab, path: Path) -> AerialFrames:
    source = LooseImages(path, prepared.recipe.imgsz)
    own = prepared.data.sets["test"].frames
    return AerialFrames(source, source.keys(), own.shape, classes=own.classes, hold="disk")


def _some(frames: AerialFrames, samples: int) -> AerialFrames:
    """Evenly spaced images."""
    if not samples or samples >= len(frames):
        return frames
    chosen = sorted({round(i * (len(frames) - 1) / max(samples - 1, 1)) for i in range(samples)})
    keys = [frames.keys[index] for index in chosen]
    return AerialFrames(frames.source, keys, frames.shape, classes=frames.classes, hold="disk")


def _rows(
    asked: AskedFrames, task: OpenVocabTask, model: nn.Module, out: Path, *, judged: bool
) -> list[dict[str, Any]]:
    """One row per image, its picture in ``out``; ``judged``: labels are held against what is called."""
    out.mkdir(parents=True, exist_ok=True)
    predictions = predict_set(task, model, asked)
    wrong = errors_of(task, predictions) if judged else None
    rows = []
    for row, key in enumerate(asked.frames.keys):
        name, size = short_hash(key.id), asked.frames.source.stored_size(key)
        called = called_boxes(predictions, row, task)
        labelled = labels_of(predictions, row) if judged else []
        image = asked.frames.source.read(key).image
        draw_answers(image, size, called, labelled, task.class_names, task.words.novel).save(out / f"{name}.png")
        boxes = [
            {"class": task.class_names[cls], "score": score, "box": [round(float(side), 2) for side in box]}
            for box, score, cls in called
        ]
        errors = None
        if wrong is not None:
            missed, alarms = (int(one) for one in wrong.images[row])
            surest = max((one.score for one in wrong.alarms if one.image == row), default=0.0)
            errors = {"missed": missed, "false_alarms": alarms, "view_wrong": None, "surest": surest}
        labels = [task.class_names[cls] for _, cls in labelled]
        told = {"id": name, "image": f"{name}.png", "size": list(size), "labelled": labels}
        rows.append({**told, "boxes": boxes, "errors": errors})
    return rows
