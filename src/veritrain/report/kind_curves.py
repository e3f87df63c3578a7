"""Precision and recall of each kind in one chart a family, each curve named beside its end."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from veritrain.report.chart import DASHES, LEGEND_ROW, STYLES, Axes, Line, draw, marker, text
from veritrain.report.figures import UNIT, metric_words
from veritrain.report.language import Language, pair

MARGIN = 170
"""Pixels right of the axes for the names."""
ROW = 29
"""Pixels that a name with its counts takes."""
LONGEST = 20
"""Characters of a name."""


def kind_charts(results: Mapping[str, Any], language: Language = "en") -> list[str | None]:
    """One chart for each level and family; a family of more than six kinds has several."""
    content = results.get("curves_by_kind") or {}
    drawn: list[str | None] = []
    for level, one in (content.get("levels") or {}).items():
        families: dict[str, list[str]] = {}
        for kind, entry in one["kinds"].items():
            families.setdefault(str(entry["family"]), []).append(kind)
        for family, kinds in families.items():
            parts = [kinds[start : start + STYLES] for start in range(0, len(kinds), STYLES)]
            for number, part in enumerate(parts, start=1):
                title = f"{metric_words(level)}, {family}" + (f" ({number} of {len(parts)})" if len(parts) > 1 else "")
                entries = {kind: one["kinds"][kind] for kind in part}
                drawn.append(_chart(content["recall"], entries, title, language))
    return drawn


def left_out(results: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(level, kind, why) of every kind without a curve."""
    levels = (results.get("curves_by_kind") or {}).get("levels") or {}
    return [(metric_words(level), kind, why) for level, one in levels.items() for kind, why in one["left_out"].items()]


def _chart(recall: Sequence[float], entries: Mapping[str, Mapping[str, Any]], title: str, language: Language) -> str:
    axes = Axes(
        title=title,
        description="; ".join(
            f"{kind}: {entry['positives']} positives in {entry['groups']} groups, chance {entry['chance']:.3f}"
            for kind, entry in entries.items()
        ),
        x_label=pair("recall"),
        y_label=pair("precision"),
        x_range=UNIT,
        y_range=UNIT,
        right=MARGIN,
    )
    lines = [
        Line(label="", x=recall, y=entry["precision"], style=style) for style, entry in enumerate(entries.values())
    ]
    under = "".join(_chance(axes, entry["chance"], style) for style, entry in enumerate(entries.values()))
    heading = text(title, axes.x(0), 13)
    return draw(axes, heading + under + _names(axes, entries), *lines, language=language, head=LEGEND_ROW)


def _chance(axes: Axes, chance: float, style: int) -> str:
    moved = axes.below(LEGEND_ROW)
    place = f'x1="{moved.x(0)}" x2="{moved.x(1)}" y1="{moved.y(chance)}" y2="{moved.y(chance)}"'
    return f'<line class="line c{style}" style="stroke-width:1.1" stroke-dasharray="1 4" {place}/>'


def _names(axes: Axes, entries: Mapping[str, Mapping[str, Any]]) -> str:
    """Names from top to bottom in the order of the curves' mean height, each joined to its curve's end."""
    moved = axes.below(LEGEND_ROW)
    style_of = {kind: style for style, kind in enumerate(entries)}
    order = sorted(entries, key=lambda kind: -math.fsum(entries[kind]["precision"]))
    left, drawn = moved.x(1) + 26, []
    wanted = [moved.y(entries[kind]["precision"][-1]) for kind in order]
    for kind, y, end in zip(order, spread(wanted, moved.y(1) + 12, moved.y(0) - 18, ROW), wanted, strict=True):
        style, entry = style_of[kind], entries[kind]
        look = f'class="line c{style}" style="stroke-width:1" stroke-dasharray="{DASHES[style]}"'
        drawn.append(f'<path {look} d="M{moved.x(1):g} {end:g}L{left - 10:g} {y - 4:g}"/>')
        drawn.append(marker(left - 3, y - 4, style))
        name = kind.replace("_", " ")
        short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
        drawn.append(text(short, left + 6, y))
        drawn.append(text(f"n {entry['positives']:,} / {entry['groups']}", left + 6, y + 13, extra=' font-size="10"'))
    return "".join(drawn)


def spread(wanted: Sequence[float], low: float, high: float, room: float) -> list[float]:
    """Places in the given order, each ``room`` below the one before, as near to what is wanted as fits."""
    found: list[float] = []
    for place in wanted:
        found.append(max(place, low if not found else found[-1] + room))
    limit = high
    for index in range(len(found) - 1, -1, -1):
        found[index] = min(found[index], limit)
        limit = found[index] - room
    return found
