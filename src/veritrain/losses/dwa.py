"""Dynamic weight average (Liu, Johns and Davison, CVPR 2019, section 3.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from veritrain.losses.balance import Balancer, Numbers, Seen
from veritrain.losses.options import BalanceOptions


class DynamicWeightAverage(Balancer):
    """Dynamic weight average: each epoch, more weight for the task whose mean loss fell least over the last two.

    w_i = T exp(v_i / temperature) / sum_j exp(v_j / temperature), v_i = L_i(t - 1) / L_i(t - 2), with the mean losses
    of whole epochs; 1 in the first two epochs, as long as a task had no label, and where its loss was 0.
    """

    name = "dwa"

    def __init__(self, tasks: Sequence[str], options: BalanceOptions) -> None:
        super().__init__(tasks, options)
        self.weights_sum_to = float(len(self.tasks))
        self._sums, self._samples = [0.0] * len(self.tasks), [0] * len(self.tasks)
        self._epochs: list[list[float | None]] = []

    def weights(self, losses: Numbers | None = None) -> dict[str, float]:
        if len(self._epochs) < 2:
            return dict.fromkeys(self.tasks, 1.0)
        before, last = self._epochs
        falls = [new / old for new, old in zip(last, before, strict=True) if new is not None and old]
        if len(falls) < len(self.tasks):
            return dict.fromkeys(self.tasks, 1.0)
        highest = max(falls)
        powers = [math.exp((fall - highest) / self.options.temperature) for fall in falls]
        return {task: len(powers) * power / sum(powers) for task, power in zip(self.tasks, powers, strict=True)}

    def update(self, seen: Seen) -> None:
        super().update(seen)
        for place, task in enumerate(self.tasks):
            loss = seen.losses.get(task)
            if loss is not None:
                self._sums[place] += loss * seen.samples
                self._samples[place] += seen.samples

    def end_epoch(self) -> None:
        """The means of the epoch that ended take the place of those of the epoch before the last."""
        means = [total / n if n else None for total, n in zip(self._sums, self._samples, strict=True)]
        self._epochs = [*self._epochs, means][-2:]
        self._sums, self._samples = [0.0] * len(self.tasks), [0] * len(self.tasks)

    def state(self) -> dict[str, Any]:
        own = {"sums": list(self._sums), "samples": list(self._samples), "epochs": [list(one) for one in self._epochs]}
        return {**super().state(), **own}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._sums, self._samples = list(state["sums"]), list(state["samples"])
        self._epochs = [list(one) for one in state["epochs"]]
