from __future__ import annotations

import numpy as np
import pytest

from veritrain.losses.balance import Seen
from veritrain.losses.dwa import DynamicWeightAverage
from veritrain.losses.options import BalanceOptions


def after(epochs, **chosen):
    """The weights after epochs of steps, each step a dict of losses."""
    balancer = DynamicWeightAverage(tuple(epochs[0][0]), BalanceOptions(balance="dwa", **chosen))
    for steps in epochs:
        for losses in steps:
            balancer.update(Seen(losses=losses, samples=4))
        balancer.end_epoch()
    return balancer.weights()


def test_two_epochs_by_hand():
    """b did not fall: exp(1/2) against exp(1/4), times 2."""
    found = after([[{"a": 2.0, "b": 3.0}], [{"a": 1.0, "b": 3.0}]])
    powers = np.exp([0.25, 0.5])
    assert [found["a"], found["b"]] == pytest.approx((2 * powers / powers.sum()).tolist())
    assert found["b"] > 1 > found["a"], "the one that lags weighs more"


def test_it_agrees_with_torchjd_over_epochs():
    torch = pytest.importorskip("torch")
    scalarization = pytest.importorskip("torchjd.scalarization")
    theirs = scalarization.DWA()
    rng = np.random.default_rng(0)
    epochs = [[dict(zip("abc", rng.lognormal(0, 1, 3).tolist(), strict=True)) for _ in range(5)] for _ in range(4)]
    for steps in epochs:
        for losses in steps:
            theirs(torch.tensor(list(losses.values()), dtype=torch.float64))
        theirs.step()
    values = torch.ones(3, dtype=torch.float64, requires_grad=True)
    theirs(values).backward()
    assert list(after(epochs).values()) == pytest.approx(values.grad.tolist(), rel=1e-12)


def test_weights_are_one_for_two_epochs_and_where_a_task_had_no_label():
    step = {"a": 2.0, "b": 3.0}
    assert after([[step]]) == {"a": 1.0, "b": 1.0}
    assert after([[step], [{"a": 1.0, "b": None}]]) == {"a": 1.0, "b": 1.0}
    assert after([[{"a": 2.0, "b": 0.0}], [step]]) == {"a": 1.0, "b": 1.0}


def test_the_temperature_flattens_and_nothing_overflows():
    epochs = [[{"a": 2.0, "b": 1e-6}], [{"a": 1.0, "b": 1.0}]]
    sharp, flat = after(epochs, temperature=0.1), after(epochs, temperature=1e7)
    assert sharp == pytest.approx({"a": 0.0, "b": 2.0}) and flat == pytest.approx({"a": 0.95, "b": 1.05}, abs=0.1)
