"""Test images with the boxes that an open-vocabulary detector gives, beside the labelled ones, and looks inside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from veritrain.data.draw_boxes import COLOURS, LEAST_SIDE
from veritrain.data.letterbox import place
from veritrain.experiments.driving_data import short_hash
from veritrain.experiments.joint_pictures import BLACK, WHITE, Words, beside
from veritrain.experiments.openvocab_data import OpenVocabData
from veritrain.metrics.boxes import images_of_counts
from veritrain.metrics.detection_errors import DetectionErrors, detection_errors
from veritrain.models.detr import Detector
from veritrain.models.detr_answers import detections
from veritrain.models.detr_inside import Looked, looked_at, without_gate
from veritrain.models.named_detector import NamedDetector
from veritrain.record import RunFolder, write_json
from veritrain.tasks.box_predictions import found_in_batch
from veritrain.tasks.box_tables import detections_of, truths_of
from veritrain.tasks.openvocab import NOTHING_CALLED, OpenVocabTask, called_from
from veritrain.tasks.task import Predictions

MOST_DRAWN = 10
"""Boxes that are drawn where nothing is called from on any score: the surest ones."""
Called = list[tuple[NDArray[np.float64], float, int]]
HEAT = (255, 90, 20)


def called_boxes(predictions: Predictions, row: int, task: OpenVocabTask) -> Called:
    """Box, score and class of what is called in one image, surest first; the surest few where nothing ever is."""
    own = images_of_counts(predictions["box_counts"]) == row
    found = zip(predictions["boxes"][own], predictions["box_scores"][own], predictions["box_classes"][own], strict=True)
    ranked = sorted(((box, float(score), int(cls)) for box, score, cls in found), key=lambda one: -one[1])
    if called_from(task) == NOTHING_CALLED:
        return ranked[:MOST_DRAWN]
    return [one for one in ranked if one[1] >= called_from(task)]


def draw_answers(
    image: NDArray[np.uint8],
    size: tuple[int, int],
    called: Called,
    labelled: Sequence[tuple[NDArray[np.float64], int]],
    names: Sequence[str],
    novel: Sequence[str],
) -> Image.Image:
    """Labelled boxes as thin white lines, called ones in the colour of their class; a star marks novel classes.

    Args:
        image: (H, W, 3) uint8, at any scale. size: (width, height) that the boxes are in.
    """
    factor = max(1, -(-LEAST_SIDE // max(image.shape[:2])))
    whole = (image.shape[1] * factor, image.shape[0] * factor)
    picture = Image.fromarray(image).resize(whole, Image.Resampling.BICUBIC)
    pen, words = ImageDraw.Draw(picture), Words(picture)
    scale = np.array([whole[0] / size[0], whole[1] / size[1]] * 2)

    def said(cls: int) -> str:
        return names[cls] + "*" * (names[cls] in novel)

    for box, _, cls in reversed(called):
        pen.rectangle(tuple((box * scale).tolist()), outline=COLOURS[cls % len(COLOURS)], width=2)
    for box, _ in labelled:
        pen.rectangle(tuple((box * scale).tolist()), outline=WHITE, width=1)
    for box, score, cls in called:
        words.write(f"{said(cls)} {score:.2f}", COLOURS[cls % len(COLOURS)], beside((box * scale).tolist()))
    for box, cls in labelled:
        words.write(f"label {said(cls)}", WHITE, beside((box * scale).tolist(), below_first=True))
    return picture


def labels_of(predictions: Predictions, row: int) -> list[tuple[NDArray[np.float64], int]]:
    """Box and class of the labelled objects of one image."""
    own = images_of_counts(predictions["truth_counts"]) == row
    boxes, classes = predictions["truth_boxes"][own], predictions["truth_classes"][own]
    return [(box, int(cls)) for box, cls in zip(boxes, classes, strict=True)]


def errors_of(task: OpenVocabTask, predictions: Predictions) -> DetectionErrors:
    """Misses and false alarms at the threshold."""
    return detection_errors(
        detections_of(predictions),
        truths_of(predictions),
        len(predictions["truth_counts"]),
        len(task.class_names),
        threshold=called_from(task),
        max_detections=task.max_detections,
    )


def write_gallery(
    data: OpenVocabData, task: OpenVocabTask, predictions: Predictions, folder: RunFolder, *, each: int = 3
) -> None:
    """Worst misses, surest false alarms, images with novel objects and random ones of test, into ``figures/``.

    ``gallery.json``, from which the report takes the pictures that it holds, is written for made data alone.
    """
    folder.figures.mkdir(parents=True, exist_ok=True)
    errors = errors_of(task, predictions)
    rng, count = np.random.default_rng(0), len(data.test_groups)
    first = len(task.words.base)
    novel = [row for row in range(count) if any(cls >= first for _, cls in labels_of(predictions, row))]
    chosen = {
        "worst misses": _first_of_scenes([one.image for one in errors.misses], data, each),
        "surest false alarms": _first_of_scenes([one.image for one in errors.alarms], data, each),
        "novel classes": _first_of_scenes(novel, data, each),
        "random images": rng.permutation(count)[:each].tolist(),
    }
    content = [
        {"title": title, "items": [_item(data, task, predictions, row, folder) for row in rows]}
        for title, rows in chosen.items()
    ]
    write_json(folder.figures / ("gallery.json" if data.card["made_data"] else "frames.json"), content)


def _first_of_scenes(rows: Sequence[int], data: OpenVocabData, most: int) -> list[int]:
    """The first image of each scene, in the order given."""
    first: dict[str, int] = {}
    for row in rows:
        first.setdefault(data.test_groups[row], row)
    return list(first.values())[:most]


def _item(
    data: OpenVocabData, task: OpenVocabTask, predictions: Predictions, row: int, folder: RunFolder
) -> dict[str, Any]:
    frames = data.sets["test"].frames
    key = frames.keys[row]
    called, labelled = called_boxes(predictions, row, task), labels_of(predictions, row)
    path = folder.figures / f"{short_hash(key.id)}.png"
    image, size = frames.source.read(key).image, frames.source.stored_size(key)
    draw_answers(image, size, called, labelled, task.class_names, task.words.novel).save(path)
    told = ", ".join(task.class_names[cls] for _, cls in labelled) or "no box"
    said = ", ".join(f"{task.class_names[cls]} {score:.2f}" for _, score, cls in called) or "nothing"
    return {
        "id": short_hash(key.id),
        "image": str(path.relative_to(folder.path)),
        "points": None,
        "caption": f"labelled {told}; called {said}",
    }


def write_inside(data: OpenVocabData, task: OpenVocabTask, model: NamedDetector, folder: RunFolder) -> None:
    """``figures/look-*.png`` and ``gate-*.png`` of two images: where the surest answer looks, what the gate changes.

    Report 002's network has neither.
    """
    if not isinstance(model.detector, Detector):
        return
    was_training = model.training
    model.eval()
    told = [_inside(data, task, model, row, folder) for row in range(min(2, len(data.test_groups)))]
    model.train(was_training)
    write_json(folder.figures / "inside.json", told)


def _inside(
    data: OpenVocabData, task: OpenVocabTask, model: NamedDetector, row: int, folder: RunFolder
) -> dict[str, Any]:
    assert isinstance(model.detector, Detector)
    test = data.sets["test"]
    batch = test.collate([test.sample(row, epoch=0, seed=0)])
    key = test.frames.keys[row]
    name, image, size = short_hash(key.id), test.frames.source.read(key).image, test.frames.source.stored_size(key)
    looked = looked_at(model.detector, {**batch, "texts": model.words[batch["asked"]]})
    _draw_look(image, test.frames.shape, looked).save(folder.figures / f"look-{name}.png")
    changed = _gate_changes(task, model, batch)
    shown = {}
    for state, called in changed.items():
        path = folder.figures / f"gate-{state}-{name}.png"
        draw_answers(image, size, called, [], task.class_names, task.words.novel).save(path)
        shown[state] = [{"class": task.class_names[cls], "score": score} for _, score, cls in called]
    return {
        "id": name,
        "look": {"kind": looked.kind, "class": task.class_names[looked.label], "score": looked.score},
        "gate": shown,
    }


@torch.no_grad()
def _gate_changes(task: OpenVocabTask, model: NamedDetector, batch: dict[str, Any]) -> dict[str, Called]:
    """What is called with the gate, and without it."""
    size = (int(batch["image"].shape[2]), int(batch["image"].shape[3]))
    found = {"on": found_in_batch(detections(model(batch), size), batch)}
    with without_gate(model):
        found["off"] = found_in_batch(detections(model(batch), size), batch)
    return {state: called_boxes(one, 0, task)[:MOST_DRAWN] for state, one in found.items()}


def _draw_look(image: NDArray[np.uint8], shape: tuple[int, int], looked: Looked) -> Image.Image:
    """Where one answer looks, as dots on the image as large as their weight, and its box."""
    height, width = image.shape[:2]
    where = place((height, width), shape)
    factor = max(1, -(-LEAST_SIDE // max(height, width)))
    picture = Image.fromarray(image).resize((width * factor, height * factor), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    full = np.array((shape[1], shape[0]), np.float64)
    points = looked.places.double().numpy() * full
    corners = where.back(np.concatenate((points, points), axis=1))[:, :2] * factor
    share = looked.weights.double().numpy()
    share = share / max(float(share.max()), 1e-12)
    for (x, y), weight in zip(corners, share, strict=True):
        radius = 6 * float(np.sqrt(weight))
        if radius > 1:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=HEAT, outline=BLACK)
    centre, side = looked.box[:2].double().numpy() * full, looked.box[2:].double().numpy() * full
    box = where.back(np.concatenate((centre - side / 2, centre + side / 2))[None])[0] * factor
    pen.rectangle(tuple(box.tolist()), outline=WHITE, width=2)
    return picture
