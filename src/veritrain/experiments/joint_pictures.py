"""Images with the boxes and the view that a joint network gives, beside the labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from veritrain.data.draw_boxes import COLOURS, LEAST_SIDE
from veritrain.data.sample import UNKNOWN
from veritrain.experiments.above import font
from veritrain.experiments.driving_data import short_hash
from veritrain.experiments.echo_data import EchoData
from veritrain.metrics.boxes import images_of_counts
from veritrain.metrics.operating_point import IOU, counts_at
from veritrain.record import RunFolder, write_json
from veritrain.tasks.joint import JointTask
from veritrain.tasks.task import Predictions

LEAST_SCORE = 0.25
"""Boxes are drawn from here on where no threshold was chosen."""
LETTERS = 15
"""Height of the words in a picture, pixels."""
WHITE, BLACK = (255, 255, 255), (0, 0, 0)

Place = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of a picture."""


class Words:
    """Writes into a picture, each text where no earlier one stands, on a dark edge so that speckle does not hide it."""

    def __init__(self, picture: Image.Image) -> None:
        self._pen, self._size, self._taken = ImageDraw.Draw(picture), picture.size, list[Place]()

    def write(self, text: str, colour: tuple[int, int, int], wanted: Sequence[tuple[float, float]]) -> None:
        """At the first of the wanted corners (left, top) that is free, moved into the picture; nowhere when none is:
        what stands beside the picture tells all of it."""
        places = (self._inside(text, corner) for corner in wanted)
        place = next((one for one in places if self._free(one)), None)
        if place is not None:
            self._taken.append(place)
            self._pen.text(place[:2], text, fill=colour, font=font(LETTERS), stroke_width=2, stroke_fill=BLACK)

    def _inside(self, text: str, corner: tuple[float, float]) -> Place:
        width, height = self._pen.textlength(text, font=font(LETTERS)) + 2, LETTERS + 3
        left = min(max(corner[0], 2), max(self._size[0] - width, 2))
        top = min(max(corner[1], 1), max(self._size[1] - height, 1))
        return left, top, left + width, top + height

    def _free(self, place: Place) -> bool:
        left, top, right, bottom = place
        return not any(left < x2 and x1 < right and top < y2 and y1 < bottom for x1, y1, x2, y2 in self._taken)


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
    pen, words = ImageDraw.Draw(picture), Words(picture)
    scale = np.array([whole[0] / size[0], whole[1] / size[1]] * 2)
    if "view_probabilities" in predictions:
        words.write(view_words(predictions, row, task), WHITE, [(4, 3)])
    called = [((box * scale).tolist(), score, cls) for box, score, cls in called_boxes(predictions, row, task)]
    truths = images_of_counts(predictions["truth_counts"]) == row
    labelled = list(
        zip((predictions["truth_boxes"][truths] * scale).tolist(), predictions["truth_classes"][truths], strict=True)
    )
    for box, _, cls in reversed(called):
        pen.rectangle(tuple(box), outline=COLOURS[cls % len(COLOURS)], width=2)
    for box, _ in labelled:
        pen.rectangle(tuple(box), outline=WHITE, width=1)
    for box, cls in labelled:
        words.write(f"label {task.class_names[cls]}", WHITE, beside(box, below_first=True))
    for box, score, cls in called:
        words.write(f"{task.class_names[cls]} {score:.2f}", COLOURS[cls % len(COLOURS)], beside(box))
    return picture


def beside(box: Sequence[float], *, below_first: bool = False) -> list[tuple[float, float]]:
    """Corners for the words of a box: above and below it, within it, to its right."""
    left, top, right, bottom = box
    above, below = (left + 2, top - LETTERS - 4), (left + 2, bottom + 2)
    outside = [below, above] if below_first else [above, below]
    return [*outside, (left + 4, top + 3), (left + 4, bottom - LETTERS - 4), (right + 4, top), (right + 4, bottom)]


def called_boxes(predictions: Predictions, row: int, task: JointTask) -> list[tuple[NDArray[np.float64], float, int]]:
    """Box, score and class of what is called in one image, surest first; nothing without a detector."""
    if "box_counts" not in predictions:
        return []
    own = (images_of_counts(predictions["box_counts"]) == row) & (predictions["box_scores"] >= least_score(task))
    found = zip(predictions["boxes"][own], predictions["box_scores"][own], predictions["box_classes"][own], strict=True)
    return sorted(((box, float(score), int(cls)) for box, score, cls in found), key=lambda one: -one[1])


def least_score(task: JointTask) -> float:
    """The score from which on a box is called."""
    return LEAST_SCORE if task.threshold is None else task.threshold


@dataclass(frozen=True, kw_only=True)
class BoxErrors:
    """What is wrong with the called boxes of N images, at an overlap of 0.5 and each box hitting one object at most.

    Attributes:
        missed: (N,) labelled objects that no called box of their class hits. false_alarms: (N,) called boxes that hit
            none. surest: (N,) score of the surest of these, 0 without one.
    """

    missed: NDArray[np.int64]
    false_alarms: NDArray[np.int64]
    surest: NDArray[np.float64]


def box_errors(predictions: Predictions, task: JointTask) -> BoxErrors:
    """Image by image, as ``precision`` and ``recall`` count them."""
    count = len(predictions["truth_counts"])
    table = task.box_tables(predictions, ["all"] * count).table
    least = least_score(task)
    counts = counts_at(table, least, np.arange(count), count)
    surest = np.zeros(count)
    wrong = (table.scores >= least) & ~table.matched[:, table.at(IOU)]
    np.maximum.at(surest, table.images[wrong], table.scores[wrong])
    hits, called, truths = (one.sum(axis=1) for one in (counts.hits, counts.called, counts.truths))
    return BoxErrors(missed=truths - hits, false_alarms=called - hits, surest=surest)


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
        errors = box_errors(predictions, task)
        for title, weight in (("worst misses", errors.missed), ("worst false alarms", errors.surest)):
            order = np.argsort(-weight, kind="stable").tolist()
            chosen[title] = _one_a_group(order, groups, each, weight)
    if task.network.sees_view:
        labels, odds = predictions["view_labels"], predictions["view_probabilities"]
        off = (odds.argmax(axis=1) != labels) & (labels != UNKNOWN)
        surest = np.argsort(-odds.max(axis=1), kind="stable").tolist()
        chosen["wrong views"] = _one_a_group(surest, groups, each, off)
    chosen["random frames"] = np.random.default_rng(0).permutation(count)[:each].tolist()
    return chosen


def _one_a_group(order: Sequence[int], groups: Sequence[str], most: int, weight: NDArray[Any]) -> list[int]:
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
