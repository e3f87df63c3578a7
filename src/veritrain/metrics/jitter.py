"""Labels as predictions score 1, and shifted labels less and less: is the score of boxes about where boxes lie?

Each labelled box is given back as a detection, shifted by *up to* a fraction of its own width and height: its direction
and its share of the fraction are drawn once and stay the same for every fraction, so that its overlap with the object
falls strictly as the fraction grows, and boxes fall below an overlap one after the other: the score must fall, and
smoothly. Fraction 0 is the *oracle*: what is true, handed in, must score 1. A score that fails here (predictions and
labels in different units, a box read in another form, a comparison for equality) says nothing about any network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths, box_areas, paired_iou
from veritrain.metrics.matching import IOU_THRESHOLDS, Floats

FRACTIONS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Greatest shifts, as fractions of a box's own width and height."""
MOST_RISE = 0.02
"""A shift may bring a box onto a neighbour of its class: so much may a score rise from one fraction to the next."""
CLOSE = 0.9
"""Where every box still overlaps its object by .95, every overlap of COCO is reached: the score must be near 1."""
FAR = 0.5
"""Where boxes were moved by up to their whole size and more, at most this share of the score may be left."""


@dataclass(frozen=True)
class JitterCurve:
    """A score over growing shifts.

    Attributes:
        fractions, scores: (F,) each; a score is None where it is undefined.
        overlaps: (F,) mean overlap of a shifted box with its own object.
        objects: how many boxes were shifted; those that need not be found or have no area are left out.
        degenerate: labels without an area, which nothing can overlap.
        problems: sentences; empty when the score behaves.
    """

    fractions: tuple[float, ...]
    scores: tuple[float | None, ...]
    overlaps: tuple[float, ...]
    objects: int
    degenerate: int
    problems: tuple[str, ...]

    @property
    def oracle(self) -> float | None:
        """The score of the labels themselves."""
        return self.scores[0]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "oracle": self.oracle}


def shifted(truths: Truths, fraction: float, *, seed: int = 0) -> Floats:
    """(M, 4) the boxes, moved by ``fraction`` u (w cos a, h sin a); the seed fixes u in 0..1 and a for each box."""
    rng = np.random.default_rng(seed)
    angles, part = rng.uniform(0, 2 * np.pi, len(truths)), rng.uniform(0, 1, len(truths))
    sides = truths.boxes[:, 2:] - truths.boxes[:, :2]
    moved = fraction * part[:, None] * sides * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(truths.boxes + np.tile(moved, (1, 2)))


def as_detections(truths: Truths, fraction: float = 0.0, *, seed: int = 0) -> Detections:
    """The labels as detections, all equally sure, shifted."""
    return Detections(truths.images, shifted(truths, fraction, seed=seed), np.ones(len(truths)), truths.classes)


def jitter_curve(
    truths: Truths,
    score: Callable[[Detections], float | None],
    *,
    fractions: Sequence[float] = FRACTIONS,
    unreachable: int = 0,
    seed: int = 0,
) -> JitterCurve:
    """Score the labels and their shifted copies.

    Args:
        truths: the labels of the set that is about to be evaluated.
        score: detections on these images to the score, **by the code that will score the network**: higher is better,
            at most 1, and 1 for the labels.
        fractions: ascending, 0 first.
        unreachable: objects beyond the limit of detections (``metrics.detection_limit``); with any, the oracle cannot
            reach 1 and is not held against it.

    Raises:
        UsageError: fractions that do not start at 0 or do not grow.
    """
    steps = np.asarray(fractions, np.float64)
    if not steps.size or steps[0] != 0 or (np.diff(steps) <= 0).any():
        raise UsageError("no shifts", expected="0 first, then growing fractions", found=f"{list(fractions)}")
    flat = box_areas(truths.boxes) == 0
    given = truths.taken(~truths.need_not_be_found & ~flat)
    scores = tuple(score(as_detections(given, step, seed=seed)) for step in steps)
    own = [paired_iou(shifted(given, step, seed=seed), given.boxes) for step in steps]
    problems = _problems(steps, scores, own, unreachable + int(flat.sum()))
    overlaps = tuple(float(each.mean()) if each.size else 0.0 for each in own)
    return JitterCurve(tuple(steps.tolist()), scores, overlaps, len(given), int(flat.sum()), tuple(problems))


def _problems(steps: Floats, scores: Sequence[float | None], own: Sequence[Floats], unreachable: int) -> list[str]:
    """What is wrong with the curve; nothing where it is undefined throughout."""
    values = [value for value in scores if value is not None]
    if not values:
        return []
    if len(values) != len(scores):
        return ["the score is defined for some shifts and undefined for others"]
    found = []
    if not unreachable and abs(values[0] - 1.0) > 1e-9:
        found.append(f"the labels themselves score {values[0]:.4g} instead of 1")
    for k in range(1, len(values)):
        if values[k] > values[k - 1] + MOST_RISE:
            found.append(
                f"boxes shifted by up to {steps[k]:g} of their size score {values[k]:.4g}, more than the "
                f"{values[k - 1]:.4g} of those shifted by up to {steps[k - 1]:g}"
            )
        if not unreachable and own[k].min() >= IOU_THRESHOLDS[-1] and values[k] < CLOSE:
            found.append(
                f"boxes shifted by up to {steps[k]:g}, which overlap by {own[k].min():.3f}, score {values[k]:.4g}"
            )
    if steps[-1] >= 1.0 and values[-1] > FAR * max(values[0], 1e-9):
        found.append(f"boxes moved by up to {steps[-1]:g} of their size still score {values[-1]:.4g}")
    return found
