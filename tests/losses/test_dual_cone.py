"""The projection onto the dual cone, against its definition and against an exhaustive search."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

pytest.importorskip("torchjd")

from veritrain.losses.dual_cone import NonNegativeProjector


def solved(u, gramian):
    return NonNegativeProjector()(torch.from_numpy(u), torch.from_numpy(gramian)).numpy()


def by_search(u, gramian):
    """Every choice of which v_i stay at their bound: the others have a slope of 0."""
    best, least = None, np.inf
    for free in itertools.product((False, True), repeat=len(u)):
        free, v = np.array(free), u.copy()
        if free.any():
            v[free] = np.linalg.lstsq(
                gramian[np.ix_(free, free)], -gramian[np.ix_(free, ~free)] @ u[~free], rcond=None
            )[0]
        if (v >= u - 1e-12).all() and v @ gramian @ v < least - 1e-12:
            best, least = v, v @ gramian @ v
    return best


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_it_is_the_least_of_all_and_conflicts_with_no_task(tasks):
    rng = np.random.default_rng(tasks)
    moved = 0
    for _ in range(30):
        rows = rng.normal(0, 1, (tasks, 12)) * rng.lognormal(0, 1, (tasks, 1))
        rows[1:] -= rng.uniform(0, 2) * rows[0]
        gramian, u = rows @ rows.T, np.eye(tasks)[rng.integers(tasks)] / tasks
        v = solved(u, gramian)
        assert (v >= u - 1e-9).all()
        assert (gramian @ v >= -1e-8 * np.trace(gramian)).all(), "the projected gradient hurts no task"
        assert v @ gramian @ v == pytest.approx(by_search(u, gramian) @ gramian @ by_search(u, gramian), abs=1e-8)
        moved += not np.allclose(v, u)
    assert moved > 5


def test_gradients_that_are_parallel_or_zero_break_nothing():
    rows = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 0.0], [-1.0, 0.0]])
    v = solved(np.eye(4) / 4, rows @ rows.T)
    assert np.isfinite(v).all() and v.shape == (4, 4)
    assert (rows @ rows.T @ v.T >= -1e-9).all()
