"""What a balancer is: the rule by which the losses of several tasks become one update.

A *task* here is a group of loss terms whose inner weights stay as they are: detection is box, objectness and class.
``training.balancing`` measures, averages over micro-batches and ranks, and keeps the record; a balancer only decides,
in plain numbers, so that the same class serves the loop, a notebook and a test. Two kinds:

- weights, fixed or moving: the update is the gradient of sum_i w_i L_i;
- row weights (``combines_rows``): the update of the parameters that tasks share is sum_i a_i g_i, with a_i from the
  inner products of the tasks' gradients g_i; what belongs to one task alone follows its own loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import ConfigError, did_you_mean
from veritrain.losses.options import BalanceOptions

Numbers = Mapping[str, float | None]
"""Task to number; None where it is undefined, such as the loss of a task without a label in this step."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one optimiser step showed, over all its micro-batches and ranks.

    Attributes:
        losses: task to its mean loss a sample, with the inner weights of its terms and without the task's weight.
        norms: task to the Euclidean norm of that loss's gradient where the balancer measures; None where it was not
            measured, empty when nothing was.
        samples: of the step.
    """

    losses: Numbers
    norms: Numbers = field(default_factory=dict)
    samples: int = 1


class Balancer:
    """Decides what each task weighs in the update. The base of all balancers, and their protocol.

    ``weights`` is asked before a step and changes nothing; ``update`` is told after it; ``end_epoch`` after the last
    step of an epoch. ``state`` is JSON from which ``restore`` goes on bit for bit.

    Attributes:
        name: as the catalogue lists it.
        tasks: in a fixed order.
        weights_sum_to: what the weights of every step sum to, if the method promises one.
        needs_norms: measure the tasks' gradient norms in every step.
        combines_rows: ``row_weights`` is asked, and ``weights`` are those that it gave last.
        weighs_losses: ``weights`` wants the losses of the very step that they weigh.
        looks_again: ``look_again`` wants the losses of the same samples after the update.
        measures_at: where the norms of ``update`` are taken: at the network's shared parameters, or (a fault) at the
            output that each task's loss reads.
        minds_paths: a task without a path to the shared parameters stops the run; only a fault lets it go on.
    """

    name = ""
    weights_sum_to: float | None = None
    needs_norms = False
    combines_rows = False
    weighs_losses = False
    looks_again = False
    measures_at: Literal["shared", "outputs"] = "shared"
    minds_paths = True

    def __init__(self, tasks: Sequence[str], options: BalanceOptions) -> None:
        self.tasks, self.options = tuple(tasks), options
        for name in ("weights", "initial_losses"):
            _demand_tasks(name, getattr(options, name), self.tasks)
        self.first = FirstLosses(self.tasks, options.initial_steps, options.initial_losses)

    def weights(self, losses: Numbers | None = None) -> dict[str, float]:
        """Task to its weight in the coming update; ``losses`` are those of this step where ``weighs_losses``."""
        return dict.fromkeys(self.tasks, 1.0)

    def row_weights(self, gramian: NDArray[np.float64]) -> dict[str, float]:
        """Task to the weight of its gradient, from the inner products (T, T) of the tasks' gradients.

        Only where ``combines_rows``. A task whose gradient is zero gets any finite number.
        """
        raise NotImplementedError(f"{self.name} weighs losses")

    def update(self, seen: Seen) -> None:
        """After an update of the network was made; a step without an update is not told."""
        self.first.take(seen.losses)

    def look_again(self, losses: Numbers) -> None:
        """The losses of the same samples after the update; only where ``looks_again``."""

    def end_epoch(self) -> None:
        """After the last step of an epoch."""

    def ratios(self, losses: Numbers) -> dict[str, float | None]:
        """Task to L(t) / L(0), each over their mean over tasks: above 1 for a task that lags behind.

        All None while an L(0) is unknown or a loss is undefined.
        """
        shares = [self.first.share(task, losses.get(task)) for task in self.tasks]
        known = [share for share in shares if share is not None]
        mean = sum(known) / len(self.tasks)
        if len(known) < len(self.tasks) or mean <= 0:
            return dict.fromkeys(self.tasks)
        return {task: share / mean for task, share in zip(self.tasks, known, strict=True)}

    def state(self) -> dict[str, Any]:
        """JSON; floats in it come back bit for bit."""
        return {"first": self.first.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.first.restore(state["first"])


class StaticWeights(Balancer):
    """Fixed weights, as the recipe gives them: the control that every other balancer must beat."""

    name = "static"

    def weights(self, losses: Numbers | None = None) -> dict[str, float]:
        return {task: float(self.options.weights.get(task, 1.0)) for task in self.tasks}


class FirstLosses:
    """L(0) of each task: declared, or the mean of its first ``steps`` losses. One noisy batch is no denominator."""

    def __init__(self, tasks: Sequence[str], steps: int, declared: Mapping[str, float]) -> None:
        self._steps, self._declared = steps, dict(declared)
        self._sums = {task: 0.0 for task in tasks if task not in declared}
        self._counts = dict.fromkeys(self._sums, 0)

    def take(self, losses: Numbers) -> None:
        """The losses of one step; those after the first ``steps`` change nothing."""
        for task, count in self._counts.items():
            loss = losses.get(task)
            if loss is not None and count < self._steps:
                self._sums[task] += loss
                self._counts[task] = count + 1

    def of(self, task: str) -> float | None:
        """L(0), None while it is not known."""
        if task in self._declared:
            return self._declared[task]
        return self._sums[task] / self._steps if self._counts[task] >= self._steps else None

    def share(self, task: str, loss: float | None) -> float | None:
        """L(t) / L(0); None when either is unknown, or L(0) is not above 0."""
        first = self.of(task)
        return None if loss is None or first is None or first <= 0 else loss / first

    def state(self) -> dict[str, Any]:
        return {"sums": dict(self._sums), "counts": dict(self._counts)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])


class WeightOptimiser:
    """SGD or Adam (Kingma & Ba 2015, algorithm 1) for a handful of plain numbers, apart from the network's optimiser.

    ``torch.optim`` computes the same; here the state is JSON, and no tensor is made for two numbers a step.
    """

    BETAS, EPSILON = (0.9, 0.999), 1e-8

    def __init__(self, kind: str, rate: float, count: int) -> None:
        self._kind, self._rate = kind, rate
        self._steps, self._means, self._squares = 0, [0.0] * count, [0.0] * count

    def step(self, values: Sequence[float], gradient: Sequence[float]) -> list[float]:
        """The values after one step down the gradient."""
        if self._kind == "sgd":
            return [value - self._rate * slope for value, slope in zip(values, gradient, strict=True)]
        first, second = self.BETAS
        self._steps += 1
        self._means = [first * mean + (1 - first) * slope for mean, slope in zip(self._means, gradient, strict=True)]
        self._squares = [
            second * square + (1 - second) * slope * slope
            for square, slope in zip(self._squares, gradient, strict=True)
        ]
        rate = self._rate / (1 - first**self._steps)
        correction = math.sqrt(1 - second**self._steps)
        return [
            value - rate * mean / (math.sqrt(square) / correction + self.EPSILON)
            for value, mean, square in zip(values, self._means, self._squares, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        return {"steps": self._steps, "means": list(self._means), "squares": list(self._squares)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._steps, self._means, self._squares = state["steps"], list(state["means"]), list(state["squares"])


def _demand_tasks(option: str, given: Mapping[str, float], tasks: Sequence[str]) -> None:
    for name in given:
        if name not in tasks:
            raise ConfigError(
                f"{option}: no task '{name}'", expected=", ".join(tasks), found=name, fix=did_you_mean(name, tasks)
            )
