"""Are predictions and labels in one unit? Asked before anything is scored, because the answer of a metric is then 0.

Perfect predictions as corners in pixels of a 224 x 224 input, held against labels as centre and size in shares of the
image, have an average precision of 0: a number that looks like a network that learned nothing (report 002's
repository went on for weeks on it). Two tests, on plain arrays, before they become boxes:

- **range**: labels that all lie within 0..1 beside predictions far beyond, or the other way round;
- **reading**: another form (corners, centre and size, corner and size, y first) or scale of either side, under which
  the average precision at 0.5, whatever the class, rises from next to nothing to a good one, and more than it does
  with the predictions of other images. A detector that learned nothing has no such reading.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection import detection_scores
from veritrain.metrics.detection_recall import surest_of_images
from veritrain.metrics.matching import match_detections

Floats = NDArray[np.float64]
USUAL_INPUTS = (224.0, 256.0, 320.0, 384.0, 448.0, 512.0, 640.0, 800.0, 1024.0)
"""Sides of network inputs, in pixels, that predictions may have been left in."""
AS_SHARES = 1.01
"""Labels in shares of the image do not exceed 1, but for rounding."""
BEYOND_SHARES = 2.0
LEAST_GAIN, LEAST_REACHED = 0.2, 0.3
"""Another reading counts when it reaches this average precision, and is this much above the arrays as they are."""
MOST_IMAGES, MOST_DETECTIONS = 100, 20
"""Images with labels, and surest detections of each, that readings are tried on."""


@dataclass(frozen=True)
class UnitCheck:
    """What was found.

    Attributes:
        problem: a sentence; None where both sides are in one unit, or nothing tells them apart.
        as_they_are, best: average precision at 0.5 over all classes as one, as given and under the best other reading;
            None where it was not needed, or there is nothing to compare.
        reading: the best other reading in words.
        labels, predictions: least and greatest coordinate; None without boxes.
        inside_out: labels that are no corners (x2 < x1 or y2 < y1).
    """

    problem: str | None
    as_they_are: float | None
    best: float | None
    reading: str | None
    labels: tuple[float, float] | None
    predictions: tuple[float, float] | None
    inside_out: int

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _centre_and_size(b: Floats) -> Floats:
    return np.concatenate([b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2], axis=1)


FORMS: dict[str, Callable[[Floats], Floats]] = {
    "corners": lambda b: b,
    "centre and size": _centre_and_size,
    "corner and size": lambda b: np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1),
    "corners with y first": lambda b: b[:, [1, 0, 3, 2]],
}
"""How four numbers become x1, y1, x2, y2."""


def check_units(
    boxes: ArrayLike,
    images: ArrayLike,
    scores: ArrayLike,
    true_boxes: ArrayLike,
    true_images: ArrayLike,
    *,
    sizes: ArrayLike | None = None,
) -> UnitCheck:
    """Look whether predictions and labels are in one unit.

    Args:
        boxes, images, scores: (D, 4), (D,), (D,) predictions as they are about to be scored.
        true_boxes, true_images: (M, 4), (M,) labels, the same.
        sizes: (N, 2) width and height of each stored image in pixels, for readings as shares of it; None: unknown.

    Returns:
        What was found; it raises nothing for boxes that are none.
    """
    found, truth = np.asarray(boxes, np.float64).reshape(-1, 4), np.asarray(true_boxes, np.float64).reshape(-1, 4)
    inside_out = int(_turned(truth).sum())
    ranges = _range(truth), _range(found)
    if not len(found) or not len(truth):
        return UnitCheck(None, None, None, None, *ranges, inside_out)
    sample = _Sample.of(
        found, np.asarray(images), np.asarray(scores, np.float64), truth, np.asarray(true_images), sizes
    )
    plain = sample.precision("corners", "corners", 1.0)
    best, elsewhere, reading = _best_reading(sample)
    problem = _range_problem(truth, found)
    if best >= LEAST_REACHED and best - max(plain, elsewhere) >= LEAST_GAIN:
        problem = f"they agree only when {reading}"
    elif inside_out and problem is None:
        problem = f"{inside_out} of {len(truth)} labels are no corners (x2 < x1 or y2 < y1)"
    return UnitCheck(problem, plain, best, reading, *ranges, inside_out)


def demand_one_unit(
    boxes: ArrayLike,
    images: ArrayLike,
    scores: ArrayLike,
    true_boxes: ArrayLike,
    true_images: ArrayLike,
    *,
    sizes: ArrayLike | None = None,
) -> UnitCheck:
    """As :func:`check_units`, for code that is about to score.

    Raises:
        UsageError: they are not in one unit, with what was found and what to do.
    """
    check = check_units(boxes, images, scores, true_boxes, true_images, sizes=sizes)
    if check.problem is None:
        return check
    told = f"labels from {_told(check.labels)}, predictions from {_told(check.predictions)}; {check.problem}"
    if check.as_they_are is not None and check.best is not None:
        told += f" (average precision at 0.5: {check.as_they_are:.3f} as they are, {check.best:.3f} read so)"
    raise UsageError(
        "predictions and labels are not in one unit, so their score would mean nothing",
        expected="both as x1, y1, x2, y2 in pixels of the stored image",
        found=told,
        fix="convert both to corners in pixels of the stored image before they are scored",
    )


@dataclass(frozen=True)
class _Sample:
    """A part of both sides, to try readings on: ``shares`` is (n_images, 2) or None."""

    boxes: Floats
    images: NDArray[np.int64]
    scores: Floats
    true_boxes: Floats
    true_images: NDArray[np.int64]
    sizes: Floats | None
    n_images: int

    @staticmethod
    def of(
        boxes: Floats,
        images: NDArray[Any],
        scores: Floats,
        true_boxes: Floats,
        true_images: NDArray[Any],
        sizes: ArrayLike | None,
    ) -> _Sample:
        """The first images that have labels, and the surest detections of each."""
        chosen = np.unique(true_images)[:MOST_IMAGES]
        finite = np.isfinite(boxes).all(axis=1) & np.isfinite(scores)
        own = np.flatnonzero(np.isin(images, chosen) & finite)
        at = np.searchsorted(chosen, images[own])
        # Only the order of the scores is used: boxes may not be corners yet.
        rows = Detections(at, np.repeat(np.arange(own.size)[:, None], 4, axis=1), scores[own], np.zeros(own.size, int))
        kept = own[surest_of_images(rows, MOST_DETECTIONS).boxes[:, 0].astype(np.int64)]
        there = np.isin(true_images, chosen) & np.isfinite(true_boxes).all(axis=1)
        given = None if sizes is None else np.asarray(sizes, np.float64)[chosen]
        return _Sample(
            boxes[kept],
            np.searchsorted(chosen, images[kept]),
            scores[kept],
            true_boxes[there],
            np.searchsorted(chosen, true_images[there]),
            given,
            len(chosen),
        )

    def precision(self, form: str, true_form: str, scale: float | str, *, exchanged: bool = False) -> float:
        """Average precision at 0.5, all classes as one, of predictions read in a form and times a scale; ``exchanged``:
        each image gets those of the one before it, which tells what lies at the same place everywhere."""
        read = FORMS[form](self.boxes) * self.factor(scale)
        truth = FORMS[true_form](self.true_boxes)
        zero = np.zeros(len(read), np.int64), np.zeros(len(truth), np.int64)
        table = match_detections(
            Detections((self.images + exchanged) % self.n_images, _as_boxes(read), self.scores, zero[0]),
            Truths(self.true_images, _as_boxes(truth), zero[1]),
            self.n_images,
            1,
            thresholds=[0.5],
            max_detections=MOST_DETECTIONS,
        )
        return detection_scores(table, ties="together").map_50 or 0.0

    def factor(self, scale: float | str) -> Floats:
        """(D, 4) or a number: "size" is times width and height of the image, "/size" the inverse."""
        if not isinstance(scale, str):
            return np.asarray(scale)
        assert self.sizes is not None
        both = np.tile(self.sizes[self.images], (1, 2))
        return both if scale == "size" else 1 / both


def _best_reading(sample: _Sample) -> tuple[float, float, str]:
    """The best average precision under another reading, that of other images' predictions, the reading in words."""
    best, elsewhere, words = 0.0, 0.0, ""
    for scale in _scales(sample):
        for form, true_form in itertools.product(_forms(sample.boxes), _forms(sample.true_boxes)):
            if (form, true_form, scale) == ("corners", "corners", 1.0) or form == true_form == "corners with y first":
                continue
            value = sample.precision(form, true_form, scale)
            if value > best:
                best, words = value, _in_words(form, true_form, scale)
                elsewhere = sample.precision(form, true_form, scale, exchanged=True)
    return best, elsewhere, words


