"""GradNorm by its properties, and each property by a GradNorm that is wrong."""

from __future__ import annotations

import json

import pytest

from losses.gradnorm_properties import MUTANTS, PROPERTIES, options, weights_after
from veritrain.errors import ConfigError
from veritrain.losses.balance import Seen
from veritrain.losses.gradnorm import LEAST_WEIGHT, GradNorm


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda prop: prop.__name__)
def test_gradnorm_has_the_property(prop):
    prop(GradNorm)


@pytest.mark.parametrize(("mutant", "prop"), MUTANTS.items(), ids=lambda part: part.__name__)
def test_a_wrong_gradnorm_fails_the_property(mutant, prop):
    with pytest.raises(AssertionError):
        prop(mutant)


def test_one_step_in_its_parts():
    balancer = GradNorm(("a", "b"), options(alpha=1.0))
    balancer.update(Seen(losses={"a": 2.0, "b": 4.0}, norms={}))
    assert balancer.weights() == {"a": 1.0, "b": 1.0}, "L(0) alone moves nothing"
    assert balancer.ratios({"a": 1.0, "b": 6.0}) == pytest.approx({"a": 0.5, "b": 1.5})
    assert balancer.targets([2.0, 1.0], [0.5, 1.5]) == pytest.approx([0.75, 2.25])
    assert balancer.slope([2.0, 1.0], [0.5, 1.5]) == [2.0, -1.0]


def test_weights_are_made_positive_before_they_are_made_to_sum_to_t():
    balancer = GradNorm(("a", "b"), options())
    small, large = balancer.renormalised([-3.0, 0.5])
    assert 0 < small < 1.01 * LEAST_WEIGHT * 2 / 0.5 and small + large == pytest.approx(2.0, abs=1e-12)


def test_nothing_moves_before_l0_is_known_or_without_a_label():
    chosen = options(initial_steps=3)
    norms = {"a": 1.0, "b": 5.0}
    step = {"a": 1.0, "b": 1.0}
    assert weights_after(GradNorm, [step] * 2, norms, chosen) == {"a": 1.0, "b": 1.0}
    assert weights_after(GradNorm, [step] * 3, norms, chosen)["b"] < 1.0
    unlabelled = [{"a": 1.0, "b": None}] * 9
    assert weights_after(GradNorm, unlabelled, norms, options()) == {"a": 1.0, "b": 1.0}


def test_a_declared_l0_needs_no_waiting():
    chosen = options(initial_steps=99, initial_losses={"a": 1.0, "b": 1.0})
    assert weights_after(GradNorm, [{"a": 1.0, "b": 1.0}], {"a": 1.0, "b": 5.0}, chosen)["b"] < 1.0


def test_l0_is_a_mean_over_steps_and_not_the_first_batch():
    balancer = GradNorm(("a", "b"), options(initial_steps=2))
    for loss in (1.0, 3.0, 100.0):
        balancer.first.take({"a": loss, "b": 1.0})
    assert balancer.ratios({"a": 4.0, "b": 1.0}) == pytest.approx({"a": 2 / 1.5, "b": 1 / 1.5})


def test_it_starts_at_the_given_weights_with_their_ratio():
    assert GradNorm(("a", "b"), options(weights={"b": 3.0})).weights() == pytest.approx({"a": 0.5, "b": 1.5})


@pytest.mark.parametrize("losses", [{"a": -1.0, "b": 1.0}, {"a": 0.0, "b": 1.0}])
def test_losses_that_have_no_ratio_are_refused_by_name(losses):
    with pytest.raises(ConfigError, match="task 'a'"):
        weights_after(GradNorm, [losses] * 2, {"a": 1.0, "b": 1.0})


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_its_state_is_json_and_goes_on_bit_for_bit(kind):
    chosen = options(weight_optimiser=kind, initial_steps=2)
    steps = [Seen(losses={"a": 1 / 3, "b": 0.7 / k}, norms={"a": 1 / k, "b": 1 / 7}) for k in range(1, 12)]
    whole, other = GradNorm(("a", "b"), chosen), GradNorm(("a", "b"), chosen)
    for place, seen in enumerate(steps):
        whole.update(seen)
        if place == 5:
            other.restore(json.loads(json.dumps(whole.state())))
        elif place > 5:
            other.update(seen)
    assert other.weights() == whole.weights() and other.state() == whole.state()
