"""GradNorm (Chen, Badrinarayanan, Lee and Rabinovich, ICML 2018, section 3 and algorithm 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veritrain.errors import ConfigError
from veritrain.losses.balance import Balancer, Numbers, Seen, WeightOptimiser
from veritrain.losses.options import BalanceOptions

LEAST_WEIGHT = 1e-4
"""Weights are brought up to this before they are made to sum to T: below 0 a task would be unlearned."""


class GradNorm(Balancer):
    """GradNorm: weights whose gradient norms at the shared layer meet a common norm, larger for a task that lags.

    Per step, with g_i = ||grad_W L_i|| at the network's declared shared parameters W:

    - G_i = w_i g_i, their mean over tasks Gbar, r_i = (L_i / L_i(0)) / mean_j (L_j / L_j(0));
    - the target of task i is Gbar r_i^alpha, held constant;
    - L_grad = sum_i |G_i - target_i|, so that dL_grad/dw_i = sign(G_i - target_i) g_i: one step of the weights'
      own optimiser;
    - weights brought up to ``LEAST_WEIGHT``, and only then made to sum to T.

    No backward pass runs through the network for the weights, so its gradients cannot change. Nothing moves in a step
    in which a task has no label, nor before every L_i(0) is known.

    Raises:
        ConfigError: a loss is negative: a ratio of losses then means nothing.
    """

    name = "gradnorm"
    needs_norms = True

    def __init__(self, tasks: Sequence[str], options: BalanceOptions) -> None:
        super().__init__(tasks, options)
        self.weights_sum_to = float(len(self.tasks))
        self._optimiser = WeightOptimiser(options.weight_optimiser, options.weight_rate, len(self.tasks))
        self._weights = self.renormalised([float(options.weights.get(task, 1.0)) for task in self.tasks])

    def weights(self, losses: Numbers | None = None) -> dict[str, float]:
        return dict(zip(self.tasks, self._weights, strict=True))

    def update(self, seen: Seen) -> None:
        super().update(seen)
        ratios = [self.ratios(seen.losses)[task] for task in self.tasks]
        norms = [seen.norms.get(task) for task in self.tasks]
        if any(number is None for number in (*ratios, *norms)):
            return
        slope = self.slope([float(norm or 0.0) for norm in norms], [float(ratio or 0.0) for ratio in ratios])
        self._weights = self.renormalised(self._optimiser.step(self._weights, slope))

    def ratios(self, losses: Numbers) -> dict[str, float | None]:
        for task in self.tasks:
            first, loss = self.first.of(task), losses.get(task)
            if (first is not None and first <= 0) or (loss is not None and loss < 0):
                raise ConfigError(
                    f"gradnorm compares losses by their ratios, which means nothing for task '{task}'",
                    expected="losses of at least 0, and above 0 at the start",
                    found=f"L(0) = {first}, now {loss}",
                    fix="add the constant that bounds the loss, declare initial_losses, or choose another balancer",
                )
        return super().ratios(losses)

    def targets(self, norms: Sequence[float], ratios: Sequence[float]) -> list[float]:
        """Gbar r_i^alpha, from the unweighted norms g_i and the relative loss ratios r_i."""
        mean = sum(weight * norm for weight, norm in zip(self._weights, norms, strict=True)) / len(norms)
        return [mean * ratio**self.options.alpha for ratio in ratios]

    def slope(self, norms: Sequence[float], ratios: Sequence[float]) -> list[float]:
        """dL_grad/dw, with the targets held constant; 0 for a task that meets its target."""
        apart = [
            weight * norm - target
            for weight, norm, target in zip(self._weights, norms, self.targets(norms, ratios), strict=True)
        ]
        return [norm * ((gap > 0) - (gap < 0)) for norm, gap in zip(norms, apart, strict=True)]

    def renormalised(self, weights: Sequence[float]) -> list[float]:
        """Positive weights that sum to T."""
        positive = [max(weight, LEAST_WEIGHT) for weight in weights]
        total = sum(positive)
        return [weight * len(positive) / total for weight in positive]

    def state(self) -> dict[str, Any]:
        return {**super().state(), "weights": list(self._weights), "optimiser": self._optimiser.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._weights = list(state["weights"])
        self._optimiser.restore(state["optimiser"])