def _forms(boxes: Floats) -> list[str]:
    """The forms that a side can have: sizes in the last two numbers turn some box inside out when read as corners.

    Without such a box, reading corners as sizes would only make everything large enough to overlap.
    """
    sized = bool(_turned(boxes).any())
    return [form for form in FORMS if sized or not form.endswith("size")]


def _turned(boxes: Floats) -> NDArray[np.bool_]:
    """(n,) whether x2 < x1 or y2 < y1."""
    return np.asarray((boxes[:, 2:] < boxes[:, :2]).any(axis=1))


def _scales(sample: _Sample) -> Iterator[float | str]:
    """Scales of the predictions under which both sides are about as large."""
    sides: Sequence[float | str] = [1.0, *(1 / side for side in USUAL_INPUTS), *USUAL_INPUTS]
    if sample.sizes is not None:
        width = float(np.median(sample.sizes))
        sides = [*sides, "size", "/size", *(width / side for side in USUAL_INPUTS if side != width)]
    far = float(np.quantile(np.abs(sample.true_boxes), 0.95)) if len(sample.true_boxes) else 0.0
    for side in sides:
        reach = np.abs(sample.boxes * sample.factor(side))
        if reach.size and 0.4 * far <= float(np.quantile(reach, 0.95)) <= 2.5 * far:
            yield side


