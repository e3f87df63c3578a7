"""What must be true of GradNorm, as functions of the class: the real one passes, each mutant fails at least one.

All but the last feed plain numbers; the last runs the loop's own step on a frozen network, because only there can norms
be taken at the wrong place.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest

from training.balance_toy import frozen_stepper
from veritrain.losses.balance import Balancer, Seen
from veritrain.losses.gradnorm import GradNorm
from veritrain.losses.options import BalanceOptions

Make = Callable[[Sequence[str], BalanceOptions], Balancer]


def options(**chosen) -> BalanceOptions:
    return BalanceOptions(**{"balance": "gradnorm", "initial_steps": 1, **chosen})


def weights_after(
    make: Make,
    losses: Sequence[Mapping[str, float]],
    norms: Mapping[str, float],
    chosen: BalanceOptions | None = None,
) -> dict[str, float]:
    """The weights after these steps of a network whose gradients do not change."""
    balancer = make(tuple(norms), chosen or options())
    for step in losses:
        balancer.update(Seen(losses=step, norms=norms))
    return balancer.weights()


def same(tasks: Sequence[str], value: float = 1.0, *, steps: int) -> list[dict[str, float]]:
    return [dict.fromkeys(tasks, value)] * steps


def weights_sum_to_t(make: Make) -> None:
    rng = np.random.default_rng(0)
    for count, kind in itertools.product((2, 3, 7), ("adam", "sgd")):
        tasks = tuple("abcdefg"[:count])
        balancer = make(tasks, options(weight_optimiser=kind, weight_rate=0.3, weights={"a": 5.0}))
        for _ in range(40):
            assert sum(balancer.weights().values()) == pytest.approx(count, abs=1e-6)
            assert min(balancer.weights().values()) > 0
            drawn = [dict(zip(tasks, rng.lognormal(0, 2, count).tolist(), strict=True)) for _ in range(2)]
            balancer.update(Seen(losses=drawn[0], norms=drawn[1]))


def order_of_tasks_means_nothing(make: Make) -> None:
    rng = np.random.default_rng(1)
    steps = [dict(zip("abc", rng.lognormal(0, 1, 3).tolist(), strict=True)) for _ in range(30)]
    norms = {"a": 1.0, "b": 3.0, "c": 0.2}
    plain = weights_after(make, steps, norms)
    turned = weights_after(make, steps, {task: norms[task] for task in "cab"})
    assert turned == pytest.approx(plain, abs=1e-9)


def equal_tasks_stay_at_one(make: Make) -> None:
    found = weights_after(make, same("ab", 0.7, steps=50), {"a": 2.0, "b": 2.0})
    assert found == {"a": 1.0, "b": 1.0}


def a_task_that_lags_is_pulled(make: Make) -> None:
    """Equal gradients, but the loss of ``slow`` has not fallen: its weight must rise."""
    steps = [{"slow": 1.0, "fast": 1.0}] + [{"slow": 0.9, "fast": 0.2}] * 20
    found = weights_after(make, steps, {"slow": 1.0, "fast": 1.0})
    assert found["slow"] > 1.05 > 0.95 > found["fast"]


def at_alpha_0_norms_become_equal(make: Make) -> None:
    """w_i = T (1 / g_i) / sum_j (1 / g_j), whatever the losses do."""
    norms = {"a": 0.5, "b": 1.0, "c": 2.5}
    rng = np.random.default_rng(2)
    steps = [dict(zip("abc", rng.lognormal(0, 1, 3).tolist(), strict=True)) for _ in range(4000)]
    found = weights_after(make, steps, norms, options(alpha=0.0, weight_rate=1e-3))
    inverse = {task: 1 / norm for task, norm in norms.items()}
    expected = {task: 3 * part / sum(inverse.values()) for task, part in inverse.items()}
    assert found == pytest.approx(expected, rel=0.02)


def a_scaled_loss_gets_the_inverse_weight(make: Make) -> None:
    """At the fixed point, scaling loss a by c divides w_a / w_b by c."""
    c, chosen = 3.0, options(weight_rate=1e-3)
    plain = weights_after(make, same("ab", steps=4000), {"a": 1.0, "b": 1.5}, chosen)
    scaled = weights_after(make, [{"a": c, "b": 1.0}] * 4000, {"a": c * 1.0, "b": 1.5}, chosen)
    assert (plain["a"] / plain["b"]) / (scaled["a"] / scaled["b"]) == pytest.approx(c, rel=0.02)


def a_step_is_that_of_the_formula(make: Make) -> None:
    """G = (1 x 2, 1 x 1), Gbar = 1.5; r = (0.5, 1.5), targets at alpha 1 (0.75, 2.25), so slopes (+2, -1)."""
    chosen = options(alpha=1.0, weight_optimiser="sgd", weight_rate=0.1)
    steps = [{"a": 2.0, "b": 4.0}, {"a": 1.0, "b": 6.0}]
    balancer = make(("a", "b"), chosen)
    balancer.update(Seen(losses=steps[0], norms={}))
    balancer.update(Seen(losses=steps[1], norms={"a": 2.0, "b": 1.0}))
    assert balancer.weights() == pytest.approx({"a": 2 * 0.8 / 1.9, "b": 2 * 1.1 / 1.9})


def norms_meet_at_the_shared_layer(make: Make) -> None:
    """A frozen network whose heads scale the gradient on its way: the norms at the shared weights must meet."""
    chosen = options(alpha=0.0, weight_rate=5e-3)
    stepper, step = frozen_stepper(balance=chosen)
    stepper.balance.balancer = make(stepper.balance.balancer.tasks, chosen)
    numbers = [step() for _ in range(500)]
    found = stepper.balance.balancer.weights()
    weighted = [found[task] * norm for task, norm in numbers[-1].task_norms.items()]
    assert max(weighted) / min(weighted) == pytest.approx(1.0, abs=0.05)


PROPERTIES = (
    weights_sum_to_t,
    order_of_tasks_means_nothing,
    equal_tasks_stay_at_one,
    a_task_that_lags_is_pulled,
    at_alpha_0_norms_become_equal,
    a_scaled_loss_gets_the_inverse_weight,
    a_step_is_that_of_the_formula,
    norms_meet_at_the_shared_layer,
)


class AlphaInverted(GradNorm):
    """The target of a task that lags is below the mean."""

    def targets(self, norms, ratios):
        return super().targets(norms, [1 / max(ratio, 1e-9) for ratio in ratios])


class SumSquared(GradNorm):
    """Report 004's renormalisation: the mean becomes T."""

    def renormalised(self, weights):
        return [weight * len(weights) for weight in super().renormalised(weights)]


