"""One optimiser step: forward, losses, backward, a look at the numbers, and only then the update."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from veritrain.losses.options import STATIC, BalanceOptions
from veritrain.tasks.task import Batch, Task
from veritrain.training.average import WeightAverage
from veritrain.training.balancing import TaskBalance
from veritrain.training.compiling import compiled, compiler_explained
from veritrain.training.layout import channels_last, lay_out
from veritrain.training.optimise import Rates, build_optimiser, clip, set_rates, total_norm, will_train
from veritrain.training.options import LoopOptions
from veritrain.training.scaling import LossScale
from veritrain.training.seeding import seed_step
from veritrain.training.terms import (
    GRAD_NORM,
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
        skipped: updates in a row that overflowed in float16, this one among them; 0 when the loss is not finite or
            no loss is scaled.
    """

    def __init__(self, numbers: StepNumbers, samples: Sequence[Mapping[str, Any]], *, skipped: int = 0) -> None:
        super().__init__("a loss or gradient is not finite")
        self.numbers, self.samples, self.skipped = numbers, samples, skipped


class OwnBackward:
    """What Fabric takes for a loss, so that gradients of single tasks are taken where it allows backward passes."""

    def __init__(self, take: Callable[[], None]) -> None:
        self.backward = take


class Stepper:
    """Makes steps with one network and one optimiser.

    ``unpack`` makes a batch whole where the network is; ``balance`` says what each task weighs.

    Attributes:
        optimiser: of the network's float32 weights.
        scale: of the loss with 16-mixed, else None.
        average: of the weights with ``ema_decay``, else None.
        balance: the tasks' weights and gradients.
    """

    def __init__(
        self,
        fabric: Fabric,
        task: Task,
        model: nn.Module,
        options: LoopOptions,
        *,
        balance: BalanceOptions = STATIC,
        unpack: Callable[[Batch], Batch] = lambda batch: batch,
    ) -> None:
        self._fabric, self._task, self._model, self._options = fabric, task, model, options
        self._unpack = unpack
        self._world = fabric.world_size
        will_train(model, options.unfreeze)
        self.balance = TaskBalance(
            task,
            model,
            balance,
            options,
            world=self._world,
            differentiate=lambda take: fabric.backward(OwnBackward(take)),  # type: ignore[arg-type]
        )
        if options.channels_last:
            lay_out(model, torch.channels_last)
        network = compiled(model, options)
        self._wrapped = fabric.setup_module(network)
        # Alone and in float32 the engine's wrapper changes nothing, for 0.1 ms a step.
        plain = self._world == 1 and options.precision == "32-true"
        self._module: nn.Module = network if plain else self._wrapped
        self.optimiser = build_optimiser(model, options)
        self.scale = LossScale() if options.precision == "16-mixed" else None
        self.average = WeightAverage(model, options.ema_decay, ramp=options.ema_ramp) if options.ema_decay else None
        self._parameters = list(model.parameters())
        self._on_cpu = fabric.device.type == "cpu"

    def make(self, window: Sequence[Batch], *, step: int, batch: int, rate: Rates | float) -> StepNumbers:
        """Update the weights once from the micro-batches of ``window``; not at all where ``overflow`` is set.

        Args:
            step: optimiser steps made before. batch: number of the first micro-batch in its epoch.
            rate: the learning rate; or rates and momentum of the step.

        Raises:
            NotFinite, Unconnected: before the update, on every rank alike.
        """
        samples, counts = self._counts(window)
        self.optimiser.zero_grad(set_to_none=True)
        self.balance.begin(step)
        parts = []
        for micro, waiting in enumerate(window):
            seed_step(self._options.seed, step, micro=micro, rank=self._fabric.global_rank)
            with self._gradient_exchange(on=micro == len(window) - 1):
                batch_here = self._unpack(waiting if self._on_cpu else self._fabric.to_device(waiting))
                terms, known = self._backward(batch_here, samples, counts)
            parts.append(terms)
        told = self.balance.gather(scale=self._factor())
        if self.scale is not None:
            self.scale.unscale(self._parameters)
        norm = total_norm(self._parameters)
        numbers = self._numbers(parts, samples, known, norm, told)
        if broken := numbers.broken():
            scaled = self._overflow(broken)
            if scaled is not None:
                return replace(numbers, overflow=scaled)
            found = worst_of(self._from_all_ranks(samples_of(parts, window, batch)))
            raise NotFinite(numbers, found, skipped=self.scale.skipped if self.scale else 0)
        self.balance.demand_paths(numbers)
        self._update(norm, rate)
        self.balance.update(numbers)
        if self.balance.balancer.looks_again:
            seed_step(self._options.seed, step, rank=self._fabric.global_rank)
            self._look_again(batch_here, known)
        return numbers

    def _factor(self) -> float:
        """What losses are multiplied by before a backward pass."""
        return 1.0 if self.scale is None else self.scale.scale

    @torch.no_grad()
    def _look_again(self, batch: Batch, known: Mapping[str, float]) -> None:
        """The losses of a batch after the update on it: same draws, and statistics of batches stay as they were."""
        batch = channels_last(batch) if self._options.channels_last else batch
        buffers = [buffer.clone() for buffer in self._model.buffers()]
        self.balance.look_again(self._task.losses(self._module(batch), batch), known)
        for buffer, before in zip(self._model.buffers(), buffers, strict=True):
            buffer.copy_(before)

    def _update(self, norm: Tensor, rate: Rates | float) -> None:
        if self._options.clip_norm is not None:
            clip(self._parameters, norm, self._options.clip_norm)
        set_rates(self.optimiser, rate)
        self.optimiser.step()
        if self.scale is not None:
            self.scale.updated()
        if self.average is not None:
            self.average.update(self._model)

    def _overflow(self, broken: Mapping[str, float]) -> float | None:
        """The scale that was too large for these gradients; None when this is no overflow, or one too many.

        All losses being finite, what is not is the gradient of the scaled loss, and a smaller scale may mend it.
        """
        if self.scale is None or not all(name.startswith(GRAD_NORM) for name in broken):
            return None
        before = self.scale.scale
        return before if self.scale.overflowed() else None

    def close(self) -> None:
        """Give the weights back in the layout they came in: what is computed with them later is then the same
        whether they were just trained or were read from a checkpoint."""
        if self._options.channels_last:
            lay_out(self._model, torch.contiguous_format)

    def _backward(
        self, batch: Batch, samples: int, counts: Mapping[str, float]
    ) -> tuple[dict[str, Tensor], dict[str, float]]:
        """Per-sample terms of one micro-batch, and the count of each over the whole step."""
        if self._options.channels_last:
            batch = channels_last(batch)
        with self._compiler_explained():
            output = self._module(batch)
            terms = self._task.losses(output, batch)
            check_terms(terms, self._task.term_weights, len(batch["index"]))
            known = {name: counts.get(name, samples) for name in terms}
            weights = self.balance.weights(terms, known)
            self.balance.look(terms, known, output, scale=self._factor())
            if not self.balance.balancer.combines_rows:
                total = weighted_total(terms, known, weights, self._world)
                self._fabric.backward(total if self.scale is None else total * self.scale.scale)
        return {name: values.detach() for name, values in terms.items()}, known

    def _counts(self, window: Sequence[Batch]) -> tuple[int, dict[str, float]]:
        """Samples of the step and counts of the terms that count fewer, over all ranks."""
        samples, counts = count_samples(self._task, window)
        if self._world > 1 and counts:
            total = torch.tensor(list(counts.values()), dtype=torch.float64, device=self._fabric.device)
            counts = dict(zip(counts, self._sum_over_ranks(total).tolist(), strict=True))
        return samples * self._world, counts

    def _numbers(
        self,
        parts: Sequence[Mapping[str, Tensor]],
        samples: int,
        counts: Mapping[str, float],
        norm: Tensor,
        told: Tensor | None,
    ) -> StepNumbers:
        """One transfer from the device a step; a NaN or infinity of any rank survives the sum over ranks."""
        sums = self._sum_over_ranks(sums_of(parts))
        more = [] if told is None else [told.to(sums.device)]
        values = torch.cat([sums, norm.double().reshape(1).to(sums.device), *more]).tolist()
        terms = len(parts[0])
        numbers = StepNumbers(
            samples=samples,
            sums=dict(zip(parts[0], values[:terms], strict=True)),
            counts=counts,
            weights=self.balance.used(),
            norm=values[terms],
            fixed=self.balance.fixed(),
        )
        return self.balance.read(values[terms + 1 :], numbers)

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

    def _compiler_explained(self) -> contextlib.AbstractContextManager[Any]:
        """Backward passes are compiled when they first run, so both passes may fail."""
        return contextlib.nullcontext() if self._options.compile == "none" else compiler_explained()

    def _gradient_exchange(self, *, on: bool) -> contextlib.AbstractContextManager[Any]:
        """Ranks exchange gradients once a step, with the last micro-batch; combined rows do without DDP's exchange."""
        if self._world == 1 or (on and not self.balance.balancer.combines_rows):
            return contextlib.nullcontext()
        return self._fabric.no_backward_sync(self._wrapped)
