"""Whole numbers: they add up, lie near their shares, and leave nobody with fewer than asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from veritrain.worlds.whole_numbers import whole_numbers

SHARES = st.lists(st.floats(0.01, 50), min_size=1, max_size=12)


@given(SHARES, st.integers(0, 500))
def test_they_add_up_and_differ_from_their_share_by_less_than_one(shares, total):
    found = np.array(whole_numbers(shares, total))
    assert found.sum() == total and (found >= 0).all()
    assert (np.abs(found - np.array(shares) / np.sum(shares) * total) < 1 + 1e-6).all()


@given(SHARES, st.integers(0, 500), st.integers(0, 5))
def test_each_gets_the_fewest_where_there_is_room(shares, total, fewest):
    found = whole_numbers(shares, total, fewest=fewest)
    assert sum(found) == total
    assert total < fewest * len(shares) or min(found) >= fewest


def test_by_hand():
    assert whole_numbers([0.5, 0.25, 0.25], 7) == [3, 2, 2] and whole_numbers([1, 1], 3) == [2, 1]
    assert whole_numbers([90, 9, 1], 10, fewest=2) == [6, 2, 2]
