"""Curves of classes: at most six in a chart, those with most objects first, none without curves."""

from __future__ import annotations

from veritrain.report.class_curves import class_charts


def curves(count, band=True):
    recall = [k / 100 for k in range(101)]
    one = {"detections": 9, "recall": recall, "precision": [1 - value for value in recall]}
    edges = {"low": [0.0] * 101, "high": [1.0] * 101} if band else {"low": None, "high": None}
    return {"iou": 0.5, "classes": {f"c{k}": {**one, **edges, "objects": 10 * k + 1} for k in range(count)}}


def test_six_classes_a_chart_most_objects_first():
    first, second = class_charts({"class_curves": curves(8)})
    assert "c7 (n 71)" in first and "c2 (n 21)" in first and "c1 (n 11)" not in first
    assert "c1 (n 11)" in second and "c0 (n 1)" in second


def test_a_band_is_drawn_where_there_is_one():
    (banded,), (plain,) = (class_charts({"class_curves": curves(1, band=band)}) for band in (True, False))
    assert 'class="band' in banded and 'class="band' not in plain


def test_without_curves_there_is_no_chart():
    assert class_charts({}) == [] and class_charts({"class_curves": curves(0)}) == []
