"""Schedules against their formulas, frozen means unchanged, clipping against its definition."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from training.toy import ToyNet
from veritrain.errors import ConfigError
from veritrain.training.optimise import build_optimiser, clip, freeze, learning_rate_at, total_norm
from veritrain.training.options import LoopOptions


def rates(**chosen) -> list[float]:
    options = LoopOptions(**{"epochs": 4, "learning_rate": 2.0, **chosen})
    return [learning_rate_at(step, options, 5) for step in range(20)]


def test_constant():
    assert rates(schedule="constant") == [2.0] * 20


def test_warm_up_climbs_to_the_peak():
    assert rates(schedule="constant", warmup_steps=4)[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]


def test_step_multiplies_every_so_many_epochs():
    assert rates(schedule="step", step_every=2, step_factor=0.5) == [2.0] * 10 + [1.0] * 10


def test_cosine_equals_torchs_and_ends_at_zero():
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2.0)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=20)
    for found in rates(schedule="cosine"):
        assert found == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-9)
        optimiser.step()
        reference.step()
    assert learning_rate_at(20, LoopOptions(epochs=4, schedule="cosine"), 5) == 0.0


def test_more_epochs_move_the_cosines_horizon():
    before = learning_rate_at(10, LoopOptions(epochs=2), 5)
    after = learning_rate_at(10, LoopOptions(epochs=4), 5)
    assert before == 0.0
    assert after == pytest.approx(0.5e-3)


@pytest.mark.parametrize(("name", "kind"), [("sgd", "SGD"), ("adam", "Adam"), ("adamw", "AdamW")])
def test_every_choice_reaches_the_optimiser(name, kind):
    options = LoopOptions(optimiser=name, learning_rate=0.3, weight_decay=0.2, momentum=0.7)
    optimiser = build_optimiser(ToyNet(), options)
    group = optimiser.param_groups[0]
    assert type(optimiser).__name__ == kind
    assert (group["lr"], group["weight_decay"]) == (0.3, 0.2)
    assert group.get("momentum", group.get("betas", (None,))[0]) == 0.7


def test_a_network_without_parameters_is_refused():
    with pytest.raises(ConfigError):
        build_optimiser(nn.ReLU(), LoopOptions())


def test_frozen_is_unchanged_until_its_epoch():
    model = ToyNet()
    freeze(model, ((3, "body"),), 2)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {"head.weight", "head.bias"}
    assert not model.body[1].training and model.head.training
    freeze(model, ((3, "body"),), 3)
    assert all(p.requires_grad for p in model.parameters())
    assert model.body[1].training


def test_freezing_leaves_alone_what_it_does_not_name():
    model = ToyNet()
    model.head.bias.requires_grad_(False)
    freeze(model, ((2, "body"),), 5)
    assert not model.head.bias.requires_grad


def test_an_unknown_prefix_is_refused_with_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'body'"):
        freeze(ToyNet(), ((2, "bodi"),), 1)


def test_norm_and_clipping():
    model = ToyNet()
    assert total_norm(model.parameters()) == 0.0
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 2.0)
    count = sum(p.numel() for p in model.parameters())
    norm = total_norm(model.parameters())
    assert float(norm) == pytest.approx(2 * math.sqrt(count), rel=1e-6)
    clip(model.parameters(), norm, 1.0)
    assert float(total_norm(model.parameters())) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize(
    "chosen",
    [
        {"optimiser": "adamx"},
        {"schedule": "cosin"},
        {"precision": "16-true"},
        {"precision": "8-mixed"},
        {"compile": "fast"},
        {"ema_decay": 1.0},
        {"ema_decay": -0.1},
        {"epochs": 0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"clip_norm": 0.0},
        {"keep_checkpoints": 1},
        {"accumulate": 0},
    ],
)
def test_impossible_options_are_refused(chosen):
    with pytest.raises(ConfigError) as caught:
        LoopOptions(**chosen)
    assert next(iter(chosen)) in caught.value.message
