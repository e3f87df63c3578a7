"""What a run looks like: training curves, ROC and precision-recall, the permutation null and the controls."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from veritrain.record import Claim, RunRecord
from veritrain.report.chart import ALONE, LEGEND_ROW, Axes, Line, Mark, Rule, Words, bars, draw, legend_rows
from veritrain.report.language import Language, pair, say

MOST_POINTS = 300
UNIT = (0.0, 1.0)
SEEN = 0.005
"""Between a chosen threshold and the drawn curve, of a scale from 0 to 1: more than this is said."""
LOG_FROM = 50.0
"""A loss that falls by more than this factor is drawn on a logarithmic axis."""


def draw_curves(record: RunRecord, out: Path) -> Path:
    """Write the training curves of a run, finished or not, as one SVG file.

    Args:
        record: as far as it goes; an empty one gives a picture that says so.
        out: the file to write; a folder gets ``curves.svg``.
    """
    path = out if out.suffix == ".svg" else out / "curves.svg"
    drawn = [svg for svg in (loss_curves(record), metric_curves(record)) if svg is not None]
    height = 300 * max(len(drawn), 1)
    inner = "".join(
        svg.replace("<svg ", f'<svg y="{300 * i}" width="460" height="300" ', 1) for i, svg in enumerate(drawn)
    )
    if not drawn:
        inner = f'<text x="20" y="40">{say("no_curves")}</text>'
    style = f"<style>{ALONE}</style>"
    page = f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 460 {height}">{style}{inner}</svg>\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(page, encoding="utf-8")
    beside.replace(path)
    return path


def loss_curves(record: RunRecord, language: Language = "en") -> str | None:
    """Every loss term, unweighted, against optimiser steps; None when nothing was recorded."""
    series: dict[tuple[str, str], list[tuple[float, float | None]]] = {}
    for event in record.of("term"):
        if event["step"] is not None:
            key = (str(event["name"]), str(event.get("split") or "train"))
            series.setdefault(key, []).append((event["step"], event.get("value")))
    lines = [
        thinned_line(name if split == "train" else f"{name} ({split})", points, style)
        for style, ((name, split), points) in enumerate(series.items())
    ]
    return against_steps(lines, (), pair("loss"), say("losses", language), language)


def metric_curves(record: RunRecord, language: Language = "en") -> str | None:
    """The headline's metric on validation; None when it was never recorded.

    Ringed is the epoch whose weights were kept and scored, which another score may have chosen; its best one before
    there are results.
    """
    claim = record.claim or Claim(metric="")
    points, name = _validation(record, claim.metric)
    known = [(value, step, epoch) for step, value, epoch in points if value is not None]
    marks: tuple[Mark, ...] = ()
    if known:
        choose = max if claim.higher_is_better else min
        scored = ((record.results or {}).get("checkpoint") or {}).get("epoch")
        kept = [point for point in known if scored is not None and point[2] == scored]
        value, step, epoch = choose(kept or known, key=lambda point: point[0])
        english, chinese = pair("kept" if kept else "best")
        label = (f"{english}: {value:.3f}, epoch {epoch}", f"{chinese}：{value:.3f}，轮次 {epoch}")
        marks = (Mark(label=label, x=step, y=value),)
    line = Line(label="", x=[p[0] for p in points], y=[p[1] for p in points], style=0)
    title = say("validation", language)
    return against_steps([line] if points else [], marks, metric_words(name), title, language, scores=True)


def _validation(record: RunRecord, metric: str) -> tuple[list[tuple[float, float | None, int | None]], str]:
    """(step, value, epoch) of the metric on validation; of the first one recorded when it never was."""
    found: dict[str, list[tuple[float, float | None, int | None]]] = {}
    for event in record.of("metric"):
        if event["step"] is not None and event.get("split") == "val":
            point = (float(event["step"]), event.get("value"), event.get("epoch"))
            found.setdefault(str(event["name"]), []).append(point)
    name = metric if metric in found else next(iter(found), metric)
    return found.get(name, []), name


def thinned_line(
    label: Words, points: Sequence[tuple[float, float | None]], style: int, most: int = MOST_POINTS
) -> Line:
    """Means of equal runs of (step, value), at most ``most``, with the least and the most of each run as a band."""
    size = max(1, math.ceil(len(points) / most))
    x, y, low, high = [], [], [], []
    for chunk in (points[start : start + size] for start in range(0, len(points), size)):
        known = [value for _, value in chunk if value is not None]
        x.append(chunk[len(chunk) // 2][0])
        y.append(sum(known) / len(known) if known else None)
        low.append(min(known) if known else None)
        high.append(max(known) if known else None)
    return Line(label=label, x=x, y=y, style=style, low=low, high=high)


def against_steps(
    lines: Sequence[Line],
    marks: Sequence[Mark],
    y_label: Words,
    title: str,
    language: Language,
    *,
    level: tuple[Words, float] | None = None,
    y_range: tuple[float, float] | None = None,
    scores: bool = False,
) -> str | None:
    """Lines over optimiser steps; None when no value is known. A wide range of positive values gets a logarithmic axis.

    Args:
        level: a height that means something, drawn across, with its name.
        y_range: of the vertical axis, low < high; what the values need without it.
        scores: the values are scores: an axis of such in 0 to 1 does not leave that.
    """
    values = [value for line in lines for part in (line.y, line.low or (), line.high or ()) for value in part]
    known = [value for value in values if value is not None]
    if not known:
        return None
    steps = [x for line in lines for x in line.x]
    x_range = (min(steps), max(steps)) if min(steps) < max(steps) else (min(steps) - 1, max(steps) + 1)
    reached = known if level is None else [*known, level[1]]
    low, high = min(reached), max(reached)
    log = y_range is None and low > 0 and high / low > LOG_FROM
    if y_range is None:
        y_range = (low, high) if log else (score_range if scores else widened)(low, high)
    rules = [] if level is None else [Rule(label=level[0], start=(x_range[0], level[1]), end=(x_range[1], level[1]))]
    axes = Axes(
        title=title,
        description=f"{len(lines)} lines over {len(set(steps))} places, from {known[0]:.4g} to {known[-1]:.4g}",
        x_label=pair("step"),
        y_label=y_label,
        x_range=x_range,
        y_range=y_range,
        log_y=log,
    )
    return draw(axes, *lines, *rules, *marks, language=language)


def widened(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    """A range that is never empty, with some room."""
    if high <= low:
        room = abs(low) * 0.1 or 1.0
        return low - room, high + room
    room = (high - low) * share
    return low - room, high + room


def score_range(low: float, high: float, share: float = 0.06) -> tuple[float, float]:
    """:func:`widened`, within 0 to 1 where the scores are: no score lies beyond."""
    wide = widened(low, high, share)
    return (max(wide[0], 0.0), min(wide[1], 1.0)) if low >= 0 and high <= 1 else wide


def metric_words(metric: str) -> str:
    """``frame_auroc`` as people write it."""
    spelled = {"auroc": "AUROC", "ap": "AP", "fpr95": "FPR at 95 % TPR", "map": "mAP", "f1": "F1", "iou": "IoU"}
    first, *more = metric.split("_")
    start = spelled.get(first, first[:1].upper() + first[1:])
    return " ".join((start, *(spelled.get(word, word) for word in more)))


def roc_chart(
    curve: Mapping[str, Any], level: str, point: tuple[float, float] | None, language: Language = "en"
) -> str | None:
    """The ROC of one level with its band, the chance diagonal and the chosen threshold."""
    chance = Rule(label=pair("chance"), start=(0, 0), end=(1, 1))
    labels = (pair("fpr"), pair("tpr"), f"ROC: {level}")
    return _unit_chart(curve, ("fpr", "tpr"), chance, point, labels, level, language)


def pr_chart(
    curve: Mapping[str, Any], level: str, chance: float | None, point: tuple[float, float] | None, language: Language
) -> str | None:
    """Precision against recall with its band and the precision of random scores."""
    rule = None if chance is None else Rule(label=pair("chance"), start=(0, chance), end=(1, chance))
    labels = (pair("recall"), pair("precision"), f"Precision and recall: {level}")
    return _unit_chart(curve, ("recall", "precision"), rule, point, labels, level, language)


def _unit_chart(
    curve: Mapping[str, Any],
    keys: tuple[str, str],
    chance: Rule | None,
    point: tuple[float, float] | None,
    labels: tuple[Words, Words, str],
    level: str,
    language: Language,
) -> str | None:
    x, y = curve.get(keys[0]) or [], curve.get(keys[1]) or []
    if not x or len(x) != len(y):
        return None
    low, high = curve.get("low"), curve.get("high")
    banded = bool(low and high and len(low) == len(high) == len(x))
    keep = spaced(len(x), MOST_POINTS)
    line = Line(
        label=level,
        x=[x[i] for i in keep],
        y=[y[i] for i in keep],
        low=[low[i] for i in keep] if banded and low else None,
        high=[high[i] for i in keep] if banded and high else None,
        markers=False,
    )
    axes = Axes(
        title=labels[2],
        description=f"{labels[1][0]} against {labels[0][0]}, {len(x)} places"
        + (", with a 95 % band" if banded else ""),
        x_label=labels[0],
        y_label=labels[1],
        x_range=UNIT,
        y_range=UNIT,
    )
    marks = [] if point is None else [_chosen_mark(line, point)]
    return draw(axes, *([] if chance is None else [chance]), line, *marks, language=language)


def _chosen_mark(line: Line, point: tuple[float, float]) -> Mark:
    """A ring on the drawn line, at the horizontal place of the chosen threshold.

    The line is drawn on a grid, and precision as the best at this recall or more (the usual envelope), so that the
    threshold itself may lie off it: where that can be seen, the label says the value at the threshold.
    """
    known = [(x, y) for x, y in zip(line.x, line.y, strict=True) if y is not None]
    height = on_line(known, point[0])
    said = "" if abs(height - point[1]) < SEEN else f"\n({point[1]:.3f})"
    english, chinese = pair("chosen")
    return Mark(label=(english + said, chinese + said), x=point[0], y=height)


def on_line(points: Sequence[tuple[float, float]], x: float) -> float:
    """Height of a drawn line at ``x``: between two points on the straight line, beyond the ends that of the end.

    Args:
        points: (x, y), x not falling, at least one.
    """
    for (x1, y1), (x2, y2) in pairwise(points):
        if x1 <= x <= x2 and x1 < x2:
            return y1 + (y2 - y1) * (x - x1) / (x2 - x1)
    return points[0][1] if x < points[0][0] else points[-1][1]


def spaced(length: int, most: int) -> list[int]:
    """At most ``most`` evenly spaced places over ``range(length)``, both ends among them."""
    if length <= most:
        return list(range(length))
    return sorted({round(i * (length - 1) / (most - 1)) for i in range(most)})


def null_chart(found: Mapping[str, Any], metric: str, language: Language = "en") -> str | None:
    """The scores under exchanged labels beside the observed one: bars when all are stored, else quantiles."""
    observed = found.get("observed")
    null = [value for value in found.get("null", ()) if value is not None]
    if observed is None:
        return None
    if null:
        return _null_bars(null, observed, metric, language)
    quantiles = found.get("null_quantiles")
    if not quantiles or None in quantiles:
        return None
    low, middle, high = quantiles
    axes = Axes(
        title=f"{metric_words(metric)}: {_one_line('exchanged', language)}",
        description=f"under exchange 5 % {low:.3f}, median {middle:.3f}, 95 % {high:.3f}; observed {observed:.3f}",
        x_label="",
        y_label=metric_words(metric),
        x_range=(-0.6, 1.6),
        y_range=score_range(min(low, observed), max(high, observed), 0.2),
        x_names=(pair("exchanged"), pair("observed")),
    )
    box = Line(label="", x=[-0.18, 0.18], y=[middle, middle], low=[low, low], high=[high, high], style=5, markers=False)
    marks = (
        Mark(label=f"{middle:.3f} [{low:.3f}, {high:.3f}]", x=0, y=middle, style=5),
        Mark(label=f"{observed:.3f}", x=1, y=observed, style=0),
    )
    return draw(axes, box, *marks, language=language)


def _null_bars(null: Sequence[float], observed: float, metric: str, language: Language) -> str:
    low, high = score_range(min(*null, observed), max(*null, observed))
    count = 30
    edges = [low + (high - low) * i / count for i in range(count + 1)]
    counts = [0.0] * count
    for value in null:
        counts[min(int((value - low) / (high - low) * count), count - 1)] += 1
    axes = Axes(
        title=f"{metric_words(metric)}: {_one_line('exchanged', language)}",
        description=f"{len(null)} permutations from {min(null):.3f} to {max(null):.3f}; observed {observed:.3f}",
        x_label=metric_words(metric),
        y_label=pair("permutations"),
        x_range=(low, high),
        y_range=(0.0, max(counts) * 1.08),
    )
    rule = Rule(label=pair("observed"), start=(observed, 0), end=(observed, max(counts) * 1.08))
    top = legend_rows([rule.label]) * LEGEND_ROW
    return draw(axes, bars(axes, edges, counts, style=5, top=top), rule, language=language)


def controls_chart(record: RunRecord, language: Language = "en") -> str | None:
    """The headline of this run beside the same budget on true and permuted labels and untrained networks."""
    if record.claim is None:
        return None
    metric = record.claim.metric
    columns = [column for column in _control_columns(record, metric) if column[1]]
    if len(columns) < 2:
        return None
    values = [value for _, found, _ in columns for value in found]
    chance = (record.score() or {}).get("chance")
    low, high = score_range(min([*values, chance or values[0]]), max([*values, chance or values[0]]), 0.15)
    axes = Axes(
        title=f"{metric_words(metric)}: {say('controls', language)}",
        description="; ".join(
            f"{_one_line(key, 'en')}: {', '.join(f'{v:.3f}' for v in found)}" for key, found, _ in columns
        ),
        x_label="",
        y_label=metric_words(metric),
        x_range=(-0.6, len(columns) - 0.4),
        y_range=(low, high),
        x_names=tuple(pair(key) for key, _, _ in columns),
    )
    dots = [
        Mark(label=f"{max(found):.3f}" if value == max(found) else "", x=place, y=value, style=style)
        for place, (_, found, style) in enumerate(columns)
        for value in sorted(found)
    ]
    rule = (
        [] if chance is None else [Rule(label=pair("chance"), start=(-0.6, chance), end=(len(columns) - 0.4, chance))]
    )
    return draw(axes, *rule, *dots, language=language)


def _control_columns(record: RunRecord, metric: str) -> list[tuple[str, list[float], int]]:
    """(words, values, style) of each control that has a defined value."""
    score = record.score() or {}
    retrained = _values(record, "permuted_label_retraining")
    untrained = _values(record, "reinitialised_networks")
    true = retrained.get("true") or {}
    return [
        ("this_run", _known([score.get("value")]), 0),
        ("true_run", _known([true.get(metric)]), 2),
        ("permuted", _known([scores.get(metric) for scores in retrained.get("permuted", ())]), 1),
        ("reinitialised", _known([scores.get(metric) for scores in untrained.get("scores", ())]), 3),
    ]


def _one_line(key: str, language: Language) -> str:
    return say(key, language).replace("\n", " ")


def _values(record: RunRecord, probe: str) -> Mapping[str, Any]:
    found = record.evidence.get(probe)
    return {} if found is None or found.status != "done" else found.values


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
