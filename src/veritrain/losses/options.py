"""What can be chosen about balancing tasks. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from veritrain.errors import ConfigError, did_you_mean

Balance = Literal[
    "static",
    "gradnorm",
    "uncertainty",
    "dwa",
    "famo",
    "upgrad",
    "pcgrad",
    "cagrad",
    "mgda",
    "nash_mtl",
    "imtl_g",
    "aligned_mtl",
    "report004",
]
"""Names of the catalogue's balancers."""

WeightOptimiserName = Literal["adam", "sgd"]

READ_BY: dict[str, frozenset[str]] = {
    "weights": frozenset({"static", "gradnorm"}),
    "alpha": frozenset({"gradnorm", "report004"}),
    "weight_rate": frozenset({"gradnorm", "uncertainty", "famo"}),
    "weight_optimiser": frozenset({"gradnorm", "uncertainty"}),
    "initial_steps": frozenset(get_args(Balance)) - {"report004"},
    "initial_losses": frozenset(get_args(Balance)) - {"report004"},
    "temperature": frozenset({"dwa"}),
    "radius": frozenset({"cagrad"}),
}
"""Which balancers read an option; for the others it must stay at its default, so that no option changes nothing."""


@dataclass(frozen=True, kw_only=True)
class BalanceOptions:
    """How the losses of several tasks become one update. A task is a group of loss terms with fixed inner weights.

    Attributes:
        balance: static (fixed weights), a balancer that moves the weights (gradnorm, uncertainty, dwa, famo), one
            that combines the tasks' gradients (upgrad, pcgrad, cagrad, mgda, nash_mtl, imtl_g, aligned_mtl), or
            report004 (the rule of report 004, spoilt on purpose).
        weights: task to its weight, above 0; a task that is not named has 1. For static they are used as they are,
            for gradnorm they are where it starts, brought to the sum T (the number of tasks).
        alpha: of gradnorm: how strongly a task that lags behind is pulled; 0 asks for equal gradient norms.
        weight_rate: learning rate of the weights (gradnorm), log variances (uncertainty) or logits (famo).
        weight_optimiser: of the weights, apart from the network's.
        initial_steps: optimiser steps whose mean loss is L(0), the denominator of the loss ratios; gradnorm moves no
            weight before it is known.
        initial_losses: task to an L(0) that is declared instead, such as ln C for a classifier of C classes.
        temperature: of dwa.
        radius: of cagrad: how far from the mean gradient it may go, as a share of its norm.

    Raises:
        ConfigError: a value is out of its range, or the balancer does not read an option that was set.
    """

    balance: Balance = "static"
    weights: Mapping[str, float] = field(default_factory=dict)
    alpha: float = 1.5
    weight_rate: float = 0.025
    weight_optimiser: WeightOptimiserName = "adam"
    initial_steps: int = 10
    initial_losses: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 2.0
    radius: float = 0.5

    def __post_init__(self) -> None:
        for name, known in (("balance", get_args(Balance)), ("weight_optimiser", get_args(WeightOptimiserName))):
            value = str(getattr(self, name))
            if value not in known:
                raise ConfigError(
                    f"no {name} '{value}'", expected=", ".join(known), found=value, fix=did_you_mean(value, known)
                )
        for name in ("weight_rate", "temperature"):
            _demand(name, getattr(self, name), above=0.0)
        for name in ("alpha", "radius"):
            _demand(name, getattr(self, name), least=0.0)
        _demand("initial_steps", self.initial_steps, least=1.0)
        for name in ("weights", "initial_losses"):
            for task, value in getattr(self, name).items():
                _demand(f"{name} of {task}", value, above=0.0)
        for name in self.changed():
            if self.balance not in READ_BY[name]:
                raise ConfigError(
                    f"balance {self.balance} does not read '{name}'",
                    expected=f"'{name}' only with {', '.join(sorted(READ_BY[name]))}",
                    found=f"{name} = {getattr(self, name)}",
                    fix=f"leave '{name}' out, or choose one of these balancers",
                )

    def changed(self) -> list[str]:
        """Names of the options, but for ``balance`` itself, that are not at their default."""
        return [name for name, default in _DEFAULTS.items() if getattr(self, name) != default]


def _default_of(one: Any) -> Any:
    return one.default_factory() if callable(one.default_factory) else one.default


_DEFAULTS: dict[str, Any] = {one.name: _default_of(one) for one in fields(BalanceOptions) if one.name != "balance"}


def _demand(name: str, value: float, *, above: float = -math.inf, least: float = -math.inf) -> None:
    if not (math.isfinite(value) and value > above and value >= least):
        bound = f"a number above {above:g}" if above > -math.inf else f"a number of at least {least:g}"
        raise ConfigError(f"{name} is out of its range", expected=bound, found=str(value))


STATIC = BalanceOptions()
"""Every task weighs 1, whatever happens."""
