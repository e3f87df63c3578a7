from __future__ import annotations

import itertools
import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.report.chart import (
    ALONE,
    Axes,
    Line,
    Mark,
    Rule,
    bars,
    draw,
    legend_rows,
    log_ticks,
    nice_ticks,
    tick_words,
)

HOSTILE = '<script>alert("x")</script> & more'
SVG = "{http://www.w3.org/2000/svg}"


def axes(**changes) -> Axes:
    plain = {"title": "t", "description": "d", "x_label": "x", "y_label": "y", "x_range": (0, 10), "y_range": (0, 1)}
    return Axes(**{**plain, **changes})


def parsed(svg: str) -> ET.Element:
    assert "nan" not in svg and "inf" not in svg.replace("information", "")
    return ET.fromstring(svg)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_inside_and_evenly_spaced(low, width):
    ticks = nice_ticks(low, low + width)
    slack = 1e-6 * width
    assert 2 <= len(ticks) <= 7
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)
    steps = [b - a for a, b in itertools.pairwise(ticks)]
    assert all(math.isclose(step, steps[0], rel_tol=1e-6, abs_tol=slack) for step in steps)


def test_log_ticks_are_round_and_inside():
    assert log_ticks(0.01, 10) == pytest.approx([0.01, 0.1, 1, 10])
    assert all(2 <= tick <= 30 for tick in log_ticks(2, 30))


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.0, "0"), (0.025, "0.025"), (-0.025, "-0.025"), (12000, "12000"), (0.0001, "1e-4"), (-0.0015, "-1.5e-3"),
     (100000, "1e5"), (120000, "1.2e5"), (1e-7, "1e-7")],
)  # fmt: skip
def test_a_long_tick_is_written_with_a_power_of_ten(value, words):
    assert tick_words(value) == words


@given(st.integers(-9, 9), st.sampled_from((-1, 0, 1)))
def test_a_tick_is_short_and_still_its_number(power, start):
    width = 10.0**power
    for tick in nice_ticks(start * width, (start + 1) * width):
        words = tick_words(tick)
        assert float(words) == pytest.approx(tick, rel=1e-5, abs=1e-9 * width) and len(words) <= 7


def test_a_chart_is_valid_names_itself_and_escapes():
    line = Line(label=HOSTILE, x=[0, 5, 10], y=[0, 0.5, 1], low=[0, 0.4, 0.9], high=[0.1, 0.6, 1])
    rule = Rule(label="chance", start=(0, 0), end=(10, 1))
    chart = axes(title=HOSTILE, description=HOSTILE, x_label=HOSTILE)
    svg = draw(chart, line, rule, Mark(label=HOSTILE, x=1, y=0.2), alone=True)
    root = parsed(svg)
    assert root.find(f"{SVG}title").text == HOSTILE and root.find(f"{SVG}desc").text == HOSTILE
    assert root.attrib["role"] == "img"
    assert "<script" not in svg


def test_none_breaks_the_line_and_an_empty_line_is_harmless():
    broken = draw(axes(), Line(label="", x=[0, 1, 2, 3], y=[0.1, None, 0.3, 0.4]))
    path = next(e for e in parsed(broken).iter() if e.attrib.get("class", "").startswith("line"))
    assert path.attrib["d"].count("M") == 2
    parsed(draw(axes(), Line(label="", x=[], y=[])))
    parsed(draw(axes(), Line(label="", x=[0], y=[None], low=[None], high=[None])))


def test_both_languages_are_drawn():
    root = parsed(draw(axes(x_label=("step", "步数"))))
    assert {e.attrib["lang"] for e in root.iter("text") if "lang" in e.attrib} == {"en", "zh"}
    assert '[lang="zh"]{display:none}' in ALONE


def test_styles_differ_without_colour():
    svg = draw(axes(), *(Line(label=str(i), x=[0, 1], y=[0, 1], style=i) for i in range(6)))
    dashes = {e.attrib.get("stroke-dasharray") for e in parsed(svg).iter("path") if "line" in e.attrib.get("class", "")}
    assert len(dashes) == 6


def test_a_long_legend_takes_more_rows():
    assert legend_rows([]) == 0
    assert legend_rows(["a"]) == 1
    assert legend_rows(["a long name of a loss term"] * 6) > 2


def test_bars_stand_on_the_axis():
    drawn = ET.fromstring(bars(axes(y_range=(0, 4)), [0, 1, 2], [4, 0]))
    full, empty = drawn.findall("rect")
    assert float(full.attrib["height"]) > 200 and float(empty.attrib["height"]) == 0
