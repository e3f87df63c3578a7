"""What a study found: arms with their means over seeds, claims judged from pairs of equal seed, and what to know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from veritrain.statistics.comparison import NOT_SHOWN, Comparison, compare_paired, holm, in_family, paired_interval
from veritrain.statistics.signflips import max_t_sign_flip
from veritrain.study.forecast import counted, forecast
from veritrain.study.ledger import Ledger, has_diverged, paired_values, value_of
from veritrain.study.options import ClaimOptions
from veritrain.study.plan import Arm, Cell, Metric, Study, metric_of, told

OPEN = "open"
"""The word of a claim whose planned pairs are not all there yet: no p is told before they are."""

Pairs = Sequence[tuple[int, float | None, float | None]]


def summarise(study: Study, ledger: Ledger, processes: int = 1) -> dict[str, Any]:
    """Everything the tables say, as plain data in full precision.

    Returns:
        study, task, made_data, plan (:func:`forecast`), arms, claims (the primary one first), failed (cells with their
        errors), notes (sentences).

    Raises:
        DataError: two compared runs were not made on the same data.
    """
    chosen = ledger.choose(study)
    cells = [*study.selection_cells(), *study.final_cells(chosen)]
    ledger.demand_one_data(cells)
    arms = [_arm(study, ledger, arm) for arm in study.arms]
    entries = [entry for cell in cells if (entry := ledger.finished(cell)) is not None]
    return {
        "study": study.file.name,
        "task": study.file.task,
        "made_data": bool(entries) and all(entry.get("made_data") for entry in entries),
        "plan": forecast(study, ledger, processes),
        "arms": arms,
        "claims": _claims(study, ledger),
        "failed": _failed(ledger, cells),
        "notes": _notes(study, ledger, arms),
    }


def columns(study: Study) -> list[tuple[Metric, str]]:
    """(metric, split) of every column of the table of arms: those of the claims, then the further ones, on test."""
    asked = [(metric_of(claim.metric), str(claim.split)) for claim in study.claims]
    return list(dict.fromkeys([*asked, *(((name,), "test") for name in study.file.metrics)]))


# --- arms ---------------------------------------------------------------------------------------------------------


def _arm(study: Study, ledger: Ledger, arm: Arm) -> dict[str, Any]:
    one = ledger.choose(study).get(arm.name)
    cells = [] if one is None else [Cell(configuration=one, seed=seed, stage="final") for seed in study.seeds]
    entries = [entry for cell in cells if (entry := ledger.finished(cell)) is not None]
    known = [entry for cell in cells if (entry := ledger.entry(cell)) is not None]
    return {
        "arm": arm.name,
        "configuration": None if one is None else one.name,
        "tried": len(arm.configurations),
        "tries": _tries(ledger, arm),
        "planned": len(study.seeds),
        "n": len(entries),
        "diverged": sum(has_diverged(entry) for entry in known),
        "seeds": [entry["seed"] for entry in entries],
        "parameters": next((entry["parameters"] for entry in entries), None),
        "steps": sorted({entry["steps"] for entry in entries if entry.get("steps") is not None}),
        "cut_by_time": sum(entry.get("stop_reason") == "time" for entry in entries),
        "verdicts": [entry.get("verdict") for entry in entries],
        "scores": [_score(entries, metric, split) for metric, split in columns(study)],
    }


def _tries(ledger: Ledger, arm: Arm) -> dict[str, float | None]:
    """Configuration to its mean on validation, once the choice is made."""
    scores = (ledger.choices.get(arm.name) or {}).get("scores") or []
    return {one.name: score for one, score in zip(arm.configurations, scores, strict=False)}


def _score(entries: Sequence[Mapping[str, Any]], metric: Metric, split: str) -> dict[str, Any]:
    """Mean over seeds with its t-interval; chance and the best trivial baseline from the first cell."""
    values = [value for entry in entries if (value := value_of(entry, metric, split)) is not None]
    reach = paired_interval(values) if values else None
    facts = [(entries[0]["metrics"].get(split, {}).get(name) or {}) for name in metric] if entries else []
    return {
        "metric": told(metric),
        "split": split,
        "n": len(values),
        "mean": fmean(values) if values else None,
        "low": None if reach is None else reach[0],
        "high": None if reach is None else reach[1],
        "values": values,
        "chance": _mean_fact(facts, "chance"),
        "baseline": _mean_fact(facts, "baseline"),
        "groups": min((fact["groups"] for fact in facts if fact.get("groups") is not None), default=None),
    }


def _mean_fact(facts: Iterable[Mapping[str, Any]], key: str) -> float | None:
    found = [fact.get(key) for fact in facts]
    known = [float(one) for one in found if one is not None]
    return fmean(known) if known and len(known) == len(found) else None


# --- claims -------------------------------------------------------------------------------------------------------


def _claims(study: Study, ledger: Ledger) -> list[dict[str, Any]]:
    """The primary claim alone at its level; the descriptive ones as a family of their own."""
    pairs = [paired_values(study, ledger, claim) for claim in study.claims]
    alone = [_compared(claim, one, study.file.alpha) for claim, one in zip(study.claims, pairs, strict=True)]
    adjusted = [None if alone[0] is None else alone[0].p, *_adjusted(study, alone[1:], pairs[1:])]
    return [
        _claim(study, ledger, claim, one, found, p, primary=place == 0)
        for place, (claim, one, found, p) in enumerate(zip(study.claims, pairs, alone, adjusted, strict=True))
    ]


def _compared(claim: ClaimOptions, pairs: Pairs, alpha: float) -> Comparison | None:
    """The comparison, once every planned pair is there."""
    whole = [(a, b) for _, a, b in pairs if a is not None and b is not None]
    if not whole or len(whole) < len(pairs):
        return None
    a, b = zip(*whole, strict=True)
    return compare_paired(a, b, claim.direction, claim.minimal_effect or None, alpha=alpha)


def _adjusted(study: Study, alone: Sequence[Comparison | None], pairs: Sequence[Pairs]) -> list[float | None]:
    """Family-adjusted p of each descriptive claim. One whose pairs are not all there counts with p = 1 and is told
    none."""
    if study.file.family == "holm":
        p = holm([1.0 if found is None else found.p for found in alone])
        return [None if found is None else one for found, one in zip(alone, p, strict=True)]
    whole = [place for place, found in enumerate(alone) if found is not None]
    if not whole:
        return [None] * len(alone)
    matrix = np.array([[a - b for _, a, b in pairs[place] if a is not None and b is not None] for place in whole]).T
    p_of = dict(zip(whole, max_t_sign_flip(matrix), strict=True))
    return [float(p_of[place]) if place in p_of else None for place in range(len(alone))]


def _claim(
    study: Study,
    ledger: Ledger,
    claim: ClaimOptions,
    pairs: Pairs,
    found: Comparison | None,
    p_family: float | None,
    *,
    primary: bool,
) -> dict[str, Any]:
    whole = [(a, b) for _, a, b in pairs if a is not None and b is not None]
    sign = 1.0 if claim.direction == "higher" else -1.0
    gains = [sign * (a - b) for a, b in whole]
    reach = paired_interval(gains, 1 - study.file.alpha) if gains else None
    judged = None if found is None or p_family is None else in_family(found, p_family)
    word, why = (judged.word, "") if judged is not None else _unjudged(study, ledger, claim, pairs)
    return {
        "role": "primary" if primary else "descriptive",
        "a": claim.a,
        "b": claim.b,
        "metric": told(claim.metric),
        "split": claim.split,
        "direction": claim.direction,
        "minimal_effect": claim.minimal_effect or None,
        "n": len(whole),
        "planned": len(pairs),
        "mean_a": fmean(a for a, _ in whole) if whole else None,
        "mean_b": fmean(b for _, b in whole) if whole else None,
        "gain": fmean(gains) if gains else None,
        "low": None if reach is None else reach[0],
        "high": None if reach is None else reach[1],
        "p": None if found is None else found.p,
        "p_family": p_family,
        "word": word,
        "why": why,
    }


def _unjudged(study: Study, ledger: Ledger, claim: ClaimOptions, pairs: Pairs) -> tuple[str, str]:
    """Open while a cell may still come; not shown when all are settled and some pair has no value."""
    chosen = ledger.choose(study)
    without = [arm for arm in (claim.a, claim.b) if arm not in chosen]
    lost = [arm for arm in without if arm in ledger.choices and ledger.choices[arm]["chosen"] is None]
    if lost:
        return NOT_SHOWN, f"no configuration of {' and '.join(lost)} has a score on validation"
    if without:
        return OPEN, f"no configuration chosen yet for {' and '.join(without)}"
    cells = [Cell(configuration=chosen[arm], seed=seed, stage="final")
             for arm in (claim.a, claim.b) for seed in study.seeds]  # fmt: skip
    whole = sum(a is not None and b is not None for _, a, b in pairs)
    if not all(ledger.is_settled(cell) for cell in cells):
        return OPEN, f"{whole} of {len(pairs)} pairs"
    diverged = sum(has_diverged(entry) for cell in cells if (entry := ledger.entry(cell)) is not None)
    reasons = [f"{counted(diverged, 'run')} diverged"] if diverged else ["the metric is undefined in some runs"]
    return NOT_SHOWN, f"{len(pairs) - whole} of {len(pairs)} pairs have no value: {', '.join(reasons)}"


# --- what to know -------------------------------------------------------------------------------------------------


def _failed(ledger: Ledger, cells: Iterable[Cell]) -> list[dict[str, Any]]:
    found = []
    for cell in cells:
        entry = ledger.entry(cell)
        if entry is not None and entry["status"] == "failed":
            about = {"cell": cell.label, "exit_code": entry["exit_code"], "diverged": has_diverged(entry)}
            found.append({**about, "error": entry["error"]})
    return found


def _notes(study: Study, ledger: Ledger, arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Sentences that a reader of the numbers must not miss."""
    notes = []
    changes = (ledger.registered or {}).get("changes", ())
    notes += [
        f"The number of seeds was changed from {len(one['from'])} to {len(one['to'])} after {one['finished_before']} "
        "cells of the primary claim were finished: its p is no longer that of a plan fixed beforehand."
        for one in changes
    ]
    if len(study.seeds) < study.needed:
        notes.append(f"{len(study.seeds)} seeds are fewer than the {study.needed} that the primary claim needs.")
    notes += _below_trivial(study, arms)
    notes += [f"{arm['cut_by_time']} of {arm['n']} cells of '{arm['arm']}' were ended by the time budget."
              for arm in arms if arm["cut_by_time"]]  # fmt: skip
    if len({steps for arm in arms for steps in arm["steps"]}) > 1:
        each = ", ".join(f"{arm['arm']} {_span(arm['steps'])}" for arm in arms if arm["steps"])
        notes.append(f"Not all cells made the same number of optimiser steps: {each}.")
    if len({arm["tried"] for arm in arms}) > 1:
        each = ", ".join(f"{arm['arm']} {arm['tried']}" for arm in arms)
        notes.append(f"Not all arms tried the same number of configurations: {each}.")
    final = [*study.final_cells(ledger.choose(study))]
    gone = sum(ledger.finished(cell) is not None and not ledger.folder_of(cell).results.is_file() for cell in final)
    if gone:
        notes.append(f"{gone} of {len(final)} final cells are taken from the ledger: their run folders are gone.")
    versions = {entry.get("version") for cell in final if (entry := ledger.finished(cell)) is not None}
    if len(versions) > 1:
        notes.append(f"The cells were made by versions {', '.join(sorted(map(str, versions)))}.")
    return notes


def _below_trivial(study: Study, arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """Where higher is better: arms whose mean is not above what takes no network."""
    notes = []
    higher = {(metric_of(claim.metric), claim.split) for claim in study.claims if claim.direction == "higher"}
    for place, column in enumerate(columns(study)):
        scores = {arm["arm"]: arm["scores"][place] for arm in arms}
        known = {arm: one for arm, one in scores.items() if one["mean"] is not None and one["baseline"] is not None}
        low = [arm for arm, one in known.items() if one["mean"] <= one["baseline"]]
        if low and column in higher:
            level, names = known[low[0]]["baseline"], ", ".join(low)
            notes.append(f"Not above the best trivial baseline ({level:.3f}) in {told(column[0])}: {names}.")
    return notes


def _span(steps: Sequence[int]) -> str:
    return str(steps[0]) if len(steps) == 1 else f"{steps[0]} to {steps[-1]}"
