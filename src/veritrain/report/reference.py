"""Scores as tables of a terminal: a run's own, and those of methods that saw no label beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.report.breakdown import aligned, kinds_text
from veritrain.report.numbers import shown


def metrics_text(results: Mapping[str, Any]) -> str:
    """Each metric with its interval, chance, best trivial baseline, n and groups."""
    head = ["metric", "value", "95 % interval", "chance", "baseline", "n", "groups"]
    return aligned(head, [_row(name, entry) for name, entry in results["metrics"].items()])


def _row(name: str, entry: Mapping[str, Any]) -> list[str]:
    low, high = entry["ci95"]
    interval = "undefined" if low is None else f"[{low:.3f}, {high:.3f}]"
    chance, baseline = _told(entry["chance"]), _told(entry["baseline"])
    return [name, _told(entry["value"]), interval, chance, baseline, str(entry["n"]), str(entry["groups"])]


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
    rows = []
    for name, one in (entry.get("model_gain") or {}).items():
        ends = "undefined" if not one["ci95"] or None in one["ci95"] else shown(one["ci95"])
        rows.append([name, f"{one['value']:.4f}", ends])
    return aligned(["the network over it", "gain", "95 % interval"], rows)
