"""Whose labels a sample gets: the same as the test of frame scores, which moves the labels themselves."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.errors import UsageError
from veritrain.statistics.exchange import givers, sizes_of_equals


def test_sequences_are_repeated_from_their_start_and_cut():
    groups = [1, 0, 1, 0, 1, 2]
    assert givers(groups).tolist() == [
        [1, 1, 3, 3, 1, 1],
        [0, 0, 2, 2, 4, 0],
        [5, 5, 5, 5, 5, 5],
    ]


@pytest.mark.parametrize("seed", range(3))
def test_it_moves_labels_as_the_permutation_of_frames_does(seed):
    rng = np.random.default_rng(seed)
    groups = np.r_[np.arange(4), rng.integers(0, 4, 20)]
    labels = rng.integers(0, 9, 24)
    moved = labels[givers(groups)]
    for b in range(4):
        for a in range(4):
            own = np.flatnonzero(groups == a)
            assert moved[b, own].tolist() == np.resize(labels[groups == b], own.size).tolist()
    own = givers(groups)[groups, np.arange(24)]
    assert own.tolist() == list(range(24)), "a group that keeps its labels keeps them"


def test_a_group_without_a_sample_is_refused():
    with pytest.raises(UsageError, match="labels to give"):
        givers([0, 2])


def test_equal_sequences_are_counted():
    assert sorted(sizes_of_equals([b"a", b"b", b"a", b"c", b"a"])) == [1, 1, 3]
