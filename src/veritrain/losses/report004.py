"""The faults of report 004's balancing, each kept to be caught: its rule, and its classifier that was noise.

The report announced an improvement by GradNorm. Its class logits were random numbers without a path to the network, its
gradient norms were taken at the outputs of the tasks (another tensor for each, so that their ratio measures sizes of
tensors), and its weights summed to T squared. Nothing here trains anything well; see docs/results.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from veritrain.errors import ConfigError, did_you_mean
from veritrain.losses.balance import Balancer, Numbers, Seen
from veritrain.losses.options import BalanceOptions

EVERY = 10
"""Steps between two updates of the weights; the first sets L(0), from one batch."""

BOUNDS = (0.1, 10.0)
FIRST_WEIGHT, OTHER_WEIGHTS = 1.0, 0.01


class Report004(Balancer):
    """Report 004's GradNorm, spoilt on purpose: norms at the outputs, weights that sum to T squared; kept to be caught.

    Every ``EVERY`` steps w_i = Gbar r_i^alpha / G_i with G_i the norm of the gradient of L_i at the output that it
    reads and r_i = L_i / L_i(0), cut to ``BOUNDS``, divided by their mean, times T. It declares the sum T and lets a
    task without a path to the network go on, so that the audit has something to find.
    """

    name = "report004"
    needs_norms = True
    measures_at = "outputs"
    minds_paths = False

    def __init__(self, tasks: Sequence[str], options: BalanceOptions) -> None:
        super().__init__(tasks, options)
        self.weights_sum_to = float(len(self.tasks))
        self._steps = 0
        self._starts: dict[str, float] = {}
        self._weights = [FIRST_WEIGHT] + [OTHER_WEIGHTS] * (len(self.tasks) - 1)

    def weights(self, losses: Numbers | None = None) -> dict[str, float]:
        return dict(zip(self.tasks, self._weights, strict=True))

    def update(self, seen: Seen) -> None:
        super().update(seen)
        self._steps += 1
        losses = [seen.losses.get(task) for task in self.tasks]
        norms = [seen.norms.get(task) for task in self.tasks]
        if self._steps % EVERY or not all(losses) or not all(norms):
            return
        now = {task: float(loss or 0.0) for task, loss in zip(self.tasks, losses, strict=True)}
        self._starts = self._starts or now
        mean = sum(float(norm or 0.0) for norm in norms) / len(norms)
        asked = [
            mean * (now[task] / self._starts[task]) ** self.options.alpha / float(norm or 1.0)
            for task, norm in zip(self.tasks, norms, strict=True)
        ]
        cut = [min(max(weight, BOUNDS[0]), BOUNDS[1]) for weight in asked]
        # The mean becomes T, and so the sum T squared.
        self._weights = [weight / (sum(cut) / len(cut)) * len(cut) for weight in cut]

    def state(self) -> dict[str, Any]:
        own = {"steps": self._steps, "starts": dict(self._starts), "weights": list(self._weights)}
        return {**super().state(), **own}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._steps, self._starts = state["steps"], dict(state["starts"])
        self._weights = list(state["weights"])


def noise_instead_of(model: nn.Module, output: str) -> RemovableHandle:
    """Let ``model`` answer with random numbers under ``output``: report 004's classifier, spoilt on purpose.

    They need gradients, so that a backward pass succeeds, and have no path to any parameter. The network's names and
    weights stay as they are.

    Args:
        output: a key of the mapping that the network returns; float (B, ...).

    Returns:
        what takes the noise away again.
    """

    def spoil(module: nn.Module, inputs: Any, answer: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if output not in answer:
            raise ConfigError(f"the network has no output '{output}'", found=output, fix=did_you_mean(output, answer))
        asked = torch.is_grad_enabled()
        return {**answer, output: torch.randn_like(answer[output], requires_grad=asked)}

    return model.register_forward_hook(spoil)
