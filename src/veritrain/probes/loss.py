"""Does the loss read the labels, can a constant satisfy it, and can the network fit one batch?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from veritrain.probes.probe import FinishedRun
from veritrain.tasks.task import Batch, Task
from veritrain.training.evaluate import batches_of

Outputs = Sequence[Mapping[str, Tensor]]


class LossUnderFlippedLabels:
    """The same outputs, labels exchanged: by how much does each loss term change?"""

    name = "loss_under_flipped_labels"
    version = 1
    cost = "cheap"
    least = 1e-6

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        torch.manual_seed(0)
        fresh = run.task.model().eval()
        batches = list(batches_of(run.train, 16))[:8]
        with torch.no_grad():
            outputs = [fresh(batch) for batch in batches]
        changes = _changes(run, batches, outputs)
        if any(change <= self.least for change in changes.values()):
            # Equal logits of all classes have one loss under all labels: then outputs that differ decide.
            noise = [{name: torch.randn_like(value) for name, value in output.items()} for output in outputs]
            again = _changes(run, batches, noise)
            changes = {name: max(change, again[name]) for name, change in changes.items()}
        return {"relative_change": changes, "total_reads_labels": any(value > self.least for value in changes.values())}


def _changes(run: FinishedRun, batches: Sequence[Batch], outputs: Outputs) -> dict[str, float]:
    return _between(run.task, batches, [run.flip_labels(batch) for batch in batches], outputs)


@torch.no_grad()
def _between(task: Task, batches: Sequence[Batch], others: Sequence[Batch], outputs: Outputs) -> dict[str, float]:
    """Term to the largest relative change, over the batches, from their labels to those of the others."""
    changes: dict[str, float] = {}
    for batch, other, output in zip(batches, others, outputs, strict=True):
        given, changed = task.losses(output, batch), task.losses(output, other)
        for name in given:
            scale = float(given[name].abs().mean()) or 1.0
            change = float((given[name] - changed[name]).abs().mean()) / scale
            changes[name] = max(changes.get(name, 0.0), change)
    return changes


class LossWithoutLaterBoxes:
    """The same outputs, all labelled boxes of an image but the first taken away: by how much does each term change?"""

    name = "loss_without_later_boxes"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        """``looked_at`` images, ``images`` with several boxes, ``boxes`` of all, ``dropped`` ones, and
        ``relative_change``, term to the largest over the batches; empty without boxes."""
        torch.manual_seed(0)
        fresh = run.task.model().eval()
        batches = list(batches_of(run.train, 16))[:8]
        nothing = {"looked_at": 0, "images": 0, "boxes": 0, "dropped": 0, "relative_change": {}}
        if not batches or "targets" not in batches[0]:
            return nothing
        with torch.no_grad():
            outputs = [fresh(batch) for batch in batches]
        fewer = [{**batch, "targets": _first_of_each(batch["targets"])} for batch in batches]
        counts = torch.cat([torch.bincount(batch["targets"][:, 0].long()) for batch in batches])
        return {
            "looked_at": sum(len(batch["index"]) for batch in batches),
            "images": int((counts > 1).sum()),
            "boxes": int(counts.sum()),
            "dropped": int((counts - 1).clamp(min=0).sum()),
            "relative_change": _between(run.task, batches, fewer, outputs),
        }


def _first_of_each(targets: Tensor) -> Tensor:
    """(T, 6) -> the first row of each image."""
    image = targets[:, 0]
    earlier = (image[:, None] == image[None, :]).tril(-1).any(1)
    return targets[~earlier]


class BestConstantLoss:
    """The lowest total loss that constant outputs reach on training samples, beside the trained network's there."""

    name = "best_constant_loss"
    version = 1
    cost = "cheap"
    most = 96

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        chosen = np.unique(np.linspace(0, len(run.train) - 1, self.most).astype(int))
        batches = [
            run.train.collate([run.train.sample(int(i), epoch=0, seed=0) for i in part])
            for part in np.array_split(chosen, max(1, len(chosen) // 16))
        ]
        with torch.no_grad():
            run.model.eval()
            outputs = [run.model(batch) for batch in batches]
        reached = _mean_terms(run.task, batches, outputs)
        constant = _lowest(run.task, batches, outputs)
        declared = getattr(run.task, "constant_losses", None)
        if declared is not None:
            constant |= {name: min(loss, constant[name]) for name, loss in declared(batches).items()}
        weights = run.task.term_weights
        return {
            "samples": len(chosen),
            "terms": {name: {"trained": reached[name], "constant": constant[name]} for name in reached},
            "trained_total": sum(weights[name] * value for name, value in reached.items()),
            "constant_total": sum(weights[name] * value for name, value in constant.items()),
        }


def _lowest(task: Task, batches: Sequence[Batch], outputs: Outputs) -> dict[str, float]:
    """Terms read different outputs, so each is minimised on its own: a coarse grid of logits, then a finer one."""
    coarse = {float(value): _at_constant(task, batches, outputs, float(value)) for value in np.linspace(-12, 12, 13)}
    best: dict[str, float] = {}
    for name in next(iter(coarse.values())):
        centre = min(coarse, key=lambda value: coarse[value][name])
        tried = [_at_constant(task, batches, outputs, centre + step)[name] for step in np.linspace(-1.75, 1.75, 8)]
        best[name] = min(coarse[centre][name], *tried)
    return best


def _at_constant(task: Task, batches: Sequence[Batch], outputs: Outputs, logit: float) -> dict[str, float]:
    """A task whose outputs are not all logits says itself what a constant network would give: ``constant_output``."""
    made = getattr(task, "constant_output", _constant)
    return _mean_terms(task, batches, [made(output, logit) for output in outputs])


def _constant(output: Mapping[str, Tensor], logit: float) -> dict[str, Tensor]:
    return {name: torch.full_like(value, logit) for name, value in output.items()}


@torch.no_grad()
def _mean_terms(task: Task, batches: Sequence[Batch], outputs: Outputs) -> dict[str, float]:
    """Unweighted mean of each term over all samples of the batches."""
    sums: dict[str, float] = {}
    count = sum(len(batch["index"]) for batch in batches)
    for batch, output in zip(batches, outputs, strict=True):
        for name, losses in task.losses(output, batch).items():
            sums[name] = sums.get(name, 0.0) + float(losses.double().sum())
    return {name: total / count for name, total in sums.items()}


class OneBatchOverfit:
    """A fresh network on one batch of eight for up to 200 steps a task: does the loss of each task fall by 90 %?"""

    name = "one_batch_overfit"
    version = 1
    cost = "training"
    steps = 200
    share = 0.1

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        torch.manual_seed(run.seed)
        # A network that starts from a file may fit the batch already; then no loss could fall by 90 %.
        model = getattr(run.task, "from_scratch", lambda: run.task)().model().train()
        batch = _balanced_batch(run, 8)
        optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
        first: dict[str, float] = {}
        last: dict[str, float] = {}
        took = 0
        for step in range(self.steps * max(1, len(getattr(run.task, "term_groups", ())))):
            losses = _task_losses(run.task, model(batch), batch)
            last = {name: float(loss.detach()) for name, loss in losses.items()}
            first = last if step == 0 else first
            took = step + 1
            if all(last[name] <= self.share * first[name] for name in first):
                break
            optimiser.zero_grad()
            losses["total"].backward()
            optimiser.step()
        scores = _score_batch(run.task, model, batch)
        found = {"first_loss": first["total"], "last_loss": last["total"], "steps": took, "scores": scores}
        if hasattr(run.task, "by_heart"):
            found["enough"] = run.task.by_heart
        tasks = {name: {"first": first[name], "last": last[name]} for name in first if name != "total"}
        return {**found, **({"tasks": tasks} if tasks else {})}


def _task_losses(task: Task, output: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
    """``total``, and the part of each task where there are several (``term_groups``): one alone may hide the others."""
    parts = {name: task.term_weights[name] * value.mean() for name, value in task.losses(output, batch).items()}
    groups: Mapping[str, Sequence[str]] = getattr(task, "term_groups", {})
    own = {name: torch.stack([parts[term] for term in terms]).sum() for name, terms in groups.items()}
    return {"total": torch.stack(list(parts.values())).sum(), **(own if len(own) > 1 else {})}


def _balanced_batch(run: FinishedRun, size: int) -> Batch:
    """Equal parts of the task's kinds of samples where there are enough, so that a constant cannot fit the batch."""
    samples = [run.train.sample(index, epoch=0, seed=0) for index in range(len(run.train))]
    labels = np.array([run.task.kind_of(sample) for sample in samples])
    kinds = run.task.sample_kinds
    rng = np.random.default_rng(run.seed)
    chosen: list[int] = []
    for value in kinds:
        pool = rng.permutation(np.flatnonzero(labels == value))
        chosen += pool[: size // len(kinds)].tolist()
    return run.train.collate([samples[index] for index in chosen])


@torch.no_grad()
def _score_batch(task: Task, model: nn.Module, batch: Batch) -> Mapping[str, float | None]:
    model.eval()
    return task.score(task.predict(model(batch), batch))
