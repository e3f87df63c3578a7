"""Balancers that combine gradients: TorchJD's own aggregation of the gradients themselves, and what each is for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from veritrain.errors import MissingExtraError
from veritrain.losses import jacobian_balancers
from veritrain.losses.jacobian_balancers import IMTLG, MGDA, CAGrad, JacobianBalancer, NashMTL, PCGrad, UPGrad
from veritrain.losses.options import BalanceOptions

aggregation = pytest.importorskip("torchjd.aggregation")

THEIRS = {
    "pcgrad": lambda: aggregation.PCGrad(),
    "mgda": lambda: aggregation.MGDA(),
    "imtl_g": lambda: aggregation.IMTLG(),
    "aligned_mtl": lambda: aggregation.AlignedMTL(),
    "cagrad": lambda: aggregation.CAGrad(c=0.5),
    "nash_mtl": lambda: aggregation.NashMTL(3, max_norm=1.0, update_weights_every=1, optim_niter=20),
}
"""UPGrad is not among them: TorchJD's own needs a solver under the GPL. See test_dual_cone.py."""

KINDS = {
    kind.name: kind
    for kind in vars(jacobian_balancers).values()
    if isinstance(kind, type) and issubclass(kind, JacobianBalancer) and kind.name
}


def made(kind, tasks=3, **chosen):
    try:
        return kind(tuple("abcdef"[:tasks]), BalanceOptions(balance=kind.name, **chosen))
    except MissingExtraError as error:
        pytest.skip(str(error.found))


def conflicting(tasks=3, seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 1, (tasks, 20))
    rows[1] -= 0.8 * rows[0]
    return rows * size


def update(balancer, rows):
    torch.manual_seed(0)
    return np.array(list(balancer.row_weights(rows @ rows.T).values())) @ rows


def theirs(name, rows):
    """The update as TorchJD computes it from the gradients themselves."""
    torch.manual_seed(0)
    return THEIRS[name]()(torch.from_numpy(rows)).numpy()


@pytest.mark.parametrize("name", sorted(THEIRS))
def test_the_update_is_torchjds(name):
    for seed in range(5):
        rows = conflicting(seed=seed)
        found = update(made(KINDS[name]), rows)
        expected = theirs(name, rows) * (3 if KINDS[name].averages else 1)
        assert np.allclose(found, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("name", sorted(set(KINDS) - {"nash_mtl"}))
def test_small_gradients_are_combined_as_large_ones_are(name):
    """TorchJD compares with 1e-4 here and there, and would quietly average instead."""
    large, small = (update(made(KINDS[name]), conflicting(size=size)) for size in (1.0, 1e-5))
    assert np.allclose(small * 1e5, large, atol=1e-4 * np.abs(large).max())


def test_nash_mtl_bounds_the_norm_of_the_update_as_published():
    for size in (1e-3, 1.0, 100.0):
        assert np.linalg.norm(update(made(NashMTL), conflicting(size=size))) <= 1 + 1e-6


@pytest.mark.parametrize("name", ["upgrad", "pcgrad", "mgda", "imtl_g"])
def test_equal_gradients_add_up_as_with_weights_of_one(name):
    rows = np.repeat(np.random.default_rng(0).normal(0, 1, (1, 9)), 3, axis=0)
    assert update(made(KINDS[name]), rows) == pytest.approx(rows.sum(0), rel=1e-3)


@pytest.mark.parametrize("kind", [UPGrad, MGDA])
def test_no_task_is_hurt(kind):
    for seed in range(10):
        rows = conflicting(seed=seed)
        assert (rows @ update(made(kind), rows) >= -1e-2).all()


def test_pcgrad_of_two_tasks_by_hand():
    """g1 = (1, 0), g2 = (-1, 1): without the other's part (1/2, 1/2) and (0, 1)."""
    rows = np.array([[1.0, 0.0], [-1.0, 1.0]])
    assert update(made(PCGrad, 2), rows) == pytest.approx([0.5, 1.5])


def test_imtl_g_projects_equally_on_all_gradients():
    rows = conflicting()
    found = update(made(IMTLG), rows)
    shares = rows @ found / np.linalg.norm(rows, axis=1)
    assert shares == pytest.approx([shares[0]] * 3, rel=1e-6)


def test_without_conflict_upgrad_and_pcgrad_add_gradients_up():
    rows = np.abs(np.random.default_rng(0).normal(0, 1, (3, 8)))
    for kind in (UPGrad, PCGrad):
        assert update(made(kind), rows) == pytest.approx(rows.sum(0), rel=1e-6)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_task_without_a_gradient_is_left_out(name):
    """Its zero would be the shortest combination for MGDA, and has no logarithm for Nash-MTL."""
    rows = conflicting()
    rows[2] = 0
    found = made(KINDS[name]).row_weights(rows @ rows.T)
    assert np.isfinite(list(found.values())).all()
    if name != "nash_mtl":
        two = made(KINDS[name], 2)
        torch.manual_seed(0)
        pair = two.row_weights(rows[:2] @ rows[:2].T)
        assert {task: found[task] for task in "ab"} == pytest.approx(pair, rel=1e-9)
    assert made(KINDS[name]).row_weights(np.zeros((3, 3))) == {"a": 1.0, "b": 1.0, "c": 1.0}


@pytest.mark.parametrize(("kind", "extra"), [(CAGrad, "cagrad"), (NashMTL, "nash-mtl")])
def test_a_missing_solver_is_named_with_its_extra(monkeypatch, kind, extra):
    monkeypatch.setattr(kind, "packages", ("a_solver_that_is_not_there",))
    with pytest.raises(MissingExtraError, match=f"balance {kind.name} cannot run") as caught:
        kind(("a", "b"), BalanceOptions(balance=kind.name))
    assert f'pip install "torchjd[{extra}]"' in str(caught.value)
    assert "a_solver_that_is_not_there" in str(caught.value) and caught.value.exit_code == 69
