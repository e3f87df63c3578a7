"""One optimiser step: forward, losses, backward, a look at the numbers, and only then the update."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from veritrain.tasks.task import Batch, Task
from veritrain.training.optimise import build_optimiser, clip, set_learning_rate, total_norm, will_train
from veritrain.training.options import LoopOptions
from veritrain.training.seeding import seed_step
from veritrain.training.terms import (
    StepNumbers,
    check_terms,
    count_samples,
    samples_of,
    sums_of,
    weighted_total,
    worst_of,
)


class NotFinite(Exception):
    """The step was not made.

    Attributes:
        numbers: of the step, the same on all ranks.
        samples: the samples whose loss is not finite, or all when only the gradient is not.
    """

    def __init__(self, numbers: StepNumbers, samples: Sequence[Mapping[str, Any]]) -> None:
        super().__init__("a loss or gradient is not finite")
        self.numbers, self.samples = numbers, samples


class Stepper:
    """Makes steps with one network and one optimiser."""

    def __init__(self, fabric: Fabric, task: Task, model: nn.Module, options: LoopOptions) -> None:
        self._fabric, self._task, self._options = fabric, task, options
        self._world = fabric.world_size
        will_train(model, options.unfreeze)
        self._module = fabric.setup_module(model)
        self.optimiser = build_optimiser(model, options)
        self._parameters = list(model.parameters())
        self._on_cpu = fabric.device.type == "cpu"

    def make(self, window: Sequence[Batch], *, step: int, batch: int, rate: float) -> StepNumbers:
        """Update the weights once from the micro-batches of ``window``.

        Args:
            step: optimiser steps made before. batch: number of the first micro-batch in its epoch.
            rate: the learning rate.

        Raises:
            NotFinite: before the update, on every rank alike.
        """
        samples, counts = self._counts(window)
        self.optimiser.zero_grad(set_to_none=True)
        parts = []
        for micro, waiting in enumerate(window):
            seed_step(self._options.seed, step, micro=micro, rank=self._fabric.global_rank)
            with self._gradient_exchange(on=micro == len(window) - 1):
                batch_here = waiting if self._on_cpu else self._fabric.to_device(waiting)
                terms, known = self._backward(batch_here, samples, counts)
            parts.append(terms)
        norm = total_norm(self._parameters)
        numbers = self._numbers(parts, samples, known, norm)
        if numbers.broken():
            raise NotFinite(numbers, worst_of(self._from_all_ranks(samples_of(parts, window, batch))))
        if self._options.clip_norm is not None:
            clip(self._parameters, norm, self._options.clip_norm)
        set_learning_rate(self.optimiser, rate)
        self.optimiser.step()
        return numbers

    def _backward(
        self, batch: Batch, samples: int, counts: Mapping[str, float]
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Per-sample terms of one micro-batch, and the count of each over the whole step."""
        weights = self._task.term_weights
        terms = self._task.losses(self._module(batch), batch)
        check_terms(terms, weights, len(batch["index"]))
        known = {name: counts.get(name, samples) for name in terms}
        self._fabric.backward(weighted_total(terms, known, weights, self._world))
        return {name: values.detach() for name, values in terms.items()}, known

    def _counts(self, window: Sequence[Batch]) -> tuple[int, dict[str, float]]:
        """Samples of the step and counts of the terms that count fewer, over all ranks."""
        samples, counts = count_samples(self._task, window)
        if self._world > 1 and counts:
            total = torch.tensor(list(counts.values()), dtype=torch.float64, device=self._fabric.device)
            counts = dict(zip(counts, self._sum_over_ranks(total).tolist(), strict=True))
        return samples * self._world, counts

    def _numbers(
        self, parts: Sequence[Mapping[str, Tensor]], samples: int, counts: Mapping[str, float], norm: Tensor
    ) -> StepNumbers:
        """One transfer from the device a step; a NaN or infinity of any rank survives the sum over ranks."""
        sums = self._sum_over_ranks(sums_of(parts))
        *values, total = torch.cat([sums, norm.double().reshape(1).to(sums.device)]).tolist()
        return StepNumbers(
            samples=samples,
            sums=dict(zip(parts[0], values, strict=True)),
            counts=counts,
            weights=self._task.term_weights,
            norm=total,
        )

    def _sum_over_ranks(self, values: Tensor) -> Tensor:
        if self._world > 1:
            torch.distributed.all_reduce(values)
        return values

    def _from_all_ranks(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if self._world == 1:
            return found
        gathered: list[Any] = [None] * self._world
        torch.distributed.all_gather_object(gathered, found)
        return [sample for part in gathered for sample in part]

    def _gradient_exchange(self, *, on: bool) -> contextlib.AbstractContextManager[Any]:
        """Ranks exchange gradients once a step, with the last micro-batch."""
        if self._world == 1 or on:
            return contextlib.nullcontext()
        return self._fabric.no_backward_sync(self._module)
