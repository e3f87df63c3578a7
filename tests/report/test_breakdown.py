"""Kinds, voxels and components as tables of a terminal."""

from __future__ import annotations

from veritrain.report.breakdown import breakdown_metrics, breakdown_text


def test_every_table_names_its_rows_and_says_undefined(run):
    import json

    results = json.loads(run.results.read_text(encoding="utf-8"))
    text = breakdown_text(results)
    lines = text.splitlines()
    static = next(line for line in lines if line.startswith("static"))
    assert "43" in static and "0.910 [0.840, 0.960]" in static and "undefined" in static
    union = next(line for line in lines if line.startswith("union"))
    assert "0.291 [0.191, 0.341]" in union and "17 as misses" in union and "0.561" in union
    track = next(line for line in lines if line.startswith("anomaly"))
    assert "8/2" in track and "0.412 [0.312, 0.512]" in track and "0.051" in track and "undefined" in track
    assert any(line.startswith("1 to 11 returns") for line in lines)
    assert text.count("\n\n") == 3


def test_what_is_not_there_is_left_out():
    assert breakdown_text({}) == ""
    assert breakdown_text({"by_kind": {}, "voxels": None, "components": None}) == ""
    old = {"by_kind": {"static": {"frame_auroc": 0.75, "positives": 3}}}
    assert breakdown_text(old).splitlines()[1].split() == ["static", "3", "undefined", "0.750"]


def test_columns_are_the_scores_that_any_kind_has():
    assert breakdown_metrics({"a": {"point_ap": 0.1}, "b": {"frame_auroc": 0.5, "n": 3}}) == ["frame_auroc", "point_ap"]
    assert breakdown_metrics(None) == []
