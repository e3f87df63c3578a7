"""FAMO (Liu, Feng, Stone and Liu, NeurIPS 2023) through TorchJD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from veritrain.errors import ConfigError
from veritrain.losses.balance import Balancer, Numbers
from veritrain.losses.options import BalanceOptions
from veritrain.losses.torchjd_extras import made_by_torchjd


class Famo(Balancer):
    """FAMO: the logarithms of all losses fall alike, judged by the losses before and after each update (TorchJD).

    The update is that of T c sum_i z_i log L_i with z = softmax(logits) and c such that the weights T c z_i / L_i sum
    to T; the logits then learn (Adam, ``weight_rate``) from how each loss on the very same samples changed, which costs
    a second forward pass a step. A step in which a task has no label keeps the weights and teaches nothing.

    Raises:
        MissingExtraError: no TorchJD. ConfigError: a loss is not above 0.
    """

    name = "famo"
    weighs_losses = True
    looks_again = True

    def __init__(self, tasks: Sequence[str], options: BalanceOptions) -> None:
        super().__init__(tasks, options)
        self.weights_sum_to = float(len(self.tasks))
        self._famo = made_by_torchjd(self.name, self._make)
        self._weights = dict.fromkeys(self.tasks, 1.0)
        self._weighed = False

    def _make(self) -> Any:
        from torchjd.scalarization import FAMO

        return FAMO(len(self.tasks), lr=self.options.weight_rate).double()

    def weights(self, losses: Numbers | None = None) -> dict[str, float]:
        """The weights of these losses; without losses, those of the last step."""
        if losses is None:
            return dict(self._weights)
        self._weighed = all(losses.get(task) is not None for task in self.tasks)
        if self._weighed:
            values = self._tensor(losses).requires_grad_()
            (slopes,) = torch.autograd.grad(self._famo(values), values)
            self._weights = {task: len(self.tasks) * s for task, s in zip(self.tasks, slopes.tolist(), strict=True)}
        return dict(self._weights)

    def look_again(self, losses: Numbers) -> None:
        if self._weighed and all(losses.get(task) is not None for task in self.tasks):
            self._famo.update(self._tensor(losses))

    def _tensor(self, losses: Numbers) -> Tensor:
        values = [float(losses[task] or 0.0) for task in self.tasks]
        if min(values) <= 0:
            task = self.tasks[values.index(min(values))]
            raise ConfigError(
                f"famo takes logarithms of losses, and that of task '{task}' is not above 0",
                expected="losses above 0",
                found=f"{min(values):g}",
                fix="add the constant that bounds the loss, or choose another balancer",
            )
        return torch.tensor(values, dtype=torch.float64)

    def state(self) -> dict[str, Any]:
        """TorchJD keeps Adam to itself, so this reaches for it; ``pyproject.toml`` holds the version."""
        (logits,) = self._famo.parameters()
        adam = self._famo._optimizer
        inner = None if adam is None else adam.state_dict()["state"][0]
        return {
            **super().state(),
            "weights": dict(self._weights),
            "logits": logits.tolist(),
            "adam": None if inner is None else {key: value.tolist() for key, value in inner.items()},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self._weights = dict(state["weights"])
        (logits,) = self._famo.parameters()
        with torch.no_grad():
            logits.copy_(torch.tensor(state["logits"], dtype=torch.float64))
        self._famo._optimizer = None
        if state["adam"] is not None:
            adam = torch.optim.Adam([logits], lr=self._famo.lr, weight_decay=self._famo.weight_decay)
            inner = {key: torch.tensor(value, dtype=_type_of(key)) for key, value in state["adam"].items()}
            adam.load_state_dict({**adam.state_dict(), "state": {0: inner}})
            self._famo._optimizer = adam


def _type_of(key: str) -> torch.dtype:
    """torch counts Adam's steps in float32, whatever it optimises."""
    return torch.float32 if key == "step" else torch.float64
