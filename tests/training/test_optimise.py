"""Schedules against their formulas, frozen means unchanged, clipping against its definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from training.toy import ToyNet
from veritrain.errors import ConfigError
from veritrain.training.optimise import (
    Rates,
    accumulation_for,
    build_optimiser,
    clip,
    freeze,
    learning_rate_at,
    parameter_groups,
    rates_at,
    scaled_decay,
    set_rates,
    total_norm,
    warmup_length,
)
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


def test_linear_falls_by_the_epoch_to_its_final_share():
    found = rates(schedule="linear", final_rate=0.1)
    assert found == pytest.approx([2.0] * 5 + [1.55] * 5 + [1.1] * 5 + [0.65] * 5)
    options = LoopOptions(epochs=4, learning_rate=2.0, schedule="linear", final_rate=0.1)
    assert learning_rate_at(20, options, 5) == learning_rate_at(99, options, 5) == pytest.approx(0.2)


def test_a_warm_up_lasts_its_epochs_and_at_least_its_steps():
    assert warmup_length(LoopOptions(warmup_epochs=3, warmup_steps=100), 40) == 120
    assert warmup_length(LoopOptions(warmup_epochs=3, warmup_steps=100), 20) == 100
    assert rates(schedule="constant", warmup_epochs=0.8)[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]


YOLO = LoopOptions(
    epochs=30, optimiser="sgd", learning_rate=0.01, momentum=0.937, nesterov=True, decayed="weights",
    schedule="linear", final_rate=0.01, warmup_steps=100, warmup_epochs=3, warmup_bias_rate=0.1, warmup_momentum=0.8,
)  # fmt: skip


def test_yolos_warm_up_is_three_straight_lines():
    """Against np.interp at every step, of 3 epochs of 50 steps; the end of each line is the epoch's rate."""
    for step in range(160):
        rate = 0.01 * (1 - (step // 50) / 30 * 0.99)
        found = rates_at(step, YOLO, 50)
        assert found.weights == pytest.approx(np.interp(step, [0, 150], [0, rate]), rel=1e-9)
        assert found.biases == pytest.approx(np.interp(step, [0, 150], [0.1, rate]), rel=1e-9)
        assert found.momentum == pytest.approx(np.interp(step, [0, 150], [0.8, 0.937]), rel=1e-9)
    assert rates_at(0, YOLO, 50) == Rates(weights=0.0, biases=0.1, momentum=0.8)
    assert rates_at(75, YOLO, 50).momentum == pytest.approx(0.8685)
    assert rates_at(150, YOLO, 50) == Rates(weights=0.01 * (1 - 0.099), biases=0.01 * (1 - 0.099), momentum=0.937)
    assert rates_at(99, YOLO, 10).biases > rates_at(100, YOLO, 10).biases, "at least 100 steps"


def test_by_default_everything_has_one_rate_and_the_momentum_stays():
    options = LoopOptions(epochs=4, warmup_steps=3)
    for step in range(20):
        rate = learning_rate_at(step, options, 5)
        assert rates_at(step, options, 5) == Rates(weights=rate, biases=rate, momentum=0.9)
    (group,) = parameter_groups(ToyNet(), options)
    assert list(group) == ["params"]


def test_three_groups_and_each_parameter_in_one():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.LayerNorm(4), nn.Linear(4, 1, bias=False))
    biases, scales, weights = parameter_groups(model, YOLO)
    assert [[id(p) for p in group["params"]] for group in (biases, scales, weights)] == [
        [id(p) for p in (model[0].bias, model[1].bias, model[2].bias)],
        [id(p) for p in (model[1].weight, model[2].weight)],
        [id(p) for p in (model[0].weight, model[3].weight)],
    ]
    optimiser = build_optimiser(model, YOLO)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.0, 0.0, 0.01]
    assert {group["nesterov"] for group in optimiser.param_groups} == {True}
    everything = parameter_groups(model, LoopOptions(warmup_steps=9, warmup_bias_rate=0.1))
    assert [group.get("weight_decay") for group in everything] == [None, None, None], (
        "all decay, biases have their rate"
    )
    assert len(parameter_groups(nn.Linear(2, 2, bias=False), YOLO)) == 1


class Towered(nn.Module):
    """A tower at a tenth of the rate, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.tower, self.head = nn.Linear(3, 2), nn.Linear(2, 1)

    def rate_scales(self) -> dict[str, float]:
        return {"tower.": 0.1}


def test_a_low_rate_tower_has_groups_of_its_own():
    model = Towered()
    rest, tower = parameter_groups(model, LoopOptions())
    assert rest == {"params": [model.head.weight, model.head.bias]}
    assert tower == {"params": [model.tower.weight, model.tower.bias], "rate_scale": 0.1}
    groups = parameter_groups(model, YOLO)
    assert [(group.get("rate_scale"), group.get("biases"), len(group["params"])) for group in groups] == [
        (None, True, 1), (0.1, True, 1), (None, None, 1), (0.1, None, 1),
    ]  # fmt: skip
    optimiser = build_optimiser(model, YOLO)
    set_rates(optimiser, Rates(weights=0.2, biases=0.3, momentum=0.4))
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.3, 0.03, 0.2, 0.02])
    set_rates(optimiser, 0.5)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.5, 0.05, 0.5, 0.05])


def test_a_network_whose_towers_all_train_at_the_full_rate_has_the_usual_groups():
    model = Towered()
    model.rate_scales = lambda: {"tower.": 1.0}
    (group,) = parameter_groups(model, LoopOptions())
    assert list(group) == ["params"] and len(group["params"]) == 4


def test_rates_reach_the_groups_that_they_are_for():
    sgd = build_optimiser(ToyNet(), YOLO)
    set_rates(sgd, Rates(weights=0.2, biases=0.3, momentum=0.4))
    assert [(group["lr"], group["momentum"]) for group in sgd.param_groups] == [(0.3, 0.4), (0.2, 0.4), (0.2, 0.4)]
    adam = build_optimiser(ToyNet(), LoopOptions())
    set_rates(adam, Rates(weights=0.2, biases=0.3, momentum=0.4))
    assert (adam.param_groups[0]["lr"], adam.param_groups[0]["betas"]) == (0.2, (0.4, 0.999))
    set_rates(sgd, 0.5)
    assert [(group["lr"], group["momentum"]) for group in sgd.param_groups] == [(0.5, 0.4)] * 3


@pytest.mark.parametrize(
    ("batch", "passes", "decay"), [(16, 4, 5e-4), (64, 1, 5e-4), (128, 1, 1e-3), (24, 3, 5.625e-4)]
)
def test_updates_of_about_64_samples(batch, passes, decay):
    assert accumulation_for(batch) == passes
    assert scaled_decay(5e-4, batch, passes) == pytest.approx(decay)


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
        {"decayed": "biases"},
        {"ema_ramp": 2000.0},
        {"nesterov": True},
        {"nesterov": True, "optimiser": "sgd", "momentum": 0.0},
        {"warmup_bias_rate": 0.1},
        {"warmup_momentum": 0.8},
        {"warmup_momentum": 1.0, "warmup_steps": 3},
        {"final_rate": -0.1},
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
