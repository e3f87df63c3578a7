"""What a balancer did over steps: weights, loss ratios, gradient norms of the tasks, and how far they pull apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from veritrain.record import RunRecord
from veritrain.report.chart import STYLES, Line, Words
from veritrain.report.figures import against_steps, thinned_line
from veritrain.report.language import Language, pair, say

BALANCE = {"loss_ratios": "loss ratio", "weights": "weight", "grad_norms": "gradient norm", "cosines": "conflict"}
"""Field of a ``balance`` event to the kind of panel that shows it."""
MOST_POINTS = 100
"""Of a line: gradients of single batches are noisy."""
COSINE_ENDS = (0.25, 0.5, 1.0)
"""Ends of the cosine's axis, the same on both sides of 0."""
CHARTS: tuple[tuple[str, str, tuple[str, float] | None], ...] = (
    ("weight", "task_weight", None),
    ("loss ratio", "task_ratio", ("mean_of_tasks", 1.0)),
    ("gradient norm", "task_norm", None),
    ("conflict", "task_cosine", ("right_angles", 0.0)),
)
"""Kind, words of its axis, and the height that means something with its words."""

Points = list[tuple[float, float | None]]


def balance_points(record: RunRecord) -> dict[tuple[str, str], Points]:
    """(kind of BALANCE, task or "one|other") to (step, value), in the order of the record; None where undefined."""
    found: dict[tuple[str, str], Points] = {}
    for event in record.of("balance"):
        if event["step"] is None:
            continue
        for field, kind in BALANCE.items():
            for name, value in (event.get(field) or {}).items():
                found.setdefault((kind, name), []).append((event["step"], value))
    return found


def balance_told(record: RunRecord) -> dict[str, Any] | None:
    """``name`` of the balancer and ``shared``, whether it was measured at declared shared parameters; None without any
    measurement."""
    events = record.of("balance")
    if not events:
        return None
    return {"name": str(events[-1].get("name") or ""), "shared": events[-1].get("measured_at") == "shared_parameters"}


def balance_charts(record: RunRecord, language: Language = "en") -> list[str]:
    """One chart for each kind that has a value, of more than six lines several; empty for a run without any."""
    found = balance_points(record)
    drawn: list[str | None] = []
    for kind, words, level in CHARTS:
        lines = [(name, points) for (of, name), points in found.items() if of == kind]
        parts = [lines[start : start + STYLES] for start in range(0, len(lines), STYLES)]
        drawn += [_chart(part, words, level, language) for part in parts]
    return [svg for svg in drawn if svg is not None]


def _chart(
    named: Sequence[tuple[str, Points]], words: str, level: tuple[str, float] | None, language: Language
) -> str | None:
    lines = [thinned_line(_label(name), points, style, MOST_POINTS) for style, (name, points) in enumerate(named)]
    return against_steps(
        lines,
        (),
        pair(words),
        say(words, language),
        language,
        level=None if level is None else (pair(level[0]), level[1]),
        y_range=_around_zero(lines) if words == "task_cosine" else None,
    )


def _label(name: str) -> Words:
    """``detection|view`` as people write it."""
    tasks = [task.replace("_", " ") for task in name.split("|")]
    return tasks[0] if len(tasks) == 1 else (" and ".join(tasks), " 与 ".join(tasks))


def _around_zero(lines: Sequence[Line]) -> tuple[float, float]:
    """The narrowest of COSINE_ENDS that holds every value, so that 0 is in the middle and noise is not blown up."""
    values = [value for line in lines for part in (line.low, line.high) for value in part or () if value is not None]
    most = max((abs(value) for value in values), default=0.0)
    end = next((end for end in COSINE_ENDS if most <= end), COSINE_ENDS[-1])
    return -end, end
