"""Between the loss terms of a task object and a balancer: groups, gradients, guards, and what the record is told.

A task object may declare ``term_groups``, task to its terms. Without it every term is a task of its own, and with plain
static weights the loop then leaves them alone: nothing is measured, and the step is the one without this module.
Otherwise, at step 1 and every ``grad_every_steps``, the gradient of each task's loss is taken at the network's
``shared_parameters()`` (those that take gradients): norms, cosines between tasks, loss ratios and weights become a
``balance`` event. A task without a path to them, or with a gradient of exactly zero in its first labelled step, ends
the run before that update.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from veritrain import catalog
from veritrain.errors import ConfigError, did_you_mean
from veritrain.losses.balance import Balancer, Numbers, Seen
from veritrain.losses.options import STATIC, BalanceOptions
from veritrain.record import finite_or_none
from veritrain.training.options import LoopOptions
from veritrain.training.seeding import derive, seed_everything
from veritrain.training.task_gradients import TaskGradients
from veritrain.training.terms import StepNumbers, weighted_total

GRAPHS = ("reduce-overhead", "max-autotune")
"""Modes of ``torch.compile`` whose CUDA graphs give their memory to the next backward pass."""


class Unconnected(Exception):
    """The step was not made: the loss of some tasks does not reach the network that they are to train.

    Attributes:
        tasks: by name. fields: of the ``balance`` event. numbers: of the step.
    """

    def __init__(self, tasks: Sequence[str], fields: Mapping[str, Any], numbers: StepNumbers) -> None:
        super().__init__(f"the loss of {' and '.join(tasks)} does not reach the network's shared parameters")
        self.tasks, self.fields, self.numbers = tuple(tasks), fields, numbers


class TaskBalance:
    """The balancer of one training, and its measurements. One step is ``begin``, then per micro-batch ``weights`` and
    ``look`` (or ``look`` alone, where rows are combined), then ``gather``, ``read``, and after the update ``update``.

    Attributes:
        balancer: what decides.
        groups: task to its terms.
        watched: whether tasks are told apart at all; if not, the step is that of the bare terms.

    Args:
        world: ranks that train together.
        differentiate: calls what takes gradients where the engine allows that.

    Raises:
        ConfigError: groups that do not fit the terms, or a combination that cannot be right.
        MissingExtraError: the balancer's package is not installed.
    """

    def __init__(
        self,
        task: Any,
        model: nn.Module,
        balance: BalanceOptions,
        options: LoopOptions,
        *,
        world: int = 1,
        differentiate: Callable[[Callable[[], None]], None] = lambda take: take(),
    ) -> None:
        self._gains: Mapping[str, float] = task.term_weights
        self.groups = groups_of(task)
        self.balancer: Balancer = catalog.resolve("balancers", balance.balance)(tuple(self.groups), balance)
        self.watched = getattr(task, "term_groups", None) is not None or balance != STATIC
        self._options, self._world, self._differentiate = options, world, differentiate
        self._shared = shared_of(model) if self.watched else []
        self._check(model)
        self._measures = self.watched and options.compile not in GRAPHS
        self._unchecked = set(self.groups) if self._measures and self.balancer.minds_paths else set()
        at = list(model.parameters()) if self.balancer.combines_rows or not self._shared else self._shared
        self._gradients = TaskGradients(at, len(self.groups))
        declared = {id(one) for one in self._shared or at}
        self._measured = [place for place, one in enumerate(at) if id(one) in declared]
        self._outputs: list[Tensor | None] = []
        self._step, self._looking, self._recorded = 0, False, False
        self._factors: dict[str, float] = dict.fromkeys(self.groups, 1.0)
        self._norms: dict[str, float] = {}
        self._steering: Numbers = {}
        if self.watched and options.compile != "none":
            keep_graphs_of_compiled()

    def _check(self, model: nn.Module) -> None:
        """Refuse what would be wrong, before anything is computed."""
        balancer, options = self.balancer, self._options
        name = f"balance {balancer.name}"
        if not self.watched or balancer.name == "static":
            return
        if len(self.groups) < 2:
            raise ConfigError(f"{name} needs tasks to balance", expected="at least 2", found=", ".join(self.groups))
        if not self._shared:
            raise ConfigError(
                f"{name} needs parameters that the tasks share",
                expected="a network with shared_parameters()",
                found=f"none in {type(model).__name__}",
                fix="declare the last layer that all tasks share, or use balance static",
            )
        staged = tuple(prefix for since, prefix in options.unfreeze if since > 1)
        names = {parameter: key for key, parameter in model.named_parameters()}
        if all(names[one].startswith(staged) or not one.requires_grad for one in self._shared):
            raise ConfigError(
                f"{name} needs shared parameters that take gradients",
                expected="at least one",
                found="all of them are frozen in the first epoch",
                fix="unfreeze the shared layer, or use balance static",
            )
        if options.compile in GRAPHS and (balancer.needs_norms or balancer.combines_rows):
            raise ConfigError(
                f"{name} takes several gradients of one forward pass, which compile {options.compile} does not allow",
                expected="compile none or default",
                found=options.compile,
            )
        if balancer.weighs_losses and options.accumulate > 1:
            raise ConfigError(
                f"{name} weighs the losses of a whole step, which are not known before its last micro-batch",
                expected="accumulate 1",
                found=f"accumulate {options.accumulate}",
                fix="take larger batches, or another balancer",
            )

    # ---- a step ----------------------------------------------------------------------------------------------

    def begin(self, step: int) -> None:
        """Optimiser step ``step``, counted from 0, is about to be made."""
        repeats = len(self.groups) > 1 and bool(self._shared)
        due = step == 0 or (step + 1) % self._options.grad_every_steps == 0
        self._step = step
        asked = self._measures and (bool(self._unchecked) or (due and (repeats or step == 0)))
        self._recorded = asked and any(one.requires_grad for one in self._gradients.parameters)
        needed = self.balancer.needs_norms or self.balancer.combines_rows
        self._looking = self._recorded or (self.watched and needed)
        self._gradients.clear()
        self._outputs = []

    def weights(self, terms: Mapping[str, Tensor], known: Mapping[str, float]) -> dict[str, float]:
        """Term to its weight in this step: that of its task times its own. Fixed within a step."""
        if not self.watched:
            return dict(self._gains)
        losses = self._losses_of(terms, known) if self.balancer.weighs_losses else None
        self._factors = self.balancer.weights(losses)
        return self._term_weights(self._factors)

    def _term_weights(self, factors: Mapping[str, float]) -> dict[str, float]:
        return {term: self._gains[term] * factors[task] for task, group in self.groups.items() for term in group}

    def _losses_of(self, terms: Mapping[str, Tensor], known: Mapping[str, float]) -> dict[str, float | None]:
        """Task to its loss in this step, over all ranks; one transfer from the device."""
        sums = torch.stack([values.detach().double().sum() for values in terms.values()])
        if self._world > 1:
            torch.distributed.all_reduce(sums)
        return self._task_losses(dict(zip(terms, sums.tolist(), strict=True)), known)

    def _task_losses(self, sums: Mapping[str, float], counts: Mapping[str, float]) -> dict[str, float | None]:
        losses: dict[str, float | None] = {}
        for task, group in self.groups.items():
            parts = [self._gains[t] * sums[t] / counts[t] for t in group if t in sums and counts[t]]
            losses[task] = sum(parts) if parts else None
        return losses

    def look(
        self,
        terms: Mapping[str, Tensor],
        known: Mapping[str, float],
        output: Mapping[str, Tensor],
        *,
        scale: float,
    ) -> None:
        """Take the gradients of this micro-batch where this step needs them. The graph stays.

        Args:
            output: of the network. scale: of the loss, see ``scaling.py``.
        """
        if self.watched:
            self._check_present(terms)
        if not self._looking:
            return
        parts = []
        weights = self._term_weights(self._rows_weigh())
        for group in self.groups.values():
            own = {term: terms[term] for term in group if term in terms}
            parts.append(weighted_total(own, known, weights, 1) * scale)
        self._differentiate(lambda: self._gradients.add(parts))
        if self.balancer.measures_at == "outputs":
            self._differentiate(lambda: self._look_at_outputs(parts, output))

    def _rows_weigh(self) -> Mapping[str, float]:
        """Rows are gradients of w_i L_i, which overflow no sooner than the update's; combined rows are of L_i."""
        return dict.fromkeys(self.groups, 1.0) if self.balancer.combines_rows else self._factors

    def _check_present(self, terms: Mapping[str, Tensor]) -> None:
        for task, group in self.groups.items():
            if not any(term in terms for term in group):
                raise ConfigError(
                    f"task '{task}' has no loss: none of its terms was returned",
                    expected=", ".join(group),
                    found=", ".join(terms),
                    fix="return its terms from losses(), or leave the task out of term_groups",
                )

    def _look_at_outputs(self, parts: Sequence[Tensor], output: Mapping[str, Tensor]) -> None:
        """The first output that a task's loss reads, and the gradient there: what report 004 measured."""
        there = [value for value in output.values() if isinstance(value, Tensor) and value.requires_grad]
        squares: list[Tensor | None] = []
        for loss in parts:
            found = torch.autograd.grad(loss, there, retain_graph=True, allow_unused=True)
            reached = [gradient for gradient in found if gradient is not None]
            squares.append(reached[0].double().square().sum() if reached else None)
        before = self._outputs or [None] * len(squares)
        self._outputs = [
            new if old is None or new is None else old + new for old, new in zip(before, squares, strict=True)
        ]

    def gather(self, *, scale: float) -> Tensor | None:
        """After the last micro-batch: what the device has to tell, flat float64; None when nothing was measured.

        Where rows are combined, this sets ``.grad``: gradients of the scaled loss, like those of a backward pass.
        """
        if not self._looking:
            return None
        if self._world > 1:
            self._gradients.exchange()
        parts = [self._gradients.gramian(self._measured).reshape(-1) / scale**2]
        if self.balancer.combines_rows:
            self._combine(scale)
        if self._outputs:
            squares = torch.stack([parts[0].new_zeros(()) if one is None else one for one in self._outputs])
            if self._world > 1:
                torch.distributed.all_reduce(squares)
            parts.append(squares / scale**2)
        return torch.cat(parts)

    def _combine(self, scale: float) -> None:
        gradients = self._gradients
        gramian = gradients.gramian(gradients.shared()).cpu().numpy() / scale**2
        self._factors = dict.fromkeys(self.groups, 1.0)
        if np.isfinite(gramian).all():
            # For all ranks alike: PCGrad draws an order.
            seed_everything(derive(self._options.seed, "balance", self._step))
            self._factors = self.balancer.row_weights(gramian)
        gradients.fill(torch.tensor([self._factors[task] for task in self.groups], dtype=torch.float64))

    def used(self) -> Mapping[str, float]:
        """Term to the weight it had in this step (in the shared parameters, where rows are combined)."""
        return self._term_weights(self._factors) if self.watched else self._gains

    def fixed(self) -> Mapping[str, float]:
        """Term to a weight that never moves, so that a total means the same at every step."""
        return self.used() if self.balancer.name == "static" else self._gains

    # ---- after the passes ------------------------------------------------------------------------------------

    def read(self, told: Sequence[float], numbers: StepNumbers) -> StepNumbers:
        """The numbers with norms of tasks and the fields of a ``balance`` event, from what ``gather`` told."""
        if not self._looking:
            return numbers
        count = len(self.groups)
        gramian = [list(told[place * count : (place + 1) * count]) for place in range(count)]
        factors = self._rows_weigh()
        self._norms = {task: _root(gramian[k][k]) / factors[task] for k, task in enumerate(self.groups)}
        at_outputs = told[count * count :]
        self._steering = dict(self._norms)
        if at_outputs:
            self._steering = {
                task: _root(square) / factors[task] for task, square in zip(self.groups, at_outputs, strict=True)
            }
        numbers = replace(numbers, task_norms=self._norms)
        if not self._recorded or numbers.broken():
            return numbers
        return replace(numbers, balance=self._fields(gramian, numbers))

    def _fields(self, gramian: Sequence[Sequence[float]], numbers: StepNumbers) -> dict[str, Any]:
        """What the record is told."""
        losses = self._task_losses(numbers.sums, numbers.counts)
        places = {task: place for place, task in enumerate(self.groups)}
        cosines = {
            f"{one}|{other}": _cosine(gramian, places[one], places[other])
            for one, other in itertools.combinations(self.groups, 2)
        }
        return {
            "name": self.balancer.name,
            "measured_at": "shared_parameters" if self._shared else "parameters",
            "weights": {task: finite_or_none(self._factors[task]) for task in self.groups},
            "weights_sum": finite_or_none(sum(self._factors.values())),
            "weights_sum_to": self.balancer.weights_sum_to,
            "losses": {task: finite_or_none(loss) for task, loss in losses.items()},
            "loss_ratios": {task: finite_or_none(ratio) for task, ratio in self.balancer.ratios(losses).items()},
            "grad_norms": {
                task: None if losses[task] is None else finite_or_none(self._norms[task]) for task in self.groups
            },
            "cosines": cosines,
            "unconnected": [
                task for task, place in places.items() if not self._gradients.has_path(place, self._measured)
            ],
        }

    def demand_paths(self, numbers: StepNumbers) -> None:
        """In its first labelled step each task must move the network. Call it with finite numbers.

        Raises:
            Unconnected: some do not.
        """
        if not self._looking or not self._unchecked:
            return
        losses = self._task_losses(numbers.sums, numbers.counts)
        labelled = {task for task in self._unchecked if losses[task] is not None}
        dead = [task for task in self.groups if task in labelled and self._norms[task] == 0]
        if dead:
            raise Unconnected(dead, numbers.balance or {}, numbers)
        self._unchecked -= labelled

    def update(self, numbers: StepNumbers) -> None:
        """After the network was updated."""
        if self.watched:
            losses = self._task_losses(numbers.sums, numbers.counts)
            norms = self._steering if self._looking else {}
            self.balancer.update(Seen(losses=losses, norms=norms, samples=numbers.samples))

    def look_again(self, terms: Mapping[str, Tensor], known: Mapping[str, float]) -> None:
        """The losses of the same samples after the update."""
        self.balancer.look_again(self._losses_of(terms, known))

    def end_epoch(self) -> None:
        if self.watched:
            self.balancer.end_epoch()

    # ---- what is kept ----------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any] | None:
        """JSON for a checkpoint; None when there is nothing to keep."""
        if not self.watched:
            return None
        return {"name": self.balancer.name, "unchecked": sorted(self._unchecked), "state": self.balancer.state()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``state`` gave; that of another balancer (an allowed change) is left aside."""
        if self.watched and state["name"] == self.balancer.name:
            self._unchecked &= set(state["unchecked"])
            self.balancer.restore(state["state"])

    def note(self) -> str:
        """What a reader of the run should know about measurements that are not made; empty when all are."""
        if not self.watched or self._measures:
            return ""
        return (
            f"compile {self._options.compile} allows one backward pass a step: the gradients of single tasks are not "
            "measured, and whether each task reaches the shared parameters is not checked"
        )


def groups_of(task: Any) -> dict[str, tuple[str, ...]]:
    """Task to its terms, as the task object declares them; every term its own task otherwise.

    Raises:
        ConfigError: a group names an unknown term, a term is in no group or in two.
    """
    weights: Mapping[str, float] = task.term_weights
    declared: Mapping[str, Sequence[str]] | None = getattr(task, "term_groups", None)
    if declared is None:
        return {term: (term,) for term in weights}
    groups = {name: tuple(terms) for name, terms in declared.items()}
    named = [term for terms in groups.values() for term in terms]
    for term in named:
        if term not in weights:
            raise ConfigError(f"term_groups: no loss term '{term}'", found=term, fix=did_you_mean(term, weights))
    if sorted(named) != sorted(weights):
        raise ConfigError(
            "term_groups: every loss term belongs to exactly one task",
            expected=", ".join(sorted(weights)),
            found=", ".join(sorted(named)),
        )
    return groups


def shared_of(model: nn.Module) -> list[nn.Parameter]:
    """The network's declared shared parameters; none where it declares none.

    Raises:
        ConfigError: it names a tensor that is no parameter of it.
    """
    declared = getattr(model, "shared_parameters", None)
    shared = [] if declared is None else list(declared())
    own = {id(one) for one in model.parameters()}
    strangers = [tuple(one.shape) for one in shared if id(one) not in own]
    if strangers:
        raise ConfigError(
            "shared_parameters() names tensors that are no parameters of the network",
            expected="some of parameters()",
            found=f"shapes {strangers[:3]}",
        )
    return shared


def keep_graphs_of_compiled() -> None:
    """Let a compiled network be differentiated more than once: its buffers are then not given to the first backward
    pass, which changes memory and no number."""
    import torch._functorch.config as compiled

    compiled.donated_buffer = False


def _root(square: float) -> float:
    """A norm from its square; what is not finite stays so."""
    return math.sqrt(max(square, 0.0)) if math.isfinite(square) else square


def _cosine(gramian: Sequence[Sequence[float]], one: int, other: int) -> float | None:
    """Between two gradients; None where one of them is zero or not finite."""
    lengths = gramian[one][one] * gramian[other][other]
    if not lengths > 0 or not math.isfinite(lengths):
        return None
    return finite_or_none(max(-1.0, min(1.0, gramian[one][other] / math.sqrt(lengths))))
