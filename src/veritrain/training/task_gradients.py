"""The gradient of each task's loss at some parameters, over micro-batches and ranks; ``.grad`` is not touched."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

WIDE = (torch.float32, torch.float64)


class TaskGradients:
    """A row of gradients for each task, of the tensors that it is given.

    ``torch.autograd.grad`` captures gradients before they would be accumulated: neither ``.grad`` nor the exchange of
    DDP notices. Rows are float32 (float64 for a network in float64), whatever the precision of the pass.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], tasks: int) -> None:
        self.parameters, self._tasks = list(parameters), tasks
        ends = torch.tensor([0, *(p.numel() for p in self.parameters)]).cumsum(0).tolist()
        self._spans = list(itertools.pairwise(ends))
        self._rows: Tensor | None = None
        self._paths: list[list[bool]] = []

    def clear(self) -> None:
        self._rows, self._paths = None, [[False] * len(self.parameters) for _ in range(self._tasks)]

    def add(self, losses: Sequence[Tensor]) -> None:
        """One micro-batch: a scalar loss for each task. The graph stays, for the backward pass of the update."""
        taken = [place for place, parameter in enumerate(self.parameters) if parameter.requires_grad]
        inputs = [self.parameters[place] for place in taken]
        rows = []
        for task, loss in enumerate(losses):
            parts: list[Tensor | None] = [None] * len(self.parameters)
            if loss.requires_grad and inputs:
                found = torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True)
                for place, gradient in zip(taken, found, strict=True):
                    parts[place] = gradient
                    self._paths[task][place] |= gradient is not None
            rows.append(self._flat(parts))
        added = torch.stack(rows)
        self._rows = added if self._rows is None else self._rows + added

    def _flat(self, parts: Sequence[Tensor | None]) -> Tensor:
        """(n,) of all gradients in a row; zeros where there is no path."""
        wide = torch.float64 if any(p.dtype == torch.float64 for p in self.parameters) else torch.float32
        return torch.cat([
            parameter.new_zeros(parameter.numel(), dtype=wide) if part is None else part.reshape(-1).to(wide)
            for parameter, part in zip(self.parameters, parts, strict=True)
        ])  # fmt: skip

    def exchange(self) -> None:
        """Sum rows over ranks; a path on any rank is a path."""
        rows = self.rows()
        torch.distributed.all_reduce(rows)
        paths = torch.tensor(self._paths, dtype=torch.float32, device=rows.device)
        torch.distributed.all_reduce(paths)
        self._paths = (paths > 0).tolist()

    def rows(self) -> Tensor:
        """(T, n)."""
        assert self._rows is not None, "add comes first"
        return self._rows

    def has_path(self, task: int, places: Iterable[int]) -> bool:
        """Whether any of these parameters was reached."""
        return any(self._paths[task][place] for place in places)

    def shared(self) -> list[int]:
        """Places of the parameters that more than one task reached."""
        return [place for place in range(len(self.parameters)) if sum(paths[place] for paths in self._paths) > 1]

    def gramian(self, places: Sequence[int]) -> Tensor:
        """(T, T) float64 inner products of the tasks' gradients at these parameters."""
        rows = self.rows()
        if len(places) == len(self.parameters):
            wide = rows.double()
            return wide @ wide.T
        total = rows.new_zeros(self._tasks, self._tasks, dtype=torch.float64)
        for place in places:
            start, end = self._spans[place]
            wide = rows[:, start:end].double()
            total = total + wide @ wide.T
        return total

    def fill(self, weights: Tensor) -> None:
        """Set ``.grad``: the weighted sum of the rows at shared parameters, the plain sum where one task is alone.

        What no task reaches has no gradient, as after a backward pass. Gradients lie in memory as their parameters do:
        fused optimisers read both in the same order.
        """
        rows, shared = self.rows(), set(self.shared())
        weights = weights.to(rows)
        for place, (parameter, (start, end)) in enumerate(zip(self.parameters, self._spans, strict=True)):
            if not any(paths[place] for paths in self._paths):
                continue
            part = rows[:, start:end]
            flat = weights @ part if place in shared else part.sum(0)
            parameter.grad = torch.empty_like(parameter).copy_(flat.view(parameter.shape))
