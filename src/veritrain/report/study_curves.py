"""The training curves of a study: each arm's mean over seeds, with the least and the most of its seeds as a band."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.record import RunRecord, read_run
from veritrain.report.balance_curves import balance_points

COLOURS = ("#0072b2", "#c85000", "#00805d", "#b0558a", "#8a6a00", "#5b6470", "#1b1f24", "#6a3d9a")
"""Those of ``chart.py`` on paper, and two more: a study may have many arms."""
DASHES: tuple[Any, ...] = ("-", (0, (7, 3)), (0, (2, 3)), (0, (9, 3, 2, 3)), (0, (4, 2)), (0, (1, 2)))
BINS = 60
COLUMNS = 4
LOG_FROM = 50.0
KINDS = ("loss", "loss ratio", "weight", "gradient norm", "conflict")

Floats = NDArray[np.float64]
Panel = tuple[str, str]
"""(kind, name): ("loss", "point")."""


@dataclass(frozen=True, kw_only=True)
class Band:
    """One arm in one panel: ``x`` steps; ``mean``, ``low`` and ``high`` over seeds; NaN where no seed has a value."""

    x: Floats
    mean: Floats
    low: Floats
    high: Floats
    seeds: int


def draw_study_curves(runs: Mapping[str, Sequence[Path]], out: Path, *, note: str = "") -> list[Path]:
    """Write ``curves.png`` and ``curves.pdf`` into ``out``; nothing, and an empty list, where no run recorded a curve.

    Unweighted loss terms, gradient norms, and what balancers record of tasks: loss ratios (above 1 for a task that lags
    behind), weights (only where some move), norms at the shared parameters, cosines between the tasks' gradients.

    Args:
        runs: arm to the run folders of its seeds.
        note: a line under the figure.
    """
    bands = bands_of({arm: [read_run(path) for path in paths] for arm, paths in runs.items()})
    if not bands:
        return []
    figure = _figure(bands, list(runs), note)
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for ending, more in (("png", {"dpi": 150}), ("pdf", {"metadata": {"CreationDate": None}})):
        path = out / f"curves.{ending}"
        beside = path.with_name(path.name + ".part")
        figure.savefig(beside, format=ending, **more)
        beside.replace(path)
        written.append(path)
    return written


def bands_of(records: Mapping[str, Sequence[RunRecord]]) -> dict[Panel, dict[str, Band]]:
    """Panel to arm to band, panels in the order of KINDS; a weight only where it moves in some run."""
    found: dict[Panel, dict[str, list[tuple[Floats, Floats]]]] = {}
    for arm, several in records.items():
        for record in several:
            for panel, points in _series(record):
                found.setdefault(panel, {}).setdefault(arm, []).append(points)
    found = {panel: arms for panel, arms in found.items() if panel[0] != "weight" or _moves(arms)}
    panels = sorted(found, key=lambda panel: KINDS.index(panel[0]))
    return {panel: {arm: _band(lines) for arm, lines in found[panel].items()} for panel in panels}


def _moves(arms: Mapping[str, Sequence[tuple[Floats, Floats]]]) -> bool:
    known = [values[np.isfinite(values)] for lines in arms.values() for _, values in lines]
    return any(np.ptp(values) > 0 for values in known if len(values))


def _series(record: RunRecord) -> Iterator[tuple[Panel, tuple[Floats, Floats]]]:
    """Every curve of a run as (steps, values)."""
    balanced = balance_points(record)
    raw: dict[Panel, list[tuple[float, float]]] = {}
    for event in record.of("term"):
        if event["step"] is not None and event.get("split") == "train":
            raw.setdefault(("loss", event["name"]), []).append((event["step"], _float(event.get("value"))))
            if not balanced:  # else the weights of terms repeat those of their tasks
                raw.setdefault(("weight", event["name"]), []).append((event["step"], _float(event.get("weight"))))
    for event in record.of("grad"):
        if event["step"] is not None and "name" in event:
            raw.setdefault(("gradient norm", event["name"]), []).append((event["step"], _float(event.get("value"))))
    for panel, told in balanced.items():
        raw.setdefault(panel, []).extend((step, _float(value)) for step, value in told)
    for panel, points in raw.items():
        steps, values = np.array(points, dtype=np.float64).T
        if np.isfinite(values).any():
            yield panel, (steps, values)


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _band(lines: Sequence[tuple[Floats, Floats]]) -> Band:
    """Means of equal shares of the steps, then over seeds."""
    first = min(float(steps.min()) for steps, _ in lines)
    last = max(float(steps.max()) for steps, _ in lines)
    most = max(len(steps) for steps, _ in lines)
    edges = np.linspace(first, last, min(BINS, most) + 1)
    rows = np.full((len(lines), len(edges) - 1), np.nan)
    stepped, seen = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for row, (steps, values) in zip(rows, lines, strict=True):
        known = np.isfinite(values)
        places = np.clip(np.searchsorted(edges, steps[known], side="right") - 1, 0, len(row) - 1)
        counts = np.bincount(places, minlength=len(row))
        sums = np.bincount(places, weights=values[known], minlength=len(row))
        row[counts > 0] = sums[counts > 0] / counts[counts > 0]
        stepped += np.bincount(places, weights=steps[known], minlength=len(row))
        seen += counts
    some = np.isfinite(rows).any(axis=0)
    filled = rows[:, some]
    return Band(
        x=stepped[some] / seen[some],
        mean=np.nanmean(filled, axis=0),
        low=np.nanmin(filled, axis=0),
        high=np.nanmax(filled, axis=0),
        seeds=len(lines),
    )


def _figure(bands: Mapping[Panel, Mapping[str, Band]], arms: Sequence[str], note: str) -> Any:
    from matplotlib.figure import Figure

    rows = _rows(list(bands))
    columns = max(len(row) for row in rows)
    figure = Figure(figsize=(1.2 + 3.4 * columns, 1.0 + 2.5 * len(rows) + 0.24 * math.ceil(len(arms) / columns)),
                    layout="constrained", facecolor="white")  # fmt: skip
    grid = figure.subplots(len(rows), columns, squeeze=False)
    shown: dict[str, Any] = {}
    for panels, places in zip(rows, grid, strict=True):
        for panel, axes in zip(panels, places, strict=False):
            shown |= _panel(axes, panel, bands[panel], arms)
        for axes in places[len(panels) :]:
            axes.set_visible(False)
    seeds = {arm: max(one[arm].seeds for one in bands.values() if arm in one) for arm in shown}
    labels = [f"{arm} (n = {seeds[arm]})" for arm in arms if arm in shown]
    handles = [shown[arm] for arm in arms if arm in shown]
    figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)), frameon=False)
    about = "Mean over n seeds; the band is from the least to the most of them."
    figure.suptitle(f"{about} {note}".strip(), fontsize=9, x=0.01, ha="left", color="#444444")
    return figure


def _rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Panels of one kind side by side, at most COLUMNS of them."""
    rows = []
    for kind in KINDS:
        same = [panel for panel in panels if panel[0] == kind]
        rows += [same[start : start + COLUMNS] for start in range(0, len(same), COLUMNS)]
    return rows


def _panel(axes: Any, panel: Panel, bands: Mapping[str, Band], arms: Sequence[str]) -> dict[str, Any]:
    """Draw one panel; arm to its line, for the legend."""
    drawn = {}
    for place, arm in enumerate(arms):
        if arm not in bands:
            continue
        band, colour = bands[arm], COLOURS[place % len(COLOURS)]
        dash = DASHES[(place + place // len(COLOURS)) % len(DASHES)]
        if band.seeds > 1:
            shade = 0.15 if len(bands) <= 3 else 0.07
            axes.fill_between(band.x, band.low, band.high, color=colour, alpha=shade, linewidth=0)
        drawn[arm] = axes.plot(band.x, band.mean, color=colour, linestyle=dash, linewidth=1.6)[0]
    kind, name = panel
    axes.set_title(f"{kind}: {name.replace('_', ' ').replace('|', ' and ')}", fontsize=10, loc="left")
    low = min(float(band.low.min()) for band in bands.values())
    high = max(float(band.high.max()) for band in bands.values())
    if kind == "conflict":
        axes.axhline(0.0, color="#1b1f24", linewidth=0.8)
    elif low > 0 and high / low > LOG_FROM:
        axes.set_yscale("log")
    axes.set_xlabel("step", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return drawn
