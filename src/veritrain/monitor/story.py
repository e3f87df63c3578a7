"""What the lines of a record say, gathered line by line as they come."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Phase = Literal["preparing", "training", "validating", "judging", "over"]
RECENT_STEPS = 30
FEWEST_INTERVALS = 3
"""Fewer step intervals than this tell no rate."""


@dataclass(kw_only=True)
class Term:
    """One loss term: unweighted value of each step (None where it was not finite), and its newest weight."""

    weight: float | None = None
    values: dict[int, float | None] = field(default_factory=dict)


@dataclass(kw_only=True)
class Task:
    """One of several tasks on one network, at the steps where its balancer measured it.

    Attributes:
        losses: step to its loss without its weight, None where it was undefined.
        weight, ratio, norm: the newest weight, loss ratio and gradient norm.
    """

    losses: dict[int, float | None] = field(default_factory=dict)
    weight: float | None = None
    ratio: float | None = None
    norm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """When a step was done: seconds of the writer's monotonic clock."""

    step: int
    epoch: int | None
    at: float


class Story:
    """A run so far; several segments after resumes. Feed it each event once, in order.

    Attributes:
        segments: how often training was started or resumed.
        task, claims, version: of the newest start.
        step, epoch: where training stands; None before the first step.
        epochs, steps_per_epoch, total_steps: as planned; None where the record does not say.
        terms: loss terms. scores: (split, name) to {epoch or None: value}, the newest of an epoch.
        balancer: its name; None where tasks are not told apart. measured: the newest step that it measured.
        tasks: what it measured of each. cosines: "one|other" to the newest cosine between their gradients.
        marks: when the steps of this segment were done. validations: seconds of those of this segment.
        stop, end, signal, nonfinite: the event of this segment, None when there was none.
        throughput: fields of the newest throughput event, when a run records such.
        last: the newest event.
    """

    def __init__(self) -> None:
        self.segments = 0
        self.task: str | None = None
        self.version: str | None = None
        self.claims: tuple[Mapping[str, Any], ...] = ()
        self.step: int | None = None
        self.epoch: int | None = None
        self.epochs: int | None = None
        self.steps_per_epoch: int | None = None
        self.total_steps: int | None = None
        self.samples: int | None = None
        self.learning_rate: float | None = None
        self.gradient_norm: float | None = None
        self.terms: dict[str, Term] = {}
        self.balancer: str | None = None
        self.measured: int | None = None
        self.tasks: dict[str, Task] = {}
        self.cosines: dict[str, float | None] = {}
        self.scores: dict[tuple[str | None, str], dict[int | None, float | None]] = {}
        self.throughput: Mapping[str, Any] = {}
        self.notes: list[Mapping[str, Any]] = []
        self.last: Mapping[str, Any] | None = None
        self.seconds_before = 0.0
        self._begin_segment()

    def _begin_segment(self) -> None:
        self.phase: Phase = "preparing"
        self.began: float | None = None
        self.marks: list[Mark] = []
        self.validations: list[float] = []
        self.stop: Mapping[str, Any] | None = None
        self.end: Mapping[str, Any] | None = None
        self.signal: Mapping[str, Any] | None = None
        self.nonfinite: list[Mapping[str, Any]] = []
        self._validating_since: float | None = None

    # ---- feeding ----------------------------------------------------------------------------------------------

    def feed(self, line: Mapping[str, Any]) -> None:
        """Take in one event; kinds that nobody knows only move the clock."""
        take: Callable[[Mapping[str, Any]], None] | None = getattr(self, f"_on_{line['event']}", None)
        if take is not None:
            take(line)
        self.last = line

    def _on_start(self, line: Mapping[str, Any]) -> None:
        if self.segments:
            self.seconds_before += self.segment_seconds() or 0.0
        self.segments += 1
        self._begin_segment()
        self.began = _number(line.get("t_mono"))
        self.task, self.version = line.get("task"), line.get("version")
        self.claims = tuple(claim for claim in line.get("claims") or () if isinstance(claim, Mapping))

    def _on_plan(self, line: Mapping[str, Any]) -> None:
        self.epochs, self.total_steps = line.get("epochs"), line.get("total_steps")
        self.steps_per_epoch = line.get("steps_per_epoch")

    def _on_resume(self, line: Mapping[str, Any]) -> None:
        """Steps after the checkpoint are done again: what they were does not count any more."""
        step, epoch = line.get("step"), line.get("epoch")
        if step is None:
            return
        for term in self.terms.values():
            term.values = {place: value for place, value in term.values.items() if place <= step}
        for task in self.tasks.values():
            task.losses = {place: loss for place, loss in task.losses.items() if place <= step}
        self.step, self.epoch = step, epoch

    def _on_term(self, line: Mapping[str, Any]) -> None:
        step = line["step"]
        if step is None:
            return
        self.phase = "training"
        term = self.terms.setdefault(line["name"], Term())
        term.values[step], term.weight = _number(line.get("value")), _number(line.get("weight"))
        if step != self.step or not self.marks:
            self._on_new_step(line)
        count = line.get("n")
        if isinstance(count, int):
            self.samples = max(self.samples or 0, count)

    def _on_new_step(self, line: Mapping[str, Any]) -> None:
        self.step, self.epoch, self.samples = line["step"], line["epoch"], None
        at = _number(line.get("t_mono"))
        if at is not None:
            self.marks.append(Mark(step=line["step"], epoch=line["epoch"], at=at))

    def _on_grad(self, line: Mapping[str, Any]) -> None:
        self.gradient_norm = _number(line.get("value"))
        self.learning_rate = _number(line.get("learning_rate"))

    def _on_balance(self, line: Mapping[str, Any]) -> None:
        step = line["step"]
        if step is None:
            return
        self.balancer, self.measured = str(line.get("name") or "unnamed"), step
        weights, ratios, norms = (line.get(name) or {} for name in ("weights", "loss_ratios", "grad_norms"))
        for name, loss in (line.get("losses") or {}).items():
            task = self.tasks.setdefault(name, Task())
            task.losses[step] = _number(loss)
            task.weight, task.ratio, task.norm = (_number(one.get(name)) for one in (weights, ratios, norms))
        self.cosines = {pair: _number(value) for pair, value in (line.get("cosines") or {}).items()}

    def _on_metric(self, line: Mapping[str, Any]) -> None:
        split, name, at = line.get("split"), line["name"], _number(line.get("t_mono"))
        self.scores.setdefault((split, name), {})[line["epoch"]] = _number(line.get("value"))
        if split == "train" and name == "learning_rate":
            self.learning_rate = _number(line.get("value"))
        if split == "train" and self.phase == "training":
            self.phase, self._validating_since = "validating", at
            self._learn_epoch_length(line)
        elif split == "val" and self._validating_since is not None and at is not None:
            self.validations.append(at - self._validating_since)
            self._validating_since = None

    def _learn_epoch_length(self, line: Mapping[str, Any]) -> None:
        """Older records hold no plan: the end of an epoch tells how many steps it has."""
        step, epoch = line["step"], line["epoch"]
        if self.steps_per_epoch is None and step and epoch and step % epoch == 0:
            self.steps_per_epoch = step // epoch

    def _on_checkpoint(self, line: Mapping[str, Any]) -> None:
        if self.phase == "validating":  # scored, or an epoch that is not scored
            self.phase, self._validating_since = "training", None

    def _on_throughput(self, line: Mapping[str, Any]) -> None:
        self.throughput = line

    def _on_signal(self, line: Mapping[str, Any]) -> None:
        self.signal = line

    def _on_nonfinite(self, line: Mapping[str, Any]) -> None:
        self.nonfinite.append(line)

    def _on_stop(self, line: Mapping[str, Any]) -> None:
        self.stop, self.phase = line, "judging"

    def _on_end(self, line: Mapping[str, Any]) -> None:
        self.end, self.phase = line, "over"

    def _on_note(self, line: Mapping[str, Any]) -> None:
        self.notes.append(line)

    # ---- asking -----------------------------------------------------------------------------------------------

    def planned_steps(self, epochs: int | None) -> int | None:
        """The total: as planned, else ``epochs`` (of the recipe) times the steps of an epoch, None when unknown."""
        if self.total_steps is not None:
            return self.total_steps
        return epochs * self.steps_per_epoch if epochs and self.steps_per_epoch else None

    def intervals(self) -> list[float]:
        """Seconds between the newest steps that follow each other in one epoch: no validation lies between them."""
        recent = self.marks[-RECENT_STEPS - 1 :]
        pairs = itertools.pairwise(recent)
        return [b.at - a.at for a, b in pairs if b.step == a.step + 1 and a.epoch == b.epoch and b.at >= a.at]

    def seconds_per_step(self) -> float | None:
        """Mean of the newest intervals; None while there are too few to tell."""
        found = self.intervals()
        return statistics.fmean(found) if len(found) >= FEWEST_INTERVALS else None

    def median_step(self) -> float | None:
        found = self.intervals()
        return statistics.median(found) if len(found) >= FEWEST_INTERVALS else None

    def segment_seconds(self) -> float | None:
        """From the start of this segment to its newest line; None before one."""
        now = None if self.last is None else _number(self.last.get("t_mono"))
        return None if now is None or self.began is None else max(0.0, now - self.began)

    def last_utc(self) -> float | None:
        """Seconds since 1970 of the newest line; None when it does not say."""
        if self.last is None:
            return None
        return utc_seconds(self.last.get("t_utc"))


def utc_seconds(text: Any) -> float | None:
    """Seconds since 1970 of an ISO time; None for anything else."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
