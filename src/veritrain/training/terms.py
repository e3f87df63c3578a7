"""Loss terms: per-sample numbers from the task, their means and their weighted total.

A task returns ``{term: (B,)}``, unweighted. Where a sample has no label for a term, the task returns 0 for it and
says so in an optional method ``term_counts(batch) -> {term: (B,) of 1 and 0}``; a term that is not named there
counts every sample. The mean of a term is its sum over its count, over all micro-batches and ranks of one optimiser
step, so that accumulation and several ranks give the gradient of one large batch.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from veritrain.errors import ConfigError, did_you_mean
from veritrain.tasks.task import Batch

GRAD_NORM = "grad_norm"
"""The name under which a gradient is told that is not finite."""


@dataclass(frozen=True, kw_only=True)
class StepNumbers:
    """The numbers of one optimiser step, over all its micro-batches and ranks.

    Attributes:
        samples: of the step.
        sums: term to the sum of its per-sample losses.
        counts: term to the samples that it counts.
        weights: term to its weight in the total.
        norm: total gradient norm before clipping.
        overflow: the loss scale whose gradients overflowed in float16, so that no update was made; else None.
        fixed: term to a weight that never moves, for totals; None where ``weights`` never move.
        task_norms: task to the norm of its own gradient, where it was measured (``balancing.py``).
        balance: fields of a ``balance`` event; None when none is due.
    """

    samples: int
    sums: Mapping[str, float]
    counts: Mapping[str, float]
    weights: Mapping[str, float]
    norm: float
    overflow: float | None = None
    fixed: Mapping[str, float] | None = None
    task_norms: Mapping[str, float] = field(default_factory=dict)
    balance: Mapping[str, Any] | None = None

    def mean(self, term: str) -> float | None:
        """Unweighted; None when no sample has a label for the term."""
        return self.sums[term] / self.counts[term] if self.counts[term] else None

    def total(self) -> float:
        """sum_i w_i * mean_i, undefined terms left out, with weights that are the same at every step."""
        weights = self.weights if self.fixed is None else self.fixed
        return sum(weights[term] * (self.mean(term) or 0.0) for term in self.sums)

    def broken(self) -> dict[str, float]:
        """What is not finite: terms by name, ``grad_norm``, and ``grad_norm of <task>``."""
        of_tasks = {f"{GRAD_NORM} of {task}": norm for task, norm in self.task_norms.items()}
        numbers = {**self.sums, GRAD_NORM: self.norm, **of_tasks}
        return {name: value for name, value in numbers.items() if not math.isfinite(value)}


def count_samples(task: Any, window: Sequence[Batch]) -> tuple[int, dict[str, float]]:
    """Samples of these micro-batches, and the count of each term that counts fewer."""
    samples = sum(len(batch["index"]) for batch in window)
    counter = getattr(task, "term_counts", None)
    if counter is None:
        return samples, {}
    counts: dict[str, float] = {}
    for batch in window:
        for term, present in counter(batch).items():
            counts[term] = counts.get(term, 0.0) + float(present.sum())
    return samples, counts


def check_terms(terms: Mapping[str, Tensor], weights: Mapping[str, float], samples: int) -> None:
    """Refuse terms without a weight and terms that are not one number a sample.

    Raises:
        ConfigError: names the term.
    """
    if not terms:
        raise ConfigError("the task returned no loss term", expected=", ".join(weights), found="nothing")
    for name, values in terms.items():
        if name not in weights:
            raise ConfigError(f"loss term '{name}' has no weight", found=name, fix=did_you_mean(name, weights))
        if values.shape != (samples,):
            raise ConfigError(
                f"loss term '{name}' is not per sample",
                expected=f"shape ({samples},)",
                found=f"shape {tuple(values.shape)}",
                fix="reduce over everything but the sample axis",
            )


def weighted_total(
    terms: Mapping[str, Tensor], counts: Mapping[str, float], weights: Mapping[str, float], world: int
) -> Tensor:
    """This micro-batch's share of the total, a scalar; times ``world`` because ranks average their gradients."""
    shares = [values.sum() * (weights[name] * world / max(counts[name], 1.0)) for name, values in terms.items()]
    # Not summed from 0: that is one operation more, forward and backward, in every step.
    return functools.reduce(operator.add, shares)


def sums_of(parts: Sequence[Mapping[str, Tensor]]) -> Tensor:
    """(terms,) float64 on the terms' device: each term summed over samples and micro-batches."""
    rows = [torch.stack([values.sum() for values in part.values()]) for part in parts]
    return torch.stack(rows).sum(0, dtype=torch.float64) if len(rows) > 1 else rows[0].double()


def samples_of(
    parts: Sequence[Mapping[str, Tensor]], window: Sequence[Batch], first_batch: int
) -> list[dict[str, Any]]:
    """Batch number, data set index, id, and whether all its losses are finite, of each sample of a step."""
    found = []
    for number, (part, batch) in enumerate(zip(parts, window, strict=True)):
        losses = torch.stack([values.detach().float().cpu() for values in part.values()])
        finite = torch.isfinite(losses).all(0).tolist()
        names = batch.get("id")
        for row, index in enumerate(batch["index"].tolist()):
            name = names[row] if isinstance(names, list | tuple) else index
            found.append({"batch": first_batch + number, "index": index, "id": name, "finite": finite[row]})
    return found


def worst_of(samples: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The samples whose losses are not finite; all of them when only the gradient is not."""
    return [sample for sample in samples if not sample["finite"]] or list(samples)
