from __future__ import annotations

import numpy as np
import pytest
import torch

from veritrain.errors import ConfigError
from veritrain.losses.famo import Famo
from veritrain.losses.options import BalanceOptions

torchjd = pytest.importorskip("torchjd.scalarization")


def made():
    return Famo(("a", "b"), BalanceOptions(balance="famo"))


def test_its_updates_are_torchjds_times_the_number_of_tasks():
    ours, theirs = made(), torchjd.FAMO(2).double()
    rng = np.random.default_rng(0)
    for _ in range(20):
        before, after = rng.lognormal(0, 1, (2, 2))
        values = torch.tensor(before, requires_grad=True)
        theirs(values).backward()
        found = ours.weights(dict(zip("ab", before.tolist(), strict=True)))
        assert list(found.values()) == pytest.approx((2 * values.grad).tolist(), rel=1e-12)
        assert sum(found.values()) == pytest.approx(2.0, abs=1e-6)
        theirs.update(torch.tensor(after))
        ours.look_again(dict(zip("ab", after.tolist(), strict=True)))


def test_the_task_whose_loss_falls_less_gains_weight():
    balancer = made()
    for _ in range(20):
        balancer.weights({"a": 1.0, "b": 1.0})
        balancer.look_again({"a": 0.5, "b": 0.99})
    found = balancer.weights({"a": 1.0, "b": 1.0})
    assert found["b"] > 1.1


def test_a_step_without_a_label_keeps_the_weights_and_teaches_nothing():
    balancer, other = made(), made()
    for one in (balancer, other):
        one.weights({"a": 1.0, "b": 3.0})
        one.look_again({"a": 0.7, "b": 2.9})
    assert balancer.weights({"a": None, "b": 3.0}) == balancer.weights()
    balancer.look_again({"a": None, "b": 0.1})
    assert balancer.state() == other.state()


@pytest.mark.parametrize("loss", [0.0, -1.0])
def test_losses_without_a_logarithm_are_refused_by_name(loss):
    with pytest.raises(ConfigError, match="task 'b'"):
        made().weights({"a": 1.0, "b": loss})
