"""What a study would run, whether it can show anything, and how long it takes: told before any cell is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np

from veritrain.statistics.power import seeds_needed, sign_flip_power, smallest_p, student_power
from veritrain.study.ledger import Ledger, has_diverged, paired_values
from veritrain.study.plan import POWER, Cell, Study, told

EFFECTS = (0.5, 1.0, 1.5, 2.0)
"""Mean paired differences, in their own standard deviations, whose power is told."""
MOST_SIMULATED = 12


def forecast(study: Study, ledger: Ledger, processes: int) -> dict[str, Any]:
    """The plan as plain data: arms, seeds, power, the state of the cells, an estimate of time.

    Args:
        ledger: with what lies in run folders taken in.
        processes: at a time.
    """
    return {
        "study": study.file.name,
        "task": study.file.task,
        "arms": {
            arm.name: {"configurations": [one.name for one in arm.configurations], "select_by": list(arm.select_by)}
            for arm in study.arms
        },
        "selection_seeds": list(study.selection_seeds),
        "seeds": list(study.seeds),
        "primary": asdict(study.primary),
        "alpha": study.file.alpha,
        "needed_seeds": study.needed,
        "smallest_p": smallest_p(len(study.seeds)),
        "power": {f"{effect:g}": power(effect, len(study.seeds), study.file.alpha) for effect in EFFECTS},
        "at_spread": _at_spread(study, ledger),
        "descriptive": len(study.descriptive),
        "family": study.file.family,
        "cells": _states(study, ledger),
        "time": _time(study, ledger, processes),
    }


def power(effect: float, n: int, alpha: float) -> float:
    """Chance that the primary claim reaches ``alpha`` with n pairs, 0..1; beyond 12 pairs that of Student's test.

    Args:
        effect: mean paired difference in its own standard deviations.
    """
    return sign_flip_power(effect, n, alpha=alpha) if n <= MOST_SIMULATED else student_power(effect, n, alpha=alpha)


def _at_spread(study: Study, ledger: Ledger) -> list[dict[str, Any]]:
    """Power for the minimal effect at the declared spread, and at that of the pairs finished so far."""
    minimal, spread, n, alpha = study.primary.minimal_effect, study.primary.spread, len(study.seeds), study.file.alpha
    pairs = paired_values(study, ledger, study.primary)
    gains = [a - b for _, a, b in pairs if a is not None and b is not None]
    found: list[tuple[str, int | None, float]] = [("declared", None, spread)] if spread else []
    if len(gains) >= 2 and minimal:
        found.append(("finished", len(gains), float(np.std(gains, ddof=1))))
    return [
        {"of": of, "pairs": count, "spread": one, "power": power(minimal / one, n, alpha) if one > 0 else None}
        for of, count, one in found
    ]


def _states(study: Study, ledger: Ledger) -> dict[str, dict[str, int]]:
    """Stage to how many of its cells are in which state; final cells of arms without a choice are to make."""
    selection = [*study.selection_cells()]
    final = [*study.final_cells(ledger.choose(study))]
    waiting = len(study.arms) * len(study.seeds) - len(final)
    return {
        "selection": _counts(ledger, selection, 0),
        "final": _counts(ledger, final, waiting),
    }


def _counts(ledger: Ledger, cells: list[Cell], waiting: int) -> dict[str, int]:
    states = [state_of(ledger, cell) for cell in cells]
    counts = {state: states.count(state) for state in ("finished", "ledger", "diverged", "failed", "interrupted")}
    return {**counts, "to make": states.count("to make") + waiting, "all": len(cells) + waiting}


def state_of(ledger: Ledger, cell: Cell) -> str:
    """finished, ledger (finished, its run folder gone), diverged, failed, interrupted (will go on) or to make."""
    entry = ledger.entry(cell)
    folder = ledger.folder_of(cell)
    if entry is not None and entry["status"] == "finished":
        return "finished" if folder.results.is_file() else "ledger"
    if entry is not None and entry["status"] == "failed":
        return "diverged" if has_diverged(entry) else "failed"
    saved = folder.checkpoints.is_dir() and any(folder.checkpoints.iterdir())
    return "interrupted" if saved else "to make"


def _time(study: Study, ledger: Ledger, processes: int) -> dict[str, Any]:
    """Seconds that are left, from the median cell of each arm, or of all where an arm has none."""
    chosen = ledger.choose(study)
    made: dict[str, list[float]] = {arm.name: [] for arm in study.arms}
    left = dict.fromkeys(made, 0)
    for cell in (*study.selection_cells(), *study.final_cells(chosen)):
        entry = ledger.finished(cell)
        if entry is not None and entry.get("seconds"):
            made[cell.configuration.arm].append(entry["seconds"])
        left[cell.configuration.arm] += not ledger.is_settled(cell)
    for arm in set(made) - set(chosen):
        left[arm] += len(study.seeds)
    known = [seconds for times in made.values() for seconds in times]
    if not known:
        return {"processes": processes, "cells_left": sum(left.values()), "cell_seconds": None, "seconds_left": None}
    total = sum(left[arm] * median(made[arm] or known) for arm in made)
    return {
        "processes": processes,
        "cells_left": sum(left.values()),
        "cell_seconds": median(known),
        "seconds_left": total / processes,
    }


def told_forecast(plan: Mapping[str, Any]) -> str:
    """The plan in lines for people."""
    tried = {len(arm["configurations"]) for arm in plan["arms"].values()}
    configurations = sum(len(arm["configurations"]) for arm in plan["arms"].values())
    lines = [
        f"study {plan['study']}: task {plan['task']}, {len(plan['arms'])} arms, {configurations} configurations",
        *_told_stages(plan),
        *_told_primary(plan),
    ]
    if len(tried) > 1:
        each = ", ".join(f"{name} {len(arm['configurations'])}" for name, arm in plan["arms"].items())
        lines.append(f"  not the same number of tried configurations: {each}")
    if plan["descriptive"]:
        lines.append(_told_family(plan))
    return "\n".join([*lines, _told_time(plan["time"])])


def _told_stages(plan: Mapping[str, Any]) -> list[str]:
    lines = []
    for stage, seeds in (("selection", plan["selection_seeds"]), ("final", plan["seeds"])):
        counts = plan["cells"][stage]
        if counts["all"]:
            told_states = ", ".join(f"{counts[state]} {words}" for state, words in WORDS.items() if counts[state])
            lines.append(f"  {stage}: {counts['all']} cells, seeds {', '.join(map(str, seeds))}: {told_states}")
    return lines


WORDS = {
    "finished": "finished",
    "ledger": "finished (taken from the ledger, run folder gone)",
    "diverged": "diverged",
    "failed": "failed (tried again)",
    "interrupted": "interrupted (goes on)",
    "to make": "to make",
}


def _told_primary(plan: Mapping[str, Any]) -> list[str]:
    claim, n = plan["primary"], len(plan["seeds"])
    minimal = f", minimal effect {claim['minimal_effect']:g}" if claim["minimal_effect"] else ""
    why = f"with power {POWER:g} at the declared spread" if claim["spread"] else "for the exact sign-flip test to reach"
    level = f"{plan['alpha']:g}"
    lines = [
        f"  primary claim: {claim['a']} against {claim['b']}, {told(claim['metric'])} on {claim['split']}, "
        f"{claim['direction']} is better{minimal}",
        f"  seeds: {plan['needed_seeds']} needed {why}{'' if claim['spread'] else ' ' + level}; {n} planned, "
        f"smallest p {plan['smallest_p']:.2g}"
        + ("" if n >= plan["needed_seeds"] else ": TOO FEW, the claim cannot be shown"),
        "  power at level " + level + ", by the true difference in its standard deviations: "
        + ", ".join(f"{effect}: {chance:.2f}" for effect, chance in plan["power"].items()),
    ]  # fmt: skip
    for one in plan["at_spread"]:
        of = "declared spread" if one["of"] == "declared" else f"spread of the {one['pairs']} finished pairs"
        chance = "undefined" if one["power"] is None else f"{one['power']:.2f}"
        lines.append(f"  {of} {one['spread']:.4g}: power for the minimal effect {chance}")
    return lines


def _told_family(plan: Mapping[str, Any]) -> str:
    m = plan["descriptive"]
    holm, claims = seeds_needed(m, plan["alpha"]), counted(m, "claim")
    if plan["family"] == "holm":
        return f"  descriptive: {claims}, Holm-corrected: {holm} seeds needed so that all of them can reach the level"
    return f"  descriptive: {claims}, one joint max-T sign-flip test (Holm would need {holm} seeds)"


def counted(number: int, word: str) -> str:
    """``1 seed``, ``2 seeds``."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def _told_time(time: Mapping[str, Any]) -> str:
    if not time["cells_left"]:
        return "  nothing left to make"
    left = f"  {counted(time['cells_left'], 'cell')} left, {time['processes']} at a time"
    if time["seconds_left"] is None:
        return f"{left}; none is finished to estimate from"
    minutes = max(round(time["seconds_left"] / 60), 1)
    span = f"{minutes / 60:.1f} hours" if minutes >= 90 else counted(minutes, "minute")
    return f"{left}: about {span} (a finished cell took {time['cell_seconds']:.0f} s)"