def _in_words(form: str, true_form: str, scale: float | str) -> str:
    parts = []
    if true_form != "corners":
        parts.append(f"the labels are read as {true_form}")
    read = [] if form == "corners" else [f"read as {form}"]
    if scale != 1.0:
        read.append({"size": "times the image's size", "/size": "divided by the image's size"}.get(str(scale), ""))
        if not isinstance(scale, str):
            read[-1] = f"divided by {1 / scale:g}" if scale < 1 else f"times {scale:g}"
    if read:
        parts.append(f"the predictions are {' and '.join(read)}")
    return " and ".join(parts)


def _range_problem(truth: Floats, found: Floats) -> str | None:
    """Shares of an image against pixels, whatever the predictions are worth."""
    labels, predictions = float(np.abs(truth).max()), np.abs(found).max(axis=1)
    if labels <= AS_SHARES and float(np.median(predictions)) > BEYOND_SHARES:
        return "the labels are shares of the image and the predictions are not"
    if labels > BEYOND_SHARES and float(predictions.max()) <= AS_SHARES:
        return "the predictions are shares of the image and the labels are not"
    return None


def _as_boxes(read: Floats) -> Floats:
    """Corners; what is turned inside out becomes a box without an area, which overlaps nothing."""
    return np.concatenate([read[:, :2], np.maximum(read[:, :2], read[:, 2:])], axis=1)


def _range(boxes: Floats) -> tuple[float, float] | None:
    finite = boxes[np.isfinite(boxes)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def _told(limits: tuple[float, float] | None) -> str:
    return "nothing" if limits is None else f"{limits[0]:.4g} to {limits[1]:.4g}"
