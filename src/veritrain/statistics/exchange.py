"""Whose labels a sample gets when groups exchange their label sequences.

The k-th sample of group a gets the labels of the k-th of group b; a shorter sequence is repeated from its start, a
longer one cut. ``statistics.permutation`` does the same with the labels themselves.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from veritrain.errors import UsageError

Integers = NDArray[np.int64]


def givers(groups: ArrayLike, n_groups: int | None = None) -> Integers:
    """(N,) group of each sample -> (G, N): entry [b, i] is the sample of group b whose labels sample i would get.

    Args:
        groups: 0-based numbers, samples of a group in their order in time.
        n_groups: G; each must have a sample.

    Raises:
        UsageError: a group without a sample.
    """
    of = np.asarray(groups, np.int64)
    size = int(of.max(initial=-1)) + 1 if n_groups is None else n_groups
    members = [np.flatnonzero(of == group) for group in range(size)]
    lacking = [group for group, rows in enumerate(members) if not rows.size]
    if lacking:
        raise UsageError("a group without a sample has no labels to give", found=f"groups {lacking[:5]}")
    place = np.empty(of.size, np.int64)
    for rows in members:
        place[rows] = np.arange(rows.size)
    return np.stack([rows[place % rows.size] for rows in members])


def sizes_of_equals(sequences: Sequence[object]) -> list[int]:
    """How many groups have equal label sequences, a number for each distinct one (see ``permutation_test``)."""
    counted: dict[object, int] = {}
    for sequence in sequences:
        counted[sequence] = counted.get(sequence, 0) + 1
    return list(counted.values())
