"""Do the anchors fit the boxes? Best possible recall, and anchors fitted to the boxes where they do not.

A box can be learned from an anchor when neither side is ``threshold`` (4) times longer or shorter. The best possible
recall is the share of boxes that at least one anchor fits: what no training can exceed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import DataError

THRESHOLD = 4.0
LEAST_RECALL = 0.98
ROUNDS = 1000
LEVELS = 3
Sides = NDArray[np.float64]
"""(N, 2) widths and heights in pixels, above 0."""


@dataclass(frozen=True, kw_only=True)
class AnchorCheck:
    """What fits the boxes.

    Attributes:
        recall: best possible recall of the given anchors, in [0, 1].
        fitting: anchors that fit a box, on average.
        anchors: (3, A, 2) pixels, the given ones, or fitted ones where ``refitted``.
        new_recall: best possible recall of ``anchors``.
        refitted: whether the given ones fell short and the fitted ones are better.
    """

    recall: float
    fitting: float
    anchors: Sides
    new_recall: float
    refitted: bool


def check_anchors(
    sides: NDArray[Any],
    anchors: Any,
    *,
    threshold: float = THRESHOLD,
    least: float = LEAST_RECALL,
    seed: int = 0,
) -> AnchorCheck:
    """Keep the anchors when their best possible recall is above ``least``, else fit new ones and keep the better.

    Args:
        sides: (N, 2) widths and heights of the training boxes, in pixels of the network's image.
        anchors: (3, A, 2) pixels, or nested tuples of that shape.

    Raises:
        DataError: no box, or a side that is not above 0.
    """
    sides = _checked(sides)
    given = np.asarray(anchors, dtype=np.float64)
    fits = fit_of(sides, given.reshape(-1, 2))
    recall, fitting = _recall(fits, threshold), float((fits > 1 / threshold).sum(1).mean())
    if recall > least:
        return AnchorCheck(recall=recall, fitting=fitting, anchors=given, new_recall=recall, refitted=False)
    fitted = fit_anchors(sides, given.shape[1], threshold=threshold, seed=seed)
    new = best_possible_recall(sides, fitted, threshold=threshold)
    better = new > recall
    return AnchorCheck(
        recall=recall,
        fitting=fitting,
        anchors=fitted if better else given,
        new_recall=new if better else recall,
        refitted=better,
    )


def best_possible_recall(sides: NDArray[Any], anchors: Any, *, threshold: float = THRESHOLD) -> float:
    """The share of boxes (N, 2) that at least one anchor (..., 2) fits, in [0, 1].

    Raises:
        DataError: no box, or a side that is not above 0.
    """
    return _recall(fit_of(_checked(sides), np.asarray(anchors, dtype=np.float64).reshape(-1, 2)), threshold)


def fit_of(sides: Sides, anchors: Sides) -> NDArray[np.float64]:
    """(N, K) in (0, 1]: the worse of the two sides' ratios, each the smaller way round; above 1 / threshold fits."""
    ratio = sides[:, None] / anchors[None]
    found: NDArray[np.float64] = np.minimum(ratio, 1 / ratio).min(2)
    return found


def fit_anchors(
    sides: NDArray[Any], per_level: int = 3, *, threshold: float = THRESHOLD, rounds: int = ROUNDS, seed: int = 0
) -> Sides:
    """(3, per_level, 2) anchors in pixels for these boxes, smallest area first.

    k-means of the sides in units of their standard deviation, then ``rounds`` random changes of which the fitter ones
    stay; fitness is the mean over boxes of the best fit, where that is above 1 / threshold. Equal seeds give equal
    anchors.

    Raises:
        DataError: no box, or a side that is not above 0.
    """
    sides, generator = _checked(sides), np.random.default_rng(seed)
    anchors = _means(sides, LEVELS * per_level, generator)
    best = _fitness(sides, anchors, threshold)
    for _ in range(rounds):
        changed = generator.random(anchors.shape) < 0.5
        tried = np.maximum(anchors * np.exp(changed * generator.normal(0, 0.1, anchors.shape)), 2.0)
        fitness = _fitness(sides, tried, threshold)
        if fitness > best:
            anchors, best = tried, fitness
    return anchors[np.argsort(anchors.prod(1), kind="stable")].reshape(LEVELS, per_level, 2)


def _checked(sides: NDArray[Any]) -> Sides:
    found = np.asarray(sides, dtype=np.float64).reshape(-1, 2)
    if not len(found) or not np.isfinite(found).all() or (found <= 0).any():
        raise DataError(
            "anchors cannot be checked on these boxes",
            expected="at least one box, with width and height above 0",
            found=f"{len(found)} boxes, {int((~(found > 0)).any(1).sum())} of them without an area",
        )
    return found


def _recall(fits: NDArray[np.float64], threshold: float) -> float:
    return float((fits.max(1) > 1 / threshold).mean())


def _fitness(sides: Sides, anchors: Sides, threshold: float) -> float:
    best = fit_of(sides, anchors).max(1)
    return float((best * (best > 1 / threshold)).mean())


def _means(sides: Sides, count: int, generator: np.random.Generator) -> Sides:
    """(count, 2) centres of k-means (Lloyd 1982) begun by k-means++ (Arthur & Vassilvitskii 2007).

    Where there are fewer different boxes than centres, several centres are the same box.
    """
    spread = sides.std(0)
    unit = np.where(spread > 0, spread, 1.0)
    points = sides / unit
    centres = points[generator.integers(len(points), size=1)]
    while len(centres) < count:
        far = ((points[:, None] - centres[None]) ** 2).sum(2).min(1)
        share = far / far.sum() if far.sum() > 0 else None
        centres = np.concatenate([centres, points[generator.choice(len(points), size=1, p=share)]])
    for _ in range(30):
        nearest = ((points[:, None] - centres[None]) ** 2).sum(2).argmin(1)
        count_of = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, points[:, axis], count) for axis in (0, 1)], 1)
        moved = np.where(count_of[:, None] > 0, sums / np.maximum(count_of, 1)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    means: Sides = centres * unit
    return means
