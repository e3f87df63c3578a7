"""Checks of the gradients of single tasks, from ``balance`` events: do they reach the network, do weights add up?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.record import Evidence, RunRecord

DEAD_AT_LAST = 3
"""So many zeros at the end of a run are no coincidence."""

SUM_TOLERANCE = 1e-6

Event = Mapping[str, Any]


class TasksConnected:
    """The loss of each task moves the network: its gradient at the shared layer is above 0."""

    id = "T22"
    name = "tasks_connected"
    subject = "gradients"
    needs: tuple[str, ...] = ("run", "events")
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("joint",)
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        events = [event for event in record.of("balance") if event.get("grad_norms")]
        if not events:
            return not_run("no gradient of a single task was recorded", to_settle="train with term_groups declared")
        unseen, least = [], float("inf")
        for task in events[0]["grad_norms"]:
            measured = [event for event in events if event["grad_norms"].get(task) is not None]
            finding = _unconnected(record, task, events, measured) or _died(record, task, measured)
            if finding is not None:
                return finding
            if not measured:
                unseen.append(task)
            least = min([least, *(event["grad_norms"][task] for event in measured)])
        if unseen:
            return not_run(f"task '{unseen[0]}' had no finite gradient at any measured step")
        return passed(
            f"the gradient of each of {len(events[0]['grad_norms'])} tasks reaches the shared layer "
            f"({len(events)} measured steps, the least norm {least:.3g})",
            value=least,
            bound=0,
        )


def _unconnected(record: RunRecord, task: str, events: Sequence[Event], measured: Sequence[Event]) -> Finding | None:
    """No path in the first step that was measured, or never anything but zero."""
    no_path = [event for event in events if task in (event.get("unconnected") or ())]
    always_zero = bool(measured) and all(event["grad_norms"][task] == 0 for event in measured)
    if not always_zero and no_path[:1] != list(events[:1]):
        return None
    found = (
        "there is no path from it to any shared parameter"
        if no_path
        else f"its gradient is exactly 0 at all {len(measured)} measured steps"
    )
    return failed(
        f"the loss of task '{task}' does not reach the network: {found}",
        value=0,
        bound=0,
        evidence=_cite(record, no_path or measured),
        to_settle=f"follow the loss of '{task}' back: what it reads was detached, made up, or has a weight of 0",
    )


def _died(record: RunRecord, task: str, measured: Sequence[Event]) -> Finding | None:
    """A gradient that was there and is exactly zero up to the end."""
    last = measured[-DEAD_AT_LAST:]
    if len(last) < DEAD_AT_LAST or any(event["grad_norms"][task] for event in last):
        return None
    return failed(
        f"the gradient of task '{task}' is exactly 0 at the last {len(last)} measured steps: nothing was learned "
        "about it there any more",
        value=0,
        bound=0,
        evidence=_cite(record, last),
        to_settle=f"look at the loss of '{task}' and at the units it passes through in these steps",
        on_fail="unproves",
    )


class BalanceWeightsSum:
    """Weights of tasks sum to what their method promises."""

    id = "T23"
    name = "balance_weights_sum"
    subject = "gradients"
    needs: tuple[str, ...] = ("run", "events")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "nothing"
    required_for: tuple[str, ...] = ()
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        promised = [
            event
            for event in record.of("balance")
            if event.get("weights_sum_to") is not None and None not in event.get("weights", {None: None}).values()
        ]
        if not promised:
            return not_run("no balancer that promises a sum of weights was recorded")
        off = [event for event in promised if _apart(event) > SUM_TOLERANCE * event["weights_sum_to"]]
        if not off:
            return passed(
                f"the weights sum to {promised[0]['weights_sum_to']:g} at all {len(promised)} measured steps",
                value=max(map(_apart, promised)),
                bound=SUM_TOLERANCE * promised[0]["weights_sum_to"],
            )
        worst = max(off, key=_apart)
        return failed(
            f"the weights of {worst.get('name')} sum to {_sum(worst):.6g} at step {worst['step']} and off "
            f"{worst['weights_sum_to']:g} at {len(off)} of {len(promised)} measured steps: they are not those of the "
            "method that the run names",
            value=_sum(worst),
            bound=worst["weights_sum_to"],
            evidence=_cite(record, off),
            to_settle="bring the weights to their sum after each update of them",
        )


def _sum(event: Event) -> float:
    return float(sum(event["weights"].values()))


def _apart(event: Event) -> float:
    return abs(_sum(event) - event["weights_sum_to"])


def _cite(record: RunRecord, events: Sequence[Event]) -> tuple[Citation, ...]:
    return tuple(Citation(file=str(record.path / "record.jsonl"), line=event["line"]) for event in events[:3])
