"""Scores as tables of a terminal: a run's own, and those of methods that saw no label beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.report.breakdown import kinds_text
from veritrain.report.numbers import shown


def metrics_text(results: Mapping[str, Any]) -> str:
    """Each metric with its interval, chance, best trivial baseline, n and groups."""
    lines = [f"{'metric':<20}{'value':>9}{'95 % interval':>20}{'chance':>9}{'baseline':>10}{'n':>10}{'groups':>8}"]
    for name, entry in results["metrics"].items():
        low, high = entry["ci95"]
        interval = "undefined" if low is None else f"[{low:.3f}, {high:.3f}]"
        numbers = [_told(entry[key]) for key in ("value", "chance", "baseline")]
        lines.append(
            f"{name:<20}{numbers[0]:>9}{interval:>20}{numbers[1]:>9}{numbers[2]:>10}{entry['n']:>10}{entry['groups']:>8}"
        )
    return "\n".join(lines)


def _told(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4f}"


def reference_text(results: Mapping[str, Any]) -> str:
    """Each reference: what it is and what it is made of, its scores, its kinds; nothing where there is none."""
    return "\n\n".join(_one(name, entry) for name, entry in (results.get("reference") or {}).items())


def _one(name: str, entry: Mapping[str, Any]) -> str:
    head = [f"{name}, a method that saw no labels: {entry['about']}", *made_of(entry)]
    parts = ["\n".join(head), metrics_text(entry), _gains(entry), kinds_text(entry.get("by_kind") or {}, "kind")]
    return "\n\n".join(part for part in parts if part)


def made_of(entry: Mapping[str, Any]) -> list[str]:
    """Sentences on its banks, its normal frames and its time."""
    normal, seconds = entry["normal"], entry["seconds"]
    banks = [
        f"{name} bank: {one['entries']:,} of {one['chosen_from']:,} patches, {one['channels']} channels, "
        f"features {one['features']}, {one['parameters']:,} parameters, none trains"
        for name, one in entry["banks"].items()
    ]
    return [
        *banks,
        f"made of {normal['frames']} frames of {normal['scenarios']} normality scenarios; scale from "
        f"{normal['frames_held_out']} held-out frames of {normal['scenarios_held_out']} more",
        f"{seconds['fit']:.1f} s to make, {seconds['predict']:.1f} s to score the test split",
    ]


def _gains(entry: Mapping[str, Any]) -> str:
    lines = [f"{'the network over it':<20}{'gain':>9}{'95 % interval':>20}"]
    for name, one in (entry.get("model_gain") or {}).items():
        ends = "undefined" if not one["ci95"] or None in one["ci95"] else shown(one["ci95"])
        lines.append(f"{name:<20}{one['value']:>9.4f}{ends:>20}")
    return "\n".join(lines) if len(lines) > 1 else ""
