"""Small charts as SVG text: axes, lines with bands, histograms and dots.

Colours come from CSS classes (``c0`` to ``c5``, the Okabe-Ito palette; markers and dashes differ too), so one drawing
serves light, dark and print. Words may be a pair (English, Chinese); both are drawn and CSS shows one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from veritrain.report.label_places import Box, LabelPlaces, Point

Words = str | tuple[str, str]
Numbers = Sequence[float | None]

WIDTH, HEIGHT = 460, 300
LEFT, RIGHT, BOTTOM, TOP = 64, 14, 44, 12
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 2", "1 2")
STYLES = len(DASHES)
LEGEND_ROW = 17
TICK_ROOM = 5.0
"""Digits that a tick's words may be wide, left of the axis; a point and a sign are half as wide."""

STYLE = """
.chart{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;color:var(--ink,#1b1f24)}
.chart text{fill:currentColor}
.chart text{paint-order:stroke;stroke:var(--paper,#fff);stroke-width:3px}
.chart .grid{stroke:currentColor;stroke-opacity:.13}
.chart .axis{stroke:currentColor;stroke-opacity:.6}.chart .rule{stroke:currentColor;stroke-width:1.3}
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round}.chart .band{stroke:none;fill-opacity:.17}
.chart .c0{stroke:var(--c0,#0072b2);fill:var(--c0,#0072b2)}.chart .c1{stroke:var(--c1,#c85000);fill:var(--c1,#c85000)}
.chart .c2{stroke:var(--c2,#00805d);fill:var(--c2,#00805d)}.chart .c3{stroke:var(--c3,#b0558a);fill:var(--c3,#b0558a)}
.chart .c4{stroke:var(--c4,#8a6a00);fill:var(--c4,#8a6a00)}.chart .c5{stroke:var(--c5,#5b6470);fill:var(--c5,#5b6470)}
.chart .line.c0,.chart .line.c1,.chart .line.c2,.chart .line.c3,.chart .line.c4,.chart .line.c5{fill:none}
.chart .band{stroke:none!important}
"""
ALONE = (
    STYLE
    + '.chart [lang="zh"]{display:none}svg{background:#fff}'
    + "@media (prefers-color-scheme:dark){svg{background:#14181d}.chart{--paper:#14181d;--ink:#e6e9ec;"
    + "--c0:#56b4e9;--c1:#f08a3c;--c2:#2fc49a;--c3:#dd94bb;--c4:#e6c200;--c5:#aab4bf}}"
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line, and the band around it when ``low`` and ``high`` are given. None breaks the line."""

    label: Words
    x: Sequence[float]
    y: Numbers
    style: int = 0
    low: Numbers | None = None
    high: Numbers | None = None
    markers: bool = True


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One point that matters, with its name."""

    label: Words
    x: float
    y: float
    style: int = 1


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A straight reference from one place to another: chance, an observed value."""

    label: Words
    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Axes:
    """The frame of a chart and where a value falls on it.

    Attributes:
        title, description: for people who do not see the drawing.
        x_range, y_range: data limits, low < high. log_y: powers of ten on the vertical axis.
        x_names: words instead of numbers on the horizontal axis, at 0, 1, 2, ...
        top, right: pixels above and right of the axes.
    """

    title: str
    description: str
    x_label: Words
    y_label: Words
    x_range: tuple[float, float]
    y_range: tuple[float, float]
    log_y: bool = False
    x_names: tuple[Words, ...] = ()
    top: int = TOP
    right: int = RIGHT

    def below(self, head: int) -> Axes:
        """The same axes with ``head`` pixels more above them."""
        return _with_top(self, self.top + head)

    def x(self, value: float) -> float:
        low, high = self.x_range
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - self.right), 1)

    def y(self, value: float) -> float:
        low, high = self.y_range
        if self.log_y:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, low))
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - BOTTOM - self.top), 1)


def text(words: Words, x: float, y: float, *, anchor: str = "start", extra: str = "") -> str:
    """One label, or one per language."""
    place = f'x="{x:g}" y="{y:g}" text-anchor="{anchor}"{extra}'
    if isinstance(words, str):
        return f"<text {place}>{_lines(words, x)}</text>"
    return "".join(
        f'<text {place} lang="{tag}">{_lines(word, x)}</text>' for tag, word in zip(("en", "zh"), words, strict=True)
    )


def _lines(words: str, x: float) -> str:
    """Escaped words; a line break starts a new line below."""
    first, *more = (escape(line) for line in words.split("\n"))
    return first + "".join(f'<tspan x="{x:g}" dy="15">{line}</tspan>' for line in more)


def nice_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers inside the range, at steps of 1, 2 or 5 times a power of ten."""
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    powers = [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    finer = [value * factor for value in powers for factor in (1, 2, 5)] if len(powers) < 4 else powers
    return [value for value in finer if low <= value <= high]


def draw(axes: Axes, *parts: Line | Mark | Rule | str, language: str = "en", alone: bool = False, head: int = 0) -> str:
    """A whole chart; strings among ``parts`` are SVG drawn under the lines, ``head`` pixels at the top are theirs."""
    legend, rows = _legend([part for part in parts if isinstance(part, Line | Rule) and part.label])
    axes = _with_top(axes, TOP + head + rows * LEGEND_ROW)
    body = [_grid(axes), *(part for part in parts if isinstance(part, str))]
    body += [_DRAWN[type(part)](axes, part) for part in parts if isinstance(part, Line | Rule)]
    body += _marks(axes, parts)
    style = f"<style>{ALONE}</style>" if alone else ""
    space = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    return (
        f'<svg{space} class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" lang="{language}">'
        f"<title>{escape(axes.title)}</title><desc>{escape(axes.description)}</desc>{style}"
        f"{''.join(body)}{legend}</svg>"
    )


def bars(axes: Axes, edges: Sequence[float], counts: Sequence[float], style: int = 0, top: int = 0) -> str:
    """Histogram bars; give ``legend_rows * LEGEND_ROW`` as ``top`` when the chart has a legend."""
    placed = _with_top(axes, TOP + top)
    drawn = []
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        left, right, roof = placed.x(low), placed.x(high), placed.y(count)
        width = max(right - left - 0.5, 0.5)
        height = HEIGHT - BOTTOM - roof
        drawn.append(
            f'<rect class="c{style}" stroke="none" x="{left}" y="{roof}" width="{width:.1f}" height="{height:.1f}"/>'
        )
    return f'<g fill-opacity=".55">{"".join(drawn)}</g>'


def tick_words(value: float) -> str:
    """A tick's number, with a power of ten where it would be too long: 0.025, 1e-4, 1.5e-3, 2e5."""
    plain = f"{value:.6g}"
    if "e" not in plain and sum(0.5 if char in ".-" else 1.0 for char in plain) <= TICK_ROOM:
        return plain
    digits, power = f"{value:.5e}".split("e")
    return f"{float(digits):g}e{int(power)}"


def _with_top(axes: Axes, top: int) -> Axes:
    return Axes(**{**axes.__dict__, "top": top})


def _grid(axes: Axes) -> str:
    low, high = axes.y_range
    floor = HEIGHT - BOTTOM
    parts = []
    for tick in log_ticks(low, high) if axes.log_y else nice_ticks(low, high, 5):
        y = axes.y(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - axes.right}" y1="{y}" y2="{y}"/>')
        parts.append(text(tick_words(tick), LEFT - 7, y + 4, anchor="end"))
    if axes.x_names:
        parts += [text(name, axes.x(i), floor + 17, anchor="middle") for i, name in enumerate(axes.x_names)]
    else:
        for tick in nice_ticks(*axes.x_range):
            x = axes.x(tick)
            parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{axes.top}" y2="{floor}"/>')
            parts.append(text(f"{tick:.6g}", x, floor + 17, anchor="middle"))
    parts.append(f'<path class="axis" fill="none" d="M{LEFT} {axes.top}V{floor}H{WIDTH - axes.right}"/>')
    parts.append(text(axes.x_label, (LEFT + WIDTH - axes.right) / 2, HEIGHT - 8, anchor="middle"))
    middle = (axes.top + floor) / 2
    parts.append(text(axes.y_label, 14, middle, anchor="middle", extra=f' transform="rotate(-90 14 {middle:g})"'))
    return "".join(parts)


def _line(axes: Axes, line: Line) -> str:
    points = [(axes.x(x), axes.y(y)) if y is not None else None for x, y in zip(line.x, line.y, strict=True)]
    look = f'class="line c{line.style % STYLES}" stroke-dasharray="{DASHES[line.style % STYLES]}"'
    drawn = _band(axes, line) + f'<path {look} d="{_path(points)}"/>'
    if line.markers:
        whole = [point for point in points if point is not None]
        every = max(1, math.ceil(len(whole) / 8))
        drawn += "".join(marker(x, y, line.style) for x, y in whole[every // 2 :: every])
    return drawn


def _path(points: Sequence[tuple[float, float] | None]) -> str:
    pieces, pen = [], "M"
    for point in points:
        pieces.append("" if point is None else f"{pen}{point[0]:g} {point[1]:g}")
        pen = "M" if point is None else "L"
    return "".join(pieces) or "M0 0"


def _band(axes: Axes, line: Line) -> str:
    if line.low is None or line.high is None:
        return ""
    known = [
        (x, low, high)
        for x, low, high in zip(line.x, line.low, line.high, strict=True)
        if low is not None and high is not None
    ]
    if len(known) < 2:
        return ""
    there = [f"{axes.x(x):g} {axes.y(high):g}" for x, _, high in known]
    back = [f"{axes.x(x):g} {axes.y(low):g}" for x, low, _ in reversed(known)]
    return f'<path class="band c{line.style % STYLES}" d="M{"L".join(there + back)}Z"/>'


def marker(x: float, y: float, style: int) -> str:
    """The shape of a style, around a place."""
    shapes = ("M{x} {y}m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0", "M{x} {y}m-3.2-3.2h6.4v6.4h-6.4z",
              "M{x} {y}m0-4.2l4 7.2h-8z", "M{x} {y}m0-4.4l4.4 4.4l-4.4 4.4l-4.4-4.4z",
              "M{x} {y}m0 4.2l4-7.2h-8z", "M{x} {y}m-3.8-1.2h7.6v2.4h-7.6z")  # fmt: skip
    return f'<path class="c{style % STYLES}" d="{shapes[style % STYLES].format(x=f"{x:g}", y=f"{y:g}")}"/>'


def _marks(axes: Axes, parts: Sequence[Line | Mark | Rule | str]) -> list[str]:
    """Rings, and their labels where they stand on nothing."""
    marks = [part for part in parts if isinstance(part, Mark)]
    rings = [(axes.x(mark.x), axes.y(mark.y)) for mark in marks]
    lines = [_drawn_points(axes, part) for part in parts if isinstance(part, Line)]
    rules = [_drawn_points(axes, part) for part in parts if isinstance(part, Rule)]
    places = LabelPlaces(Box(LEFT + 2, axes.top - 6, WIDTH, HEIGHT - BOTTOM), lines, rings, rules)
    drawn = []
    for mark, (x, y) in zip(marks, rings, strict=True):
        look = f'class="c{mark.style % STYLES}" cx="{x:g}" cy="{y:g}" r="5.5" style="fill:none;stroke-width:2"'
        drawn.append(f"<circle {look}/>")
        if mark.label:
            versions = (mark.label,) if isinstance(mark.label, str) else mark.label
            spot = places.place((x, y), _width(mark.label), max(word.count("\n") + 1 for word in versions))
            drawn.append(text(mark.label, spot.x, spot.y, anchor=spot.anchor))
    return drawn


def _drawn_points(axes: Axes, part: Line | Rule) -> list[Point]:
    """Where a line is drawn, in pixels; a gap in it counts as drawn."""
    if isinstance(part, Rule):
        return [(axes.x(x), axes.y(y)) for x, y in (part.start, part.end)]
    return [(axes.x(x), axes.y(y)) for x, y in zip(part.x, part.y, strict=True) if y is not None]


def _rule(axes: Axes, rule: Rule) -> str:
    (x1, y1), (x2, y2) = rule.start, rule.end
    place = f'x1="{axes.x(x1)}" y1="{axes.y(y1)}" x2="{axes.x(x2)}" y2="{axes.y(y2)}"'
    return f'<line class="rule" stroke-dasharray="5 4" {place}/>'


_DRAWN: dict[type, Callable[..., str]] = {Line: _line, Rule: _rule}


def legend_rows(labels: Sequence[Words]) -> int:
    """How many rows a legend of these labels takes."""
    return _legend([Line(label=label, x=(), y=()) for label in labels])[1]


def _legend(parts: Sequence[Line | Rule]) -> tuple[str, int]:
    drawn, x, row = [], float(LEFT), 0
    for part in parts:
        width = 34 + _width(part.label)
        if x > LEFT and x + width > WIDTH - RIGHT:
            x, row = float(LEFT), row + 1
        y = 13 + row * LEGEND_ROW
        if isinstance(part, Line):
            look = f'class="line c{part.style % STYLES}" stroke-dasharray="{DASHES[part.style % STYLES]}"'
            drawn.append(f'<path {look} d="M{x:g} {y - 4}h22"/>')
            drawn.append(marker(x + 11, y - 4, part.style) if part.markers else "")
        else:
            drawn.append(f'<path class="rule" stroke-dasharray="5 4" d="M{x:g} {y - 4}h22"/>')
        drawn.append(text(part.label, x + 27, y))
        x += width + 10
    return "".join(drawn), (row + 1 if parts else 0)


def _width(words: Words) -> float:
    """Pixels that a label takes, roughly: CJK characters are twice as wide."""
    versions = (words,) if isinstance(words, str) else words
    lines = [line for word in versions for line in word.split("\n")]
    return max(sum(12.5 if ord(char) > 0x2E7F else 6.4 for char in line) for line in lines)
