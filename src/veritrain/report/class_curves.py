"""Precision-recall curves of the classes of a detector, with the band that resampled scenes give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.report.chart import STYLES, Axes, Line, draw
from veritrain.report.figures import UNIT, spaced
from veritrain.report.language import Language, pair

MOST_POINTS = 60


def class_charts(results: Mapping[str, Any], language: Language = "en") -> list[str | None]:
    """Charts of at most six classes each, those with most objects first."""
    content = results.get("class_curves") or {}
    classes: Mapping[str, Mapping[str, Any]] = content.get("classes") or {}
    names = sorted(classes, key=lambda name: (-classes[name]["objects"], name))
    parts = [names[start : start + STYLES] for start in range(0, len(names), STYLES)]
    return [_chart({name: classes[name] for name in part}, content["iou"], language) for part in parts]


def _chart(classes: Mapping[str, Mapping[str, Any]], iou: float, language: Language) -> str:
    axes = Axes(
        title=", ".join(classes),
        description="; ".join(f"{name}: {one['objects']} objects" for name, one in classes.items())
        + f"; overlap {iou:g}",
        x_label=pair("recall"),
        y_label=pair("precision"),
        x_range=UNIT,
        y_range=UNIT,
    )
    return draw(
        axes, *(_line(name, one, style) for style, (name, one) in enumerate(classes.items())), language=language
    )


def _line(name: str, one: Mapping[str, Any], style: int) -> Line:
    keep = spaced(len(one["recall"]), MOST_POINTS)
    low, high = one.get("low"), one.get("high")
    return Line(
        label=f"{name} (n {one['objects']:,})",
        x=[one["recall"][i] for i in keep],
        y=[one["precision"][i] for i in keep],
        style=style,
        low=[low[i] for i in keep] if low else None,
        high=[high[i] for i in keep] if high else None,
        markers=False,
    )