class AtOutputs(GradNorm):
    """Norms at the outputs that each task reads."""

    measures_at = "outputs"


class TargetsMove(GradNorm):
    """The targets are not held constant: each term's slope sees its own target too."""

    def slope(self, norms, ratios):
        count = len(norms)
        signs = [slope / norm for slope, norm in zip(super().slope(norms, ratios), norms, strict=True)]
        pull = sum(sign * ratio**self.options.alpha for sign, ratio in zip(signs, ratios, strict=True))
        return [norm * (sign - pull / count) for norm, sign in zip(norms, signs, strict=True)]


class NotRenormalised(GradNorm):
    def renormalised(self, weights):
        return list(weights)


class ClampedAfterwards(GradNorm):
    """Brought to the sum first and made positive afterwards."""

    def renormalised(self, weights):
        return [max(weight * len(weights) / sum(weights), 0.1) for weight in weights]


class RatiosOfLosses(GradNorm):
    """L(t) instead of L(t) / L(0)."""

    def ratios(self, losses):
        mean = sum(losses.values()) / len(losses)
        return {task: loss / mean for task, loss in losses.items()}


class MeanOfUnweightedNorms(GradNorm):
    """Gbar of the unweighted norms."""

    def targets(self, norms, ratios):
        mean = sum(norms) / len(norms)
        return [mean * ratio**self.options.alpha for ratio in ratios]


MUTANTS = {
    AlphaInverted: a_task_that_lags_is_pulled,
    SumSquared: weights_sum_to_t,
    AtOutputs: norms_meet_at_the_shared_layer,
    TargetsMove: a_step_is_that_of_the_formula,
    NotRenormalised: weights_sum_to_t,
    ClampedAfterwards: weights_sum_to_t,
    RatiosOfLosses: a_scaled_loss_gets_the_inverse_weight,
    MeanOfUnweightedNorms: at_alpha_0_norms_become_equal,
}
"""A wrong GradNorm, and a property that it lacks."""
