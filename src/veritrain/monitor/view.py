"""One look at a run: everything a person is shown, as plain values. How it is drawn is decided elsewhere."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veritrain.audit.bare_log import FAMILIES
from veritrain.monitor.findings import Arisen
from veritrain.monitor.state import State
from veritrain.monitor.story import Story, Task

SMOOTHED_STEPS = 20
EXACT_CHANCE = {"auroc": 0.5}
"""Scores whose expectation for a random order is the same on all data; others depend on the labels."""


@dataclass(frozen=True, kw_only=True)
class TermRow:
    """A loss term, unweighted: mean of the newest steps that were finite, its weight, its whole course by step.

    ``finite`` is False when its newest value was not a number.
    """

    name: str
    weight: float | None
    value: float | None
    course: tuple[float | None, ...]
    finite: bool


@dataclass(frozen=True, kw_only=True)
class TaskRow:
    """One of several tasks: mean loss (without its weight) of the measurements within the newest steps and its whole
    course, newest weight, loss ratio (above 1: it lags behind) and gradient norm; None where undefined."""

    name: str
    loss: float | None
    weight: float | None
    ratio: float | None
    norm: float | None
    course: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class BalanceRows:
    """How the tasks of a run stand to each other: ``cosines`` of their gradients, (one, other, newest value), measured
    at ``step`` by the balancer of this name."""

    balancer: str
    step: int
    tasks: tuple[TaskRow, ...]
    cosines: tuple[tuple[str, str, float | None], ...]


@dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """A score: its newest value and epoch, its chance level (None: unknown), the best so far and its epoch."""

    name: str
    split: str
    value: float | None
    epoch: int | None
    chance: float | None
    best: float | None
    best_epoch: int | None
    headline: bool


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a run goes.

    Attributes:
        seconds_per_step: of the newest steps, without validation; None while unknown.
        samples_per_second: a batch divided by that, else of the newest ``throughput`` event; None while unknown.
        waiting: share of the time spent waiting for data, 0 to 1; None when not recorded.
        memory_mb: peak memory; None when not recorded.
        left: seconds until the training ends as planned; None when unknown, with ``left_unknown`` saying why.
        limited_by: "steps", or "time" when the budget of the recipe ends it earlier.
        elapsed: seconds in all segments.
    """

    seconds_per_step: float | None
    samples_per_second: float | None
    waiting: float | None
    memory_mb: float | None
    left: float | None
    left_unknown: str
    limited_by: str
    elapsed: float | None


@dataclass(frozen=True, kw_only=True)
class View:
    """What there is to see now; ``total_steps`` and ``epochs`` are None where nobody said how many, ``balance`` where
    the tasks of the run are not told apart."""

    name: str
    path: str
    task: str | None
    segments: int
    state: State
    step: int | None
    total_steps: int | None
    epoch: int | None
    epochs: int | None
    learning_rate: float | None
    gradient_norm: float | None
    pace: Pace
    terms: tuple[TermRow, ...]
    balance: BalanceRows | None
    scores: tuple[ScoreRow, ...]
    findings: tuple[Arisen, ...]
    warnings: tuple[str, ...]
    verdict: Mapping[str, Any] | None


def term_rows(story: Story) -> tuple[TermRow, ...]:
    return tuple(_term_row(name, story) for name in story.terms)


def _term_row(name: str, story: Story) -> TermRow:
    term = story.terms[name]
    course = tuple(term.values[step] for step in sorted(term.values))
    recent = [value for value in course[-SMOOTHED_STEPS:] if value is not None]
    return TermRow(
        name=name,
        weight=term.weight,
        value=statistics.fmean(recent) if recent else None,
        course=course,
        finite=not course or course[-1] is not None,
    )


def balance_rows(story: Story) -> BalanceRows | None:
    """None for a run whose tasks nothing measures."""
    if story.balancer is None or story.measured is None:
        return None
    pairs = ((*pair.partition("|")[::2], value) for pair, value in story.cosines.items())
    return BalanceRows(
        balancer=story.balancer,
        step=story.measured,
        tasks=tuple(_task_row(name, task, story.measured) for name, task in story.tasks.items()),
        cosines=tuple(pairs),
    )


def _task_row(name: str, task: Task, measured: int) -> TaskRow:
    steps = sorted(task.losses)
    recent = [loss for step in steps if step > measured - SMOOTHED_STEPS and (loss := task.losses[step]) is not None]
    return TaskRow(
        name=name,
        loss=statistics.fmean(recent) if recent else None,
        weight=task.weight,
        ratio=task.ratio,
        norm=task.norm,
        course=tuple(task.losses[step] for step in steps),
    )


def score_rows(story: Story, results: Mapping[str, Any] | None) -> tuple[ScoreRow, ...]:
    """Held-out scores, those of the claims first; validation before test."""
    claimed = {str(claim.get("metric")): claim for claim in story.claims}
    order = list(claimed)
    rows = [
        _score_row(split, name, by_epoch, claimed, results)
        for (split, name), by_epoch in story.scores.items()
        if split in ("val", "test")
    ]
    rank = {row.name: order.index(row.name) if row.name in order else len(order) for row in rows}
    return tuple(sorted(rows, key=lambda row: (row.split != "val", rank[row.name])))


