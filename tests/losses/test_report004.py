"""The faults of report 004, as they were: what its rule computes, and logits without a path."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from veritrain.errors import ConfigError
from veritrain.losses.balance import Seen
from veritrain.losses.options import BalanceOptions
from veritrain.losses.report004 import EVERY, Report004, noise_instead_of


def after(steps, losses=None, norms=None):
    balancer = Report004(("detection", "view"), BalanceOptions(balance="report004"))
    losses, norms = losses or {"detection": 5.7, "view": 0.8}, norms or {"detection": 1.0, "view": 15.0}
    for _ in range(steps):
        balancer.update(Seen(losses=losses, norms=norms))
    return balancer.weights()


def test_it_starts_at_one_and_a_hundredth_and_waits_ten_batches():
    assert after(0) == after(EVERY - 1) == {"detection": 1.0, "view": 0.01}


def test_from_then_on_its_weights_sum_to_t_squared_and_follow_the_sizes_of_outputs():
    found = after(EVERY)
    assert sum(found.values()) == pytest.approx(4.0)
    assert found["detection"] / found["view"] == pytest.approx(15.0), "the report's '15:1 optimum'"
    assert Report004(("a", "b"), BalanceOptions(balance="report004")).weights_sum_to == 2.0


def test_asked_weights_are_cut_before_they_are_scaled():
    """Asked are 500,000.5 and 0.5: cut to 10 and 0.5."""
    assert after(EVERY, norms={"detection": 1.0, "view": 1e6})["view"] == pytest.approx(4 * 0.5 / 10.5, rel=1e-5)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(3, 4)

    def forward(self, batch):
        seen = self.body(batch)
        return {"box": seen[:, :1], "view": seen[:, 1:]}


def test_noise_has_a_gradient_and_no_path_to_any_parameter():
    model = Two()
    names, plain = list(model.state_dict()), model(torch.ones(5, 3))
    undo = noise_instead_of(model, "view")
    spoilt = model(torch.ones(5, 3))
    assert list(model.state_dict()) == names and torch.equal(spoilt["box"], plain["box"])
    assert spoilt["view"].shape == plain["view"].shape and spoilt["view"].is_leaf and spoilt["view"].requires_grad
    spoilt["view"].sum().backward()
    assert model.body.weight.grad is None
    assert not torch.equal(model(torch.ones(5, 3))["view"], spoilt["view"]), "other numbers at every call"
    undo.remove()
    assert torch.equal(model(torch.ones(5, 3))["view"], plain["view"])


def test_validation_gets_noise_too():
    model = Two()
    noise_instead_of(model, "view")
    with torch.no_grad():
        assert not model(torch.ones(1, 3))["view"].requires_grad


def test_an_output_that_is_not_there_is_refused_by_name():
    model = Two()
    noise_instead_of(model, "viev")
    with pytest.raises(ConfigError, match="did you mean 'view'"):
        model(torch.ones(1, 3))
