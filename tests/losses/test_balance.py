"""What all balancers promise, and the two small parts that they share."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from veritrain import catalog
from veritrain.errors import ConfigError, MissingExtraError
from veritrain.losses.balance import Balancer, FirstLosses, Seen, StaticWeights, WeightOptimiser
from veritrain.losses.options import BalanceOptions

TASKS = ("a", "b", "c")


def made(name: str, **chosen) -> Balancer:
    """The balancer, or a skip where its solver is not installed."""
    try:
        return catalog.resolve("balancers", name)(TASKS, BalanceOptions(balance=name, **chosen))
    except MissingExtraError as error:
        pytest.skip(str(error.found))


def steps(count: int, *, seed: int = 0) -> list[Seen]:
    rng = np.random.default_rng(seed)
    return [
        Seen(losses=dict(zip(TASKS, rng.lognormal(0, 1, 3).tolist(), strict=True)),
             norms=dict(zip(TASKS, rng.lognormal(0, 1, 3).tolist(), strict=True)), samples=4)
        for _ in range(count)
    ]  # fmt: skip


def told(balancer: Balancer, seen: Seen, *, rng: np.random.Generator) -> dict[str, float]:
    """One step as the loop makes it; the weights of the step."""
    if balancer.combines_rows:
        rows = rng.normal(size=(len(TASKS), 6))
        torch.manual_seed(3)
        weights = balancer.row_weights(rows @ rows.T)
    else:
        weights = balancer.weights(seen.losses if balancer.weighs_losses else None)
    balancer.update(seen)
    if balancer.looks_again:
        balancer.look_again({task: loss * 0.9 for task, loss in seen.losses.items()})
    return weights


@pytest.mark.parametrize("name", sorted(catalog.BALANCERS))
def test_every_balancer_keeps_the_protocol(name):
    balancer = made(name)
    assert isinstance(balancer, Balancer) and balancer.name == name
    rng = np.random.default_rng(0)
    for place, seen in enumerate(steps(25)):
        weights = told(balancer, seen, rng=rng)
        assert list(weights) == list(TASKS) and np.isfinite(list(weights.values())).all()
        promised = balancer.weights_sum_to
        if promised is not None and name != "report004":
            assert sum(weights.values()) == pytest.approx(promised, abs=1e-6)
        assert balancer.weights() is not balancer.weights(), "nobody changes them from outside"
        if place % 10 == 9:
            balancer.end_epoch()


@pytest.mark.parametrize("name", sorted(catalog.BALANCERS))
def test_every_state_is_json_and_goes_on_bit_for_bit(name):
    """Stopped in the middle of an epoch, after a change of weights."""
    whole, other = made(name), made(name)
    weights: list[list[dict[str, float]]] = [[], []]
    for run, balancer in enumerate((whole, other)):
        rng = np.random.default_rng(1)
        for place, seen in enumerate(steps(30, seed=2)):
            weights[run].append(told(balancer, seen, rng=rng))
            if place % 10 == 9:
                balancer.end_epoch()
            if run and place == 24:
                state = json.loads(json.dumps(balancer.state()))
                balancer = made(name)
                balancer.restore(state)
                other = balancer
    assert weights[0] == weights[1] and whole.state() == other.state()


@pytest.mark.parametrize("option", ["weights", "initial_losses"])
def test_a_task_that_is_not_there_is_refused_by_name(option):
    with pytest.raises(ConfigError, match="no task 'd'"):
        StaticWeights(TASKS, BalanceOptions(**{option: {"d": 1.0}}))


def test_static_weights_are_those_of_the_recipe():
    assert StaticWeights(TASKS, BalanceOptions(weights={"b": 3.0})).weights() == {"a": 1.0, "b": 3.0, "c": 1.0}


def test_loss_ratios_are_over_their_mean_and_unknown_until_l0_is():
    balancer = StaticWeights(("a", "b"), BalanceOptions(initial_steps=2, initial_losses={"b": 2.0}))
    losses = {"a": 3.0, "b": 1.0}
    assert balancer.ratios(losses) == {"a": None, "b": None}
    for _ in range(2):
        balancer.update(Seen(losses=losses))
    assert balancer.ratios({"a": 3.0, "b": 1.0}) == pytest.approx({"a": 1 / 0.75, "b": 0.5 / 0.75})
    assert balancer.ratios({"a": 3.0, "b": None}) == {"a": None, "b": None}


def test_l0_that_is_not_above_zero_gives_no_ratio():
    balancer = StaticWeights(("a", "b"), BalanceOptions(initial_steps=1))
    balancer.update(Seen(losses={"a": 0.0, "b": 1.0}))
    assert balancer.ratios({"a": 1.0, "b": 1.0}) == {"a": None, "b": None}


def test_steps_without_a_label_do_not_count_for_l0():
    first = FirstLosses(("a",), 2, {})
    for loss in (1.0, None, 3.0, 50.0):
        first.take({"a": loss})
    assert first.of("a") == 2.0


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_the_weight_optimiser_computes_what_torch_does(kind):
    ours = WeightOptimiser(kind, 0.05, 2)
    theirs = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    optimiser = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[kind]([theirs], lr=0.05)
    values = [1.0, 1.0]
    for slope in np.random.default_rng(0).normal(0, 3, (40, 2)):
        values = ours.step(values, slope.tolist())
        theirs.grad = torch.from_numpy(slope.copy())
        optimiser.step()
        assert values == pytest.approx(theirs.detach().tolist(), rel=1e-12)
