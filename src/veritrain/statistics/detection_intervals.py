"""Intervals over groups for every detection score: by size, by part of the vocabulary, recall, VOC, harmonic mean.

Groups are scenes; where no scene is known each image is its own (:func:`groups_of`). A harmonic mean is resampled as
one: each resample scores base and novel classes on the *same* groups, so that what they share moves both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import UsageError
from veritrain.metrics.detection_suite import DetectionSuite
from veritrain.metrics.matching import Integers
from veritrain.statistics.intervals import Interval, group_bootstrap

RESAMPLES = 2000


@dataclass(frozen=True)
class GroupsOfImages:
    """``of`` (N,) 0-based group of each image, ``count`` of them; ``alone`` images without a scene are their own."""

    of: Integers
    count: int
    alone: int


def groups_of(scenes: Sequence[str | None]) -> GroupsOfImages:
    """(N,) names of scenes, None or empty where none is known -> groups: the scene, else the image itself."""
    known = np.array([bool(scene) for scene in scenes], bool)
    of = np.empty(known.size, np.int64)
    names, number = np.unique([str(scene) for scene in scenes if scene], return_inverse=True)
    of[known] = number
    of[~known] = len(names) + np.arange(int((~known).sum()))
    return GroupsOfImages(of, len(names) + int((~known).sum()), int((~known).sum()))


def detection_intervals(
    suite: DetectionSuite,
    metrics: Sequence[str] | None = None,
    *,
    n_resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Score to its interval, whole groups resampled within those that hold an object of the kind and those that do not.

    Args:
        suite: with groups.
        metrics: of ``suite.metrics``; None: all.
        n_resamples, level, seed: as :func:`~veritrain.statistics.intervals.group_bootstrap`; one seed for all, so that
            scores of equal strata see the same resamples.
    """
    return {
        metric: group_bootstrap(
            suite.n_groups,
            partial(suite.under, metric=metric),
            strata=suite.strata(metric),
            n_resamples=n_resamples,
            level=level,
            seed=seed,
        )
        for metric in (suite.metrics if metrics is None else metrics)
    }


def gain_interval(
    first: DetectionSuite, second: DetectionSuite, metric: str, *, n_resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Interval of ``first`` minus ``second`` on the same images, both scored under the same resamples; -1..1.

    Raises:
        UsageError: other groups.
    """
    if first.n_groups != second.n_groups or not np.array_equal(first.strata(metric), second.strata(metric)):
        raise UsageError("these are not the same images", fix="score both on one set, with the same groups")

    def difference(weights: NDArray[np.int64]) -> NDArray[np.float64]:
        return first.under(weights, metric) - second.under(weights, metric)

    strata = first.strata(metric)
    return group_bootstrap(
        first.n_groups, difference, strata=strata, n_resamples=n_resamples, seed=seed, bounds=(-1.0, 1.0)
    )