def _score_row(
    split: str,
    name: str,
    by_epoch: Mapping[int | None, float | None],
    claimed: Mapping[str, Mapping[str, Any]],
    results: Mapping[str, Any] | None,
) -> ScoreRow:
    epoch = list(by_epoch)[-1]
    higher = higher_is_better(name, claimed.get(name))
    best = None if split != "val" or higher is None else _best(by_epoch, higher=higher)
    return ScoreRow(
        name=name,
        split=split,
        value=by_epoch[epoch],
        epoch=epoch,
        chance=chance_of(name, split, results),
        best=None if best is None else best[1],
        best_epoch=None if best is None else best[0],
        headline=next(iter(claimed), None) == name,
    )


def _best(by_epoch: Mapping[int | None, float | None], *, higher: bool) -> tuple[int, float] | None:
    """The first epoch with the best value, as the loop chooses; None when none was defined."""
    known = [(epoch, value) for epoch, value in by_epoch.items() if epoch is not None and value is not None]
    return max(known, key=lambda pair: pair[1] if higher else -pair[1], default=None)


def higher_is_better(name: str, claim: Mapping[str, Any] | None = None) -> bool | None:
    """What the claim says; else what kind of score it is by the last word of its name; None when nobody knows."""
    if claim is not None and isinstance(claim.get("higher_is_better"), bool):
        return bool(claim["higher_is_better"])
    kind = _kind(name)
    if kind in FAMILIES:
        return FAMILIES[kind].higher
    return False if kind in ("loss", "fpr95") else None


def _kind(name: str) -> str:
    """``frame_auroc`` is an ``auroc``; ``map_50`` is itself."""
    return name if name in FAMILIES else name.rpartition("_")[2]


def chance_of(name: str, split: str, results: Mapping[str, Any] | None) -> float | None:
    """As ``results.json`` has it for test; 0.5 for every AUROC; None (unknown) for what depends on the labels."""
    if split == "test" and results is not None:
        entry = (results.get("metrics") or {}).get(name)
        recorded = entry.get("chance") if isinstance(entry, Mapping) else None
        if isinstance(recorded, int | float):
            return float(recorded)
    return EXACT_CHANCE.get(_kind(name))


def pace_of(story: Story, recipe: Mapping[str, Any], *, silence: float | None) -> Pace:
    """How fast, and how long to go. The ETA rests on the newest steps and validations, not on the mean of all.

    Args:
        silence: seconds since the newest line of a run that goes on; None when it is over.
    """
    each = story.seconds_per_step()
    left, why, by = _left(story, recipe, each, silence or 0.0)
    elapsed = story.segment_seconds()
    told = story.throughput
    batch = _batch(recipe) or story.samples
    live = batch / each if batch and each else None
    return Pace(
        seconds_per_step=each,
        samples_per_second=live if live is not None else _recorded(told, "samples_per_s"),
        waiting=_recorded(told, "data_wait_share"),
        memory_mb=_recorded(told, "memory_mb"),
        left=left,
        left_unknown=why,
        limited_by=by,
        elapsed=None if elapsed is None else elapsed + story.seconds_before + (silence or 0.0),
    )


def _left(story: Story, recipe: Mapping[str, Any], each: float | None, silence: float) -> tuple[float | None, str, str]:
    """Seconds until the training ends, or why nobody can tell; and what ends it."""
    if story.phase in ("judging", "over"):
        return None, "controls", "steps"
    epochs = story.epochs or _whole(recipe.get("epochs"))
    total = story.planned_steps(epochs)
    if total is None or story.step is None:
        return None, "the number of steps is not known yet", "steps"
    if each is None:
        return None, "too few steps so far", "steps"
    each_validation = statistics.fmean(story.validations[-3:]) if story.validations else 0.0
    ahead = 0 if not epochs or story.epoch is None else max(0, epochs - story.epoch) + (story.phase != "validating")
    ahead = -(-ahead // (_whole(recipe.get("validate_every")) or 1))
    left = max(0.0, (total - story.step) * each + ahead * each_validation - silence)
    budget = recipe.get("max_seconds")
    if isinstance(budget, int | float) and budget > 0 and (elapsed := story.segment_seconds()) is not None:
        rest = max(0.0, budget - elapsed - story.seconds_before - silence)
        if rest < left:
            return rest, "", "time"
    return left, "", "steps"


def _batch(recipe: Mapping[str, Any]) -> int | None:
    size, times = _whole(recipe.get("batch_size")), _whole(recipe.get("accumulate"))
    return size * (times or 1) if size else None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _recorded(event: Mapping[str, Any], name: str) -> float | None:
    value = event.get(name)
    return float(value) if isinstance(value, int | float) else None


def buckets(course: Sequence[float | None], width: int) -> list[float | None]:
    """The course in at most ``width`` parts of equal length, each the mean of what is finite in it, None when nothing
    is."""
    count = min(width, len(course))
    out: list[float | None] = []
    for index in range(count):
        part = [v for v in course[index * len(course) // count : (index + 1) * len(course) // count] if v is not None]
        out.append(statistics.fmean(part) if part else None)
    return out
