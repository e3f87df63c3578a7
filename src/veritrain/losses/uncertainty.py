"""Uncertainty weighting (Kendall, Gal and Cipolla, CVPR 2018, section 3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from veritrain.losses.balance import Balancer, Numbers, Seen, WeightOptimiser
from veritrain.losses.options import BalanceOptions


class Uncertainty(Balancer):
    """Uncertainty weighting: weight exp(-s) with a learned log variance s, which settles at 1 / loss.

    The loss is sum_i exp(-s_i) L_i + s_i: twice the paper's form for regression, (1/2) exp(-s) L + (1/2) s, so that
    s = 0 starts every task at 1. Its gradient in s is 1 - exp(-s_i) L_i, a plain number: the log variances have an
    optimiser of their own (``weight_rate``) instead of a place among the network's parameters.
    """

    name = "uncertainty"

    def __init__(self, tasks: Sequence[str], options: BalanceOptions) -> None:
        super().__init__(tasks, options)
        self._optimiser = WeightOptimiser(options.weight_optimiser, options.weight_rate, len(self.tasks))
        self._log_variances = [0.0] * len(self.tasks)

    def weights(self, losses: Numbers | None = None) -> dict[str, float]:
        return {task: math.exp(-own) for task, own in zip(self.tasks, self._log_variances, strict=True)}

    def update(self, seen: Seen) -> None:
        """A task without a label in this step keeps its variance: its part of the slope is 0."""
        super().update(seen)
        losses = [seen.losses.get(task) for task in self.tasks]
        slope = [
            0.0 if loss is None else 1.0 - math.exp(-own) * loss
            for own, loss in zip(self._log_variances, losses, strict=True)
        ]
        self._log_variances = self._optimiser.step(self._log_variances, slope)

    def state(self) -> dict[str, Any]:
        return {**super().state(), "log_variances": list(self._log_variances), "optimiser": self._optimiser.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._log_variances = list(state["log_variances"])
        self._optimiser.restore(state["optimiser"])
