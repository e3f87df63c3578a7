"""Images with the boxes and the view that a joint network gives, beside the labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from veritrain.data.draw_boxes import COLOURS, LEAST_SIDE
from veritrain.data.sample import UNKNOWN
from veritrain.experiments.driving_data import short_hash
from veritrain.experiments.echo_data import EchoData
from veritrain.metrics.boxes import every_iou, images_of_counts
from veritrain.metrics.operating_point import IOU
from veritrain.record import RunFolder, write_json
from veritrain.tasks.joint import JointTask
from veritrain.tasks.task import Predictions

LEAST_SCORE = 0.25
"""Boxes are drawn from here on where no threshold was chosen."""


def draw_answers(
    image: NDArray[np.uint8], size: tuple[int, int], predictions: Predictions, row: int, task: JointTask
) -> Image.Image:
    """One image: labelled boxes as thin white lines, called ones in the colour of their valve with their score.

    Args:
        image: (H, W, 3) uint8, at any scale. size: (width, height) that the boxes are in.
        predictions: of a set. row: of the image in it.
    """
    factor = max(1, -(-LEAST_SIDE // max(image.shape[:2])))
    whole = (image.shape[1] * factor, image.shape[0] * factor)
    picture = Image.fromarray(image).resize(whole, Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    scale = np.array([whole[0] / size[0], whole[1] / size[1]] * 2)
    truths = images_of_counts(predictions["truth_counts"]) == row
    for box, cls in zip(predictions["truth_boxes"][truths] * scale, predictions["truth_classes"][truths], strict=True):
        pen.rectangle(tuple(box.tolist()), outline=(255, 255, 255), width=1)
        pen.text((box[0] + 2, box[3] + 1), f"label {task.class_names[cls]}", fill=(255, 255, 255))
    for box, score, cls in called_boxes(predictions, row, task):
        colour = COLOURS[cls % len(COLOURS)]
        left, top, right, bottom = box * scale
        pen.rectangle((left, top, right, bottom), outline=colour, width=2)
        pen.text((left + 3, max(top - 12, 0)), f"{task.class_names[cls]} {score:.2f}", fill=colour)
    if "view_probabilities" in predictions:
        pen.text((4, 4), view_words(predictions, row, task), fill=(255, 255, 255))
    return picture


def called_boxes(predictions: Predictions, row: int, task: JointTask) -> list[tuple[NDArray[np.float64], float, int]]:
    """Box, score and class of what is called in one image, surest first; nothing without a detector."""
    if "box_counts" not in predictions:
        return []
    least = LEAST_SCORE if task.threshold is None else task.threshold
    own = (images_of_counts(predictions["box_counts"]) == row) & (predictions["box_scores"] >= least)
    found = zip(predictions["boxes"][own], predictions["box_scores"][own], predictions["box_classes"][own], strict=True)
    return sorted(((box, float(score), int(cls)) for box, score, cls in found), key=lambda one: -one[1])


def view_words(predictions: Predictions, row: int, task: JointTask) -> str:
    """``view A4C 0.98, label PLAX``."""
    probabilities, label = predictions["view_probabilities"][row], int(predictions["view_labels"][row])
    best = int(np.argmax(probabilities))
    given = "unknown" if label == UNKNOWN else task.view_names[label]
    return f"view {task.view_names[best]} {probabilities[best]:.2f}, label {given}"


def write_gallery(
    data: EchoData, task: JointTask, predictions: Predictions, folder: RunFolder, *, each: int = 3
) -> None:
    """Missed objects, false alarms, wrong views and random images of test, one of a patient, into ``figures/``.

    Of real recordings the pictures lie in the run folder and nowhere else: ``gallery.json``, from which the report
    takes the pictures that it holds, is written for made data alone.
    """
    folder.figures.mkdir(parents=True, exist_ok=True)
    content = []
    for title, rows in _chosen(data, task, predictions, each).items():
        content.append({"title": title, "items": [_item(data, task, predictions, row, folder) for row in rows]})
    write_json(folder.figures / ("gallery.json" if data.card["made_data"] else "frames.json"), content)


def _chosen(data: EchoData, task: JointTask, predictions: Predictions, each: int) -> dict[str, list[int]]:
    groups, count = data.test_groups, len(data.test_groups)
    chosen: dict[str, list[int]] = {}
    if task.network.detects:
        missed, wrong = zip(*(_errors(predictions, row, task) for row in range(count)), strict=True)
        for title, weight in (("worst misses", missed), ("worst false alarms", wrong)):
            order = np.argsort(-np.array(weight), kind="stable").tolist()
            chosen[title] = _one_a_group(order, groups, each, weight)
    if task.network.sees_view:
        labels, odds = predictions["view_labels"], predictions["view_probabilities"]
        off = (odds.argmax(axis=1) != labels) & (labels != UNKNOWN)
        surest = np.argsort(-odds.max(axis=1), kind="stable").tolist()
        chosen["wrong views"] = _one_a_group(surest, groups, each, off)
    chosen["random frames"] = np.random.default_rng(0).permutation(count)[:each].tolist()
    return chosen


def _errors(predictions: Predictions, row: int, task: JointTask) -> tuple[float, float]:
    """Objects of an image that no called box of their class hits, and the score of the surest called box that hits
    none."""
    truths = images_of_counts(predictions["truth_counts"]) == row
    boxes, classes = predictions["truth_boxes"][truths], predictions["truth_classes"][truths]
    called = called_boxes(predictions, row, task)
    if not called:
        return float(len(boxes)), 0.0
    hits = every_iou(np.array([one[0] for one in called]), boxes) >= IOU
    hits &= np.array([one[2] for one in called])[:, None] == classes[None]
    return float((~hits.any(axis=0)).sum()), max(
        (one[1] for one, hit in zip(called, hits, strict=True) if not hit.any()), default=0.0
    )


def _one_a_group(order: Sequence[int], groups: Sequence[str], most: int, weight: Sequence[float]) -> list[int]:
    """The first of each group in the order given that counts at all: frames of one patient look alike."""
    first: dict[str, int] = {}
    for index in order:
        if weight[index]:
            first.setdefault(groups[index], int(index))
    return list(first.values())[:most]


def _item(data: EchoData, task: JointTask, predictions: Predictions, row: int, folder: RunFolder) -> dict[str, Any]:
    key, test = data.keys["test"][row], data.sets["test"]
    name = short_hash(key.id)
    path = folder.figures / f"{name}.png"
    picture_of(test.source.read(key).image, test.source.stored_size(key), predictions, row, task, path)
    told = _told(predictions, row, task)
    return {"id": name, "image": str(path.relative_to(folder.path)), "points": None, "caption": told}


def picture_of(
    image: NDArray[np.uint8], size: tuple[int, int], predictions: Predictions, row: int, task: JointTask, path: Path
) -> None:
    """Draw and save one picture."""
    draw_answers(image, size, predictions, row, task).save(path)


def _told(predictions: Predictions, row: int, task: JointTask) -> str:
    truths = images_of_counts(predictions["truth_counts"]) == row
    labelled = ", ".join(task.class_names[cls] for cls in predictions["truth_classes"][truths]) or "no box"
    called = ", ".join(f"{task.class_names[cls]} {score:.2f}" for _, score, cls in called_boxes(predictions, row, task))
    parts = [f"labelled {labelled}"] + ([f"called {called or 'nothing'}"] if task.network.detects else [])
    return "; ".join([*parts, *([view_words(predictions, row, task)] if task.network.sees_view else [])])
