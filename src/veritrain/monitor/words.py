"""The words and numbers of a look at a run, for the screen and for plain lines alike."""

from __future__ import annotations

from rich.cells import cell_len

from veritrain.monitor.clock import span
from veritrain.monitor.findings import Arisen
from veritrain.monitor.view import ScoreRow, TaskRow, TermRow, View
from veritrain.report.numbers import shown
from veritrain.report.terminal import plain

NOT_FINITE = "not finite"
UNKNOWN_CHANCE = "chance unknown"


def title(view: View) -> str:
    segments = f" · segment {view.segments}" if view.segments > 1 else ""
    task = "" if view.task is None else f" · {plain(view.task)}"
    return f"{plain(view.name)}{task}{segments}"


def place(view: View) -> str:
    """Where training stands."""
    if view.step is None:
        return "no step yet"
    epoch = "" if view.epoch is None else f"epoch {view.epoch}{_of(view.epochs)}  "
    return f"{epoch}step {view.step:,}{_of(view.total_steps)}"


def _of(total: int | None) -> str:
    return "" if total is None else f"/{total:,}"


def eta(view: View) -> str:
    """When the training ends; why that is unknown; nothing for a run that is over."""
    pace = view.pace
    if view.state.over:
        return ""
    if view.state.word == "stalled":
        return "ETA unknown (stalled)"
    if pace.left is None:
        return f"ETA unknown ({pace.left_unknown})"
    why = " (time budget)" if pace.limited_by == "time" else ""
    return f"training ends in {span(pace.left)}{why}"


def speed(view: View) -> list[str]:
    """Throughput, waiting for data, memory, learning rate: what is known of them, what matters most first."""
    pace = view.pace
    parts = [] if pace.elapsed is None else [f"{span(pace.elapsed)} so far"]
    parts.append("samples/s unknown" if pace.samples_per_second is None else f"{pace.samples_per_second:.4g} samples/s")
    if pace.seconds_per_step is not None:
        parts.append(f"{pace.seconds_per_step:.3g} s/step")
    if pace.waiting is not None:
        parts.append(f"{pace.waiting:.0%} waiting for data")
    if pace.memory_mb is not None:
        parts.append(f"{pace.memory_mb:,.0f} MB")
    if view.learning_rate is not None:
        parts.append(f"learning rate {view.learning_rate:.3g}")
    if view.gradient_norm is not None:
        parts.append(f"gradient norm {view.gradient_norm:.3g}")
    return parts


def joined(parts: list[str], width: int) -> str:
    """As many parts as fit whole."""
    line = ""
    for part in parts:
        longer = f"{line}  {part}" if line else part
        if cell_len(longer) > width:
            break
        line = longer
    return line


def term_value(row: TermRow) -> str:
    return NOT_FINITE if not row.finite or row.value is None else shown(row.value)


def weight(row: TermRow | TaskRow) -> str:
    return "x ?" if row.weight is None else f"x {row.weight:.4g}"


def task_facts(row: TaskRow, *, brief: bool = False) -> list[str]:
    """What its balancer knows of a task: the gradient's norm, and the loss ratio once there is one."""
    norm, ratio = ("norm", "ratio") if brief else ("gradient norm", "loss ratio")
    parts = [] if row.norm is None else [f"{norm} {row.norm:.3g}"]
    return parts if row.ratio is None else [*parts, f"{ratio} {row.ratio:.3g}"]


def cosine(one: str, other: str, value: float | None) -> str:
    """``cosine of detection and view -0.120 (they pull apart)``."""
    head = f"cosine of {plain(one)} and {plain(other)}"
    if value is None:
        return f"{head} undefined"
    return f"{head} {value:.3f}" + (" (they pull apart)" if value < 0 else "")


def chance(row: ScoreRow) -> str:
    return UNKNOWN_CHANCE if row.chance is None else f"chance {shown(row.chance)}"


def best(row: ScoreRow) -> str:
    return "" if row.best is None else f"best {shown(row.best)} at epoch {row.best_epoch}"


def finding(found: Arisen) -> str:
    """``T1 finite fails (would refute): sentence``."""
    head = f"{plain(found.id)} {plain(found.check)}"
    if found.status == "cleared":
        return f"{head}: no longer found"
    effect = {"refutes": "would refute", "unproves": "would unprove"}.get(found.effect, "a note")
    word = "crashed" if found.status == "crashed" else f"fails ({effect})"
    return f"{head} {word}: {plain(found.sentence)}"
