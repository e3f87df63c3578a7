"""Predictions reduced to what their scores need, so that they can be scored again and again.

A score is asked for many times: as it is, with whole groups resampled (intervals), with one input exchanged, with
labels exchanged between groups (the permutation test). Tables are made once from predictions and answer all of these.
Every task supplies them (``Task.tables``), whatever its scores are; what makes intervals and evidence knows no score by
name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError
from veritrain.statistics.permutation import PermutationResult

Floats = NDArray[np.float64]


class ScoreTables(Protocol):
    """The scores of one set of predictions on one labelled set, by metric name."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The scores that can be asked for, in the order in which they are reported."""
        ...

    @property
    def n_groups(self) -> int:
        """Groups that can be resampled, numbered in the sorted order of their names."""
        ...

    def value(self, metric: str) -> float | None:
        """The score of the data as they are; None where it is undefined."""
        ...

    def chance(self, metric: str) -> float | None:
        """The expected score when the scores (or answers) of these predictions are random."""
        ...

    def counts(self, metric: str) -> tuple[int, int | None]:
        """Labelled elements behind the score, and how many of them are positive (None: there is no such thing)."""
        ...

    def higher_is_better(self, metric: str) -> bool: ...

    def under(self, weights: NDArray[Any], metric: str) -> Floats:
        """(K, G) multiplicities of the groups -> (K,) scores, NaN where undefined."""
        ...

    def strata(self, metric: str) -> NDArray[np.bool_]:
        """(G,) whether the group holds a positive; each kind is resampled within itself."""
        ...

    def reach(self, metric: str) -> float:
        """The greatest possible distance of any other score from this one: 1, or less where this one cannot move."""
        ...

    def permuted(self, metric: str) -> PermutationResult:
        """The between-group permutation test of the score."""
        ...


def numbered_groups(groups: Sequence[str] | NDArray[Any]) -> tuple[int, NDArray[np.int64]]:
    """(N,) names -> how many groups there are, and the number of each sample's group in sorted order of names."""
    names, of_sample = np.unique(np.asarray(groups), return_inverse=True)
    return len(names), of_sample


class JoinedTables:
    """Several tables of the same samples as one; each metric is answered by the one that has it.

    Args:
        parts: with different metrics; the first one's are reported first.

    Raises:
        UsageError: the parts number their groups differently, or two have the same metric.
    """

    def __init__(self, *parts: ScoreTables) -> None:
        sizes = {part.n_groups for part in parts}
        names = [metric for part in parts for metric in part.metrics]
        if len(sizes) != 1 or len(set(names)) != len(names):
            raise UsageError(
                "these tables do not join",
                expected="one number of groups, every metric once",
                found=f"groups {sorted(sizes)}, metrics {names}",
            )
        self._parts = parts
        self.metrics = tuple(names)
        self.n_groups = sizes.pop()

    def part_of(self, metric: str) -> ScoreTables:
        """The tables that answer for a metric, or for one of a class of it (``metric:class``)."""
        for part in self._parts:
            if metric in part.metrics or metric.partition(":")[0] in part.metrics:
                return part
        raise UsageError(f"no score '{metric}'", expected=", ".join(self.metrics), found=metric)

    def value(self, metric: str) -> float | None:
        return self.part_of(metric).value(metric)

    def chance(self, metric: str) -> float | None:
        return self.part_of(metric).chance(metric)

    def counts(self, metric: str) -> tuple[int, int | None]:
        return self.part_of(metric).counts(metric)

    def higher_is_better(self, metric: str) -> bool:
        return self.part_of(metric).higher_is_better(metric)

    def under(self, weights: NDArray[Any], metric: str) -> Floats:
        return self.part_of(metric).under(weights, metric)

    def strata(self, metric: str) -> NDArray[np.bool_]:
        return self.part_of(metric).strata(metric)

    def reach(self, metric: str) -> float:
        return self.part_of(metric).reach(metric)

    def permuted(self, metric: str) -> PermutationResult:
        return self.part_of(metric).permuted(metric)


def value_of(under: Callable[[NDArray[Any], str], ArrayLike], n_groups: int, metric: str) -> float | None:
    """The score with every group counted once; None where it is NaN."""
    value = float(np.asarray(under(np.ones((1, n_groups)), metric))[0])
    return None if np.isnan(value) else value
