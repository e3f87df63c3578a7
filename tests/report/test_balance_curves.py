"""Curves of a balancer in the report of a run: what is drawn where, by hand; nothing without measurements."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from report.markup import Node, parse
from veritrain.record import RecordWriter, RunFolder, RunRecord
from veritrain.report.balance_curves import MOST_POINTS, balance_charts, balance_points, balance_told
from veritrain.report.page import write_report


def record_of(events) -> RunRecord:
    numbered = tuple({"line": i, "epoch": None, "step": None, **event} for i, event in enumerate(events, 1))
    return RunRecord(path=Path("run"), kind="run", events=numbered)


def balance(step, *, cosine=-0.2, weight=1.2, norm=3.0, ratio=1.1, **more):
    tasks = {"weights": (weight, 2 - weight), "loss_ratios": (ratio, None if ratio is None else 2 - ratio)}
    tasks |= {"grad_norms": (norm, 2.0)}
    fields = {field: {"detection": one, "view": other} for field, (one, other) in tasks.items()}
    fields |= {"name": "gradnorm", "measured_at": "shared_parameters", "cosines": {"detection|view": cosine}}
    return {"event": "balance", "step": step, **fields, **more}


def axis(svg: str) -> str:
    return next(text for text in texts(svg) if text.endswith(("unit)", "parameter)")))


def texts(svg: str, language: str = "en") -> list[str]:
    found = [e for e in ET.fromstring(svg).iter() if e.tag.endswith("text")]
    return ["".join(e.itertext()) for e in found if e.attrib.get("lang", language) == language]


def lines_of(svg: str) -> list[list[tuple[float, float]]]:
    """Places of each line's points in the drawing; the legend's samples left out."""
    paths = [e for e in ET.fromstring(svg).iter("path") if e.attrib.get("class", "").startswith("line ")]
    drawn = [e.attrib["d"] for e in paths if "h22" not in e.attrib["d"]]
    return [[(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", d)] for d in drawn]


def level_of(svg: str) -> float:
    """Where the horizontal rule lies in the drawing."""
    rule = next(e for e in ET.fromstring(svg).iter("line") if e.attrib.get("class") == "rule")
    assert rule.attrib["y1"] == rule.attrib["y2"]
    return float(rule.attrib["y1"])


def ends_of(svg: str) -> tuple[float, float]:
    """Top and floor of the vertical axis in the drawing."""
    axis = next(e for e in ET.fromstring(svg).iter("path") if e.attrib.get("class") == "axis")
    top, floor = re.fullmatch(r"M[\d.]+ ([\d.]+)V([\d.]+)H[\d.]+", axis.attrib["d"]).groups()
    return float(top), float(floor)


def test_points_are_those_of_the_record_in_their_order():
    found = balance_points(record_of([balance(1), balance(10, cosine=None), {"event": "balance", "weights": {"a": 1}}]))
    assert found["weight", "view"] == [(1, 0.8), (10, 0.8)] and found["conflict", "detection|view"][1] == (10, None)
    assert list(found) == [
        ("loss ratio", "detection"), ("loss ratio", "view"), ("weight", "detection"), ("weight", "view"),
        ("gradient norm", "detection"), ("gradient norm", "view"), ("conflict", "detection|view"),
    ]  # fmt: skip


def test_each_of_four_kinds_has_its_chart_with_units_and_both_tasks():
    charts = balance_charts(record_of([balance(step, weight=1 + step / 100) for step in (1, 10, 20)]))
    assert [axis(svg) for svg in charts] == [
        "weight of the task (no unit)",
        "loss ratio (no unit)",
        "gradient norm (loss per unit of parameter)",
        "cosine of the gradients (no unit)",
    ]
    for svg in charts:
        assert "optimiser step" in texts(svg) and "优化步数" in texts(svg, "zh")
    for svg in charts[:3]:
        assert {"detection", "view"} <= set(texts(svg)) and len(lines_of(svg)) == 2
    assert "detection and view" in texts(charts[3]) and "detection 与 view" in texts(charts[3], "zh")
    up, down = lines_of(charts[0])
    assert up[0][1] > up[1][1] > up[2][1] and down[0][1] < down[1][1] < down[2][1], "the page's y goes down"


def test_the_cosine_is_drawn_about_a_line_at_0():
    (one,) = lines_of(chart := balance_charts(record_of([balance(1, cosine=-0.2), balance(9, cosine=0.2)]))[3])
    zero = level_of(chart)
    assert one[0][1] > zero > one[1][1] and one[0][1] - zero == pytest.approx(zero - one[1][1], abs=0.2)
    assert zero == pytest.approx(sum(ends_of(chart)) / 2, abs=0.2), "in the middle"
    assert "0: neither helps nor hinders the other" in texts(chart)
    assert {"0.2", "-0.2", "0"} <= set(texts(chart)) and "0.5" not in texts(chart)
    assert {"1", "-1"} <= set(texts(balance_charts(record_of([balance(1, cosine=-0.9), balance(9)]))[3]))


def test_the_ratio_is_drawn_about_a_line_at_1_even_far_from_it():
    charts = balance_charts(record_of([balance(1, ratio=1.5), balance(9, ratio=1.4)]))
    lags, leads = lines_of(charts[1])
    assert max(y for _, y in lags) < level_of(charts[1]) < min(y for _, y in leads)
    alone = balance_charts(record_of([balance(step, loss_ratios={"a": 1.5 + step / 10}) for step in (1, 2)]))[1]
    top, floor = ends_of(alone)
    assert top <= level_of(alone) <= floor


def test_a_single_measurement_is_seen_and_an_unknown_kind_left_out():
    charts = balance_charts(record_of([balance(1, ratio=None)]))
    assert [axis(svg)[:6] for svg in charts] == ["weight", "gradie", "cosine"]
    for svg in charts:
        markers = [e for e in ET.fromstring(svg).iter("path") if e.attrib.get("class", "") in ("c0", "c1")]
        assert len(markers) == 2 * len(lines_of(svg)), "each line has its marker, in the legend and at its point"


def test_a_long_run_is_thinned_and_ten_tasks_need_more_charts():
    (line,) = lines_of(balance_charts(record_of([balance(step) for step in range(3000)]))[3])
    assert len(line) <= MOST_POINTS
    cosines = {f"a{i}|b{i}": 0.1 for i in range(10)}
    charts = balance_charts(record_of([balance(step, cosines=cosines) for step in (1, 2)]))
    assert [len(lines_of(svg)) for svg in charts] == [2, 2, 2, 6, 4]


def test_nothing_is_drawn_and_nothing_told_without_measurements():
    for record in (record_of([]), record_of([{"event": "term", "step": 1, "name": "a", "value": 1.0}])):
        assert balance_charts(record) == [] and balance_told(record) is None
    assert balance_told(record_of([balance(1)])) == {"name": "gradnorm", "shared": True}
    assert balance_told(record_of([balance(1, measured_at="parameters")])) == {"name": "gradnorm", "shared": False}


def written(path: Path, events) -> Node:
    folder = RunFolder(path)
    with RecordWriter(folder) as writer:
        writer.event("start", task="joint", claims=[], seed=0)
        for event in events:
            writer.event(event["event"], **{key: value for key, value in event.items() if key != "event"})
    return parse(write_report(folder).read_text(encoding="utf-8"))


def test_the_report_of_a_run_has_them_and_names_the_balancer(tmp_path):
    page = written(tmp_path / "with", [balance(1), balance(10, cosine=0.1)])
    assert len([node for node in page.walk() if node.tag == "svg" and node.attributes.get("class") == "chart"]) == 4
    for language, words in (("en", "Balancing of the tasks"), ("zh", "任务之间的平衡")):
        text = page.text(language)
        assert words in text and "gradnorm" in text
    assert "Measured at the parameters that the tasks share." in page.text()
    elsewhere = written(tmp_path / "dual", [balance(1, measured_at="parameters")]).text()
    assert "declares no shared parameters" in elsewhere and "tasks share" not in elsewhere


def test_the_report_of_a_run_without_them_shows_nothing_of_it(tmp_path):
    page = written(tmp_path / "without", [])
    assert "Balanc" not in page.text() and "平衡" not in page.text("zh")
    assert not [node for node in page.walk() if node.tag == "svg" and node.attributes.get("class") == "chart"]
