"""Labels drawn anew: never the same twice, and never what another process draws."""

from __future__ import annotations

import os
import pickle

import numpy as np

from veritrain.data.spoilt import Redraw


def drawn(redraw: Redraw) -> list[float]:
    return redraw.generator().random(4).tolist()


def test_two_of_them_draw_different_numbers_and_one_goes_on():
    one, two = Redraw(), Redraw()
    assert one.generator() is one.generator(), (
        "within a process the generator goes on, and is not made anew at each draw"
    )
    numbers = [*drawn(one), *drawn(one), *drawn(two)]
    assert len(set(numbers)) == 12


def test_what_numpy_is_seeded_with_changes_nothing():
    np.random.seed(0)  # noqa: NPY002 - the seed of others
    first = drawn(Redraw())
    np.random.seed(0)  # noqa: NPY002
    assert drawn(Redraw()) != first


def test_a_copy_in_another_process_draws_its_own(monkeypatch):
    """As after a fork: the same object, the same state, another process number."""
    redraw = Redraw()
    brothers = [pickle.loads(pickle.dumps(redraw)) for _ in range(2)]
    assert drawn(brothers[0]) == drawn(brothers[1]), "in this process a copy is a copy"
    here = drawn(redraw)
    monkeypatch.setattr(os, "getpid", lambda: -1)
    forked = [pickle.loads(pickle.dumps(redraw)) for _ in range(2)]
    rows = [here, drawn(forked[0]), drawn(forked[1])]
    assert len({number for row in rows for number in row}) == 12
    assert forked[0].generator() is forked[0].generator()
