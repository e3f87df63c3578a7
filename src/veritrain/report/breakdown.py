"""Kinds, sizes, voxels and components of ``results.json`` as tables of a terminal; which columns they have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veritrain.report.figures import metric_words
from veritrain.report.numbers import shown

MEASURED = ("frame_auroc", "point_ap", "object_point_auroc", "object_point_ap", "pixel_ap")
"""What a kind is scored by, in the order of the columns."""

COMPONENT_SCORES = ("mean_siou", "mean_ppv", "mean_f1")


def breakdown_metrics(entries: Mapping[str, Mapping[str, Any]] | None) -> list[str]:
    """The scores that any kind has."""
    return [name for name in MEASURED if any(name in entry for entry in (entries or {}).values())]


def breakdown_text(results: Mapping[str, Any]) -> str:
    """All four tables as plain text; what a result does not hold is left out."""
    parts = [kinds_text(results.get(key) or {}, title) for key, title in (("by_kind", "kind"), ("by_size", "size"))]
    parts.append(_voxels((results.get("voxels") or {}).get("protocols") or {}))
    parts.append(_components((results.get("components") or {}).get("tracks") or {}))
    return "\n\n".join(part for part in parts if part)


def kinds_text(entries: Mapping[str, Mapping[str, Any]], title: str) -> str:
    """``by_kind`` or ``by_size`` as a table; nothing without an entry."""
    measured = breakdown_metrics(entries)
    head = [title, "frames", "groups", *(metric_words(name) for name in measured)]
    rows = [
        [name, shown(one.get("positives")), shown(one.get("groups")), *(_with_interval(one, m) for m in measured)]
        for name, one in entries.items()
    ]
    return aligned(head, rows)


def _voxels(protocols: Mapping[str, Mapping[str, Any]]) -> str:
    head = ["voxels", "AUROC", "AP", "chance AP", "best trivial AP", "FPR at 95 % TPR", "n", "positives", "missed"]
    rows = []
    for name, one in protocols.items():
        scores = [_bracketed(one[metric]["value"], one[metric]["ci95"]) for metric in ("auroc", "ap", "fpr95")]
        rest = [shown(one["ap"][key]) for key in ("n", "positives")]
        middle = [shown(one["ap"]["chance"]), shown(one["ap"]["baseline"])]
        rows.append([name, *scores[:2], *middle, scores[2], *rest, f"{shown(one['missed'])} {one['missed_count']}"])
    return aligned(head, rows)


def _components(tracks: Mapping[str, Mapping[str, Any]]) -> str:
    head = ["components", "least sizes", "mean sIoU", "mean PPV", "mean F1", "best trivial F1", "truths", "called"]
    rows = [
        [
            name,
            f"{one['least_called']}/{one['least_truth']}",
            *(_with_interval(one, score) for score in COMPONENT_SCORES),
            shown(one["mean_f1_baseline"]),
            shown(one["truths"]),
            shown(one["called"]),
        ]
        for name, one in tracks.items()
    ]
    return aligned(head, rows)


def _with_interval(entry: Mapping[str, Any], metric: str) -> str:
    return _bracketed(entry.get(metric), entry.get(f"{metric}_ci95"))


def _bracketed(value: float | None, ends: Sequence[float | None] | None) -> str:
    return shown(value) if not ends or None in ends else f"{shown(value)} {shown(ends)}"


def aligned(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell; nothing without a row."""
    if not rows:
        return ""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    lines = (
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in (head, *rows)
    )
    return "\n".join(lines)
