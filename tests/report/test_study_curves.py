"""Curves of a study: means over seeds by hand, which panels there are, and files that are pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from veritrain.record import RunRecord
from veritrain.report import chart
from veritrain.report.study_curves import COLOURS, KINDS, bands_of, draw_study_curves


def record_of(events) -> RunRecord:
    numbered = tuple({"line": i, "epoch": None, "step": None, **event} for i, event in enumerate(events, 1))
    return RunRecord(path=Path("run"), kind="run", events=numbered)


def term(step, value, name="view", weight=1.0, split="train"):
    return {"event": "term", "step": step, "name": name, "value": value, "weight": weight, "split": split}


def grad(step, value, name="total_norm"):
    return {"event": "grad", "step": step, "name": name, "value": value}


def test_mean_and_reach_over_seeds_by_hand():
    runs = [record_of([term(step, value) for step, value in enumerate(values)]) for values in ([1, 2, 3], [3, 4, 8])]
    band = bands_of({"a": runs})["loss", "view"]["a"]
    assert band.x.tolist() == [0.0, 1.0, 2.0], "where the values were recorded"
    assert band.seeds == 2 and band.mean.tolist() == [2.0, 3.0, 5.5]
    assert band.low.tolist() == [1.0, 2.0, 3.0] and band.high.tolist() == [3.0, 4.0, 8.0]


def test_long_curves_are_means_of_equal_shares_of_the_steps():
    band = bands_of({"a": [record_of([term(step, float(step)) for step in range(6000)])]})["loss", "view"]["a"]
    assert len(band.x) == 60 and np.allclose(band.mean, band.x, atol=1.0)


def test_runs_of_different_length_and_holes():
    runs = [record_of([term(s, 1.0) for s in range(4)]), record_of([term(0, 3.0), term(1, None), term(2, 3.0)])]
    band = bands_of({"a": runs})["loss", "view"]["a"]
    assert band.mean.tolist() == [2.0, 1.0, 2.0, 1.0]


def balance(step, **fields):
    return {"event": "balance", "step": step, **fields}


def test_weights_only_where_one_moves():
    still = record_of([term(step, 1.0) for step in range(20)])
    assert {kind for kind, _ in bands_of({"a": [still]})} == {"loss"}
    moving = record_of([term(step, 1.0, weight=1 + step / 100) for step in range(20)])
    other = record_of([term(step, 1.0, "box") for step in range(20)])
    bands = bands_of({"a": [still], "b": [moving], "c": [other]})
    assert list(bands) == [("loss", "view"), ("loss", "box"), ("weight", "view")]
    weights = bands["weight", "view"]
    assert weights["b"].mean[-1] == pytest.approx(1.19) and weights["a"].high.max() == 1.0


def test_what_a_balancer_recorded():
    fields = {"weights": {"det": 1.2, "view": 0.8}, "loss_ratios": {"det": 1.1, "view": None},
              "grad_norms": {"det": 3.0, "view": 2.0}, "cosines": {"det|view": -0.25}, "unconnected": []}  # fmt: skip
    moved = {**fields, "weights": {"det": 1.5, "view": 0.5}}
    events = [grad(1, 7.0), term(1, 0.7), balance(1, **fields), balance(2, **moved), term(1, 0.7, split="val")]
    bands = bands_of({"a": [record_of(events)]})
    assert list(bands) == [
        ("loss", "view"), ("loss ratio", "det"), ("weight", "det"), ("weight", "view"), ("gradient norm", "total_norm"),
        ("gradient norm", "det"), ("gradient norm", "view"), ("conflict", "det|view"),
    ]  # fmt: skip
    assert bands["weight", "view"]["a"].mean.tolist() == [0.8, 0.5], "the tasks' weights, not those of the terms"
    assert bands["conflict", "det|view"]["a"].mean.tolist() == [-0.25, -0.25]


@pytest.mark.parametrize("events", [[], [{"event": "start"}], [term(1, None)], [{"event": "grad"}]])
def test_nothing_recorded_is_nothing_drawn(events):
    assert bands_of({"a": [record_of(events)], "b": []}) == {}


def test_the_figure_is_written_with_seeds_in_its_legend(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    for run in range(3):
        (tmp_path / f"run{run}").mkdir()
        lines = [{"v": 1, **term(step, 9.0 / step, name, 1 + step / 99)} for step in range(1, 30) for name in "pq"]
        (tmp_path / f"run{run}" / "record.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
    legends = []
    monkeypatch.setattr(Figure, "legend", lambda self, handles, labels, **_: legends.append(labels))
    runs = {"two": [tmp_path / "run0", tmp_path / "run1"], "one": [tmp_path / "run2"]}
    png, pdf = draw_study_curves(runs, tmp_path / "figures", note="Made data.")
    assert legends == [["two (n = 2)", "one (n = 1)"]]
    assert png.read_bytes()[:4] == b"\x89PNG" and pdf.read_bytes()[:4] == b"%PDF"
    assert draw_study_curves({"none": []}, tmp_path / "empty") == [] and not (tmp_path / "empty").exists()


def test_colours_are_those_of_the_charts():
    assert all(f"--c{place},{colour})" in chart.STYLE for place, colour in enumerate(COLOURS[:6]))
    assert len(set(KINDS)) == 5
