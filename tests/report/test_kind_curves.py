"""Every kind's curve is named beside its end, names do not overlap, and what has no curve is listed."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from veritrain.report.chart import HEIGHT, WIDTH
from veritrain.report.kind_curves import ROW, kind_charts, left_out, spread

RECALL = [i / 40 for i in range(41)]


def results(kinds, level="frame"):
    entries = {
        kind: {"family": "type", "positives": 20, "groups": 5, "chance": 0.1, "precision": precision}
        for kind, precision in kinds.items()
    }
    levels = {level: {"negatives": 90, "kinds": entries, "left_out": {"rare": "3 positives in 1 groups"}}}
    return {"curves_by_kind": {"recall": RECALL, "levels": levels}}


@pytest.mark.parametrize("count", [1, 2, 6])
def test_names_do_not_overlap_though_all_curves_end_at_one_place(count):
    kinds = {f"kind {number}": [1.0] * 40 + [0.05] for number in range(count)}
    (svg,) = kind_charts(results(kinds))
    root = ElementTree.fromstring(svg)
    places = {one.text: float(one.get("y")) for one in root.iter("text") if (one.text or "").startswith("kind ")}
    assert set(places) == set(kinds)
    below = sorted(places.values())
    assert all(two - one >= ROW - 0.01 for one, two in pairwise(below))
    assert below[0] > 0 and below[-1] + 13 < HEIGHT
    left = [float(one.get("x")) for one in root.iter("text") if (one.text or "").startswith("kind ")]
    assert max(left) + 7 * len("kind 0") < WIDTH


def test_more_kinds_than_styles_take_two_charts_and_every_kind_has_its_chance():
    drawn = kind_charts(results({f"k{number}": [0.5] * 41 for number in range(8)}))
    assert len(drawn) == 2 and "(1 of 2)" in drawn[0] and "(2 of 2)" in drawn[1]
    assert sum(len(re.findall('stroke-dasharray="1 4"', svg)) for svg in drawn) == 8


def test_names_are_escaped_and_shortened():
    (svg,) = kind_charts(results({"<b>a very long name of a kind</b>": [0.5] * 41}))
    assert "<b>" not in svg and "…" in svg
    ElementTree.fromstring(svg)


def test_what_has_no_curve_is_listed_and_old_results_have_none():
    assert left_out(results({})) == [("Frame", "rare", "3 positives in 1 groups")]
    assert kind_charts({}) == [] and left_out({"curves_by_kind": None}) == []


def test_spread_keeps_order_and_stays_near():
    assert spread([10, 50, 90], 0, 100, 20) == [10, 50, 90]
    assert spread([90, 90, 90], 0, 100, 20) == [60, 80, 100]
    assert spread([-5, -5], 0, 100, 20) == [0, 20]
