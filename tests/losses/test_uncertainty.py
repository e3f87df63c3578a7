from __future__ import annotations

import pytest
import torch

from veritrain.losses.balance import Seen
from veritrain.losses.options import BalanceOptions
from veritrain.losses.uncertainty import Uncertainty


def run(losses, steps=1, **chosen):
    balancer = Uncertainty(tuple(losses), BalanceOptions(balance="uncertainty", **chosen))
    for _ in range(steps):
        balancer.update(Seen(losses=losses))
    return balancer.weights()


def test_weights_start_at_one_and_settle_at_one_over_the_loss():
    losses = {"a": 0.25, "b": 4.0}
    assert run(losses, 0) == {"a": 1.0, "b": 1.0}
    assert run(losses, 3000, weight_rate=0.01) == pytest.approx({"a": 4.0, "b": 0.25}, rel=0.01)


@pytest.mark.parametrize("loss", [0.3, 1.0, 7.0])
def test_a_step_is_that_of_the_papers_loss_times_two(loss):
    """2 ((1/2) exp(-s) L + (1/2) s), differentiated by torch."""
    s = torch.zeros((), dtype=torch.float64, requires_grad=True)
    total = 2 * (0.5 * torch.exp(-s) * loss + 0.5 * s)
    total.backward()
    expected = float(torch.exp(0.1 * s.grad))
    assert run({"a": loss}, weight_optimiser="sgd", weight_rate=0.1)["a"] == pytest.approx(expected, rel=1e-12)


def test_a_task_without_a_label_keeps_its_variance():
    assert run({"a": None, "b": 3.0}, weight_optimiser="sgd")["a"] == 1.0
