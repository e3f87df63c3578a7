from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from veritrain.record import Claim, Evidence, RunRecord, read_run
from veritrain.report import figures

CLAIM = Claim(metric="frame_auroc")


def record_of(events, **more) -> RunRecord:
    numbered = tuple({"line": i, "epoch": None, "step": None, **event} for i, event in enumerate(events, 1))
    return RunRecord(path=Path("run"), kind="run", claim=CLAIM, events=numbered, **more)


def term(step, value, name="loss", split="train"):
    return {"event": "term", "step": step, "name": name, "value": value, "split": split}


def metric(step, value, name="frame_auroc", split="val"):
    return {"event": "metric", "step": step, "epoch": step, "name": name, "value": value, "split": split}


def texts(svg: str) -> str:
    return " ".join(
        "".join(element.itertext()) for element in ET.fromstring(svg).iter() if element.tag.endswith("text")
    )


@pytest.mark.parametrize(
    "events",
    [
        [],
        [{"event": "start"}],
        [term(0, 0.7)],
        [term(0, None)],
        [term(0, 0.7), term(1, None), term(2, 0.7)],
        [metric(0, None)],
        [metric(0, 0.5)],
        [term(0, 0.0), term(1, 0.0)],
        [term(i, 10.0 ** -(i % 9)) for i in range(40)],
    ],
)
def test_curves_are_drawn_from_any_part_of_a_record(events, tmp_path):
    path = figures.draw_curves(record_of(events), tmp_path / "figures")
    assert path == tmp_path / "figures" / "curves.svg"
    content = path.read_text(encoding="utf-8")
    ET.fromstring(content)
    assert "nan" not in content and "None" not in content


def test_curves_of_a_long_run_stay_small(tmp_path):
    events = [term(i, 1 / (1 + i), name) for i in range(10_000) for name in ("frame", "point", "pixel")]
    record = record_of(events + [metric(i, i / 100) for i in range(100)])
    path = figures.draw_curves(record, tmp_path)
    assert path.stat().st_size < 120_000


def test_the_best_epoch_is_the_best():
    values = [0.5, 0.9, 0.7, None]
    rising = figures.metric_curves(record_of([metric(i, v) for i, v in enumerate(values)]))
    assert rising is not None and "0.900, epoch 1" in texts(rising)
    falling = record_of([metric(i, v) for i, v in enumerate(values)])
    drawn = figures.metric_curves(falling.about(Claim(metric="frame_auroc", higher_is_better=False)))
    assert drawn is not None and "0.500, epoch 0" in texts(drawn)


def test_the_epoch_that_was_kept_is_ringed_even_where_another_score_chose_it():
    record = record_of([metric(i, v) for i, v in enumerate([0.5, 0.9, 0.7])])
    drawn = figures.metric_curves(replace(record, results={"checkpoint": {"epoch": 2}}))
    assert drawn is not None and "kept: 0.700, epoch 2" in texts(drawn) and "0.900" not in texts(drawn)


def test_only_validation_chooses_the_best():
    drawn = figures.metric_curves(record_of([metric(0, 0.5), metric(1, 0.99, split="test")]))
    assert drawn is not None and "0.990" not in texts(drawn)


def test_another_metric_stands_in_when_the_headline_was_not_recorded():
    drawn = figures.metric_curves(record_of([metric(0, 0.5, name="point_ap")]))
    assert drawn is not None and "Point AP" in texts(drawn)


def test_a_thinned_line_keeps_means_and_extremes():
    points = [(float(i), float(i % 2)) for i in range(900)]
    line = figures.thinned_line("loss", points, 0)
    assert len(line.x) <= figures.MOST_POINTS
    assert min(line.low) == 0 and max(line.high) == 1
    assert all(0.3 < value < 0.7 for value in line.y)


def test_ranking_curves_need_points_of_equal_number():
    curve = {"fpr": [0, 0.5, 1], "tpr": [0, 0.8, 1], "low": [0, 0.7, 1], "high": [0, 0.9, 1]}
    drawn = figures.roc_chart(curve, "frame", (0.1, 0.6))
    assert drawn is not None and "chance" in texts(drawn).lower() and "chosen threshold" in texts(drawn)
    assert 'class="band' in drawn
    assert figures.roc_chart({"fpr": [], "tpr": []}, "frame", None) is None
    assert figures.roc_chart({"fpr": [0, 1], "tpr": [0]}, "frame", None) is None
    assert figures.pr_chart({"recall": [0, 1], "precision": [1, 0.3]}, "frame", None, None, "en") is not None


@pytest.mark.parametrize("point", [(0.4, 0.61), (0.403, 0.61), (0.0, 0.2), (1.0, 0.3)])
def test_the_chosen_threshold_is_ringed_on_the_drawn_curve(point):
    recall = [i / 100 for i in range(101)]
    curve = {"recall": recall, "precision": [1 - 0.7 * x**2 for x in recall]}
    drawn = figures.pr_chart(curve, "frame", None, point, "en")
    assert drawn is not None
    root = ET.fromstring(drawn)
    ring = next(one for one in root.iter() if one.tag.endswith("circle"))
    line = next(str(one.get("d")) for one in root.iter() if one.get("class") == "line c0" and "L" in str(one.get("d")))
    spots = [tuple(float(part) for part in spot.split()) for spot in line.removeprefix("M").split("L")]
    height = figures.on_line(spots, float(str(ring.get("cx"))))
    assert abs(height - float(str(ring.get("cy")))) < 0.2
    off = abs(1 - 0.7 * point[0] ** 2 - point[1]) > 0.01
    assert (f"({point[1]:.3f})" in texts(drawn)) is off


def test_the_axis_of_a_score_does_not_leave_0_to_1():
    assert figures.score_range(0, 0) == (0, 1) and figures.score_range(1, 1) == (0.9, 1)
    low, high = figures.score_range(0.4, 0.6)
    assert low < 0.4 and high > 0.6 and figures.score_range(-0.5, 0.5) == figures.widened(-0.5, 0.5)
    nothing = figures.null_chart({"observed": 0.0, "null_quantiles": (0.0, 0.0, 0.0)}, "map_50")
    flat = figures.metric_curves(record_of([metric(i, 0.0) for i in range(3)]))
    results = {"metrics": {"frame_auroc": {"value": 0.0, "chance": 0.0}}}
    values = {"true": {"frame_auroc": 0.0}, "permuted": [{"frame_auroc": 0.0}]}
    made = Evidence(probe="permuted_label_retraining", version=1, inputs_hash="", values=values, seconds=0.0)
    controls = figures.controls_chart(record_of([], results=results, evidence={made.probe: made}))
    bars = figures.null_chart({"observed": 0.0, "null": [0.0] * 9}, "map_50")
    for drawn in (nothing, flat, controls, bars):
        assert drawn is not None and not re.search(r"(^| )-\d", texts(drawn))
        assert drawn is flat or not re.search(r"1\.\d*[1-9]", texts(drawn)), "the steps of a curve have no such end"


def test_the_null_is_bars_when_stored_and_quantiles_otherwise():
    stored = figures.null_chart({"observed": 0.9, "null": [0.4, 0.5, 0.6] * 20}, "frame_auroc")
    assert stored is not None and stored.count("<rect") == 30
    quantiles = figures.null_chart({"observed": 0.9, "null_quantiles": (0.4, 0.5, 0.6)}, "frame_auroc")
    assert quantiles is not None and "0.500 [0.400, 0.600]" in texts(quantiles)
    assert figures.null_chart({"observed": None, "null": [0.5]}, "frame_auroc") is None
    assert figures.null_chart({"observed": 0.9, "null_quantiles": None}, "frame_auroc") is None


def test_the_controls_need_a_control():
    results = {"metrics": {"frame_auroc": {"value": 0.9, "chance": 0.5}}}
    assert figures.controls_chart(record_of([], results=results)) is None
    values = {"steps": 9, "true": {"frame_auroc": 0.8}, "permuted": [{"frame_auroc": 0.5}, {"frame_auroc": None}]}
    probe = "permuted_label_retraining"
    made = Evidence(probe=probe, version=1, inputs_hash="", values=values, seconds=0.0)
    drawn = figures.controls_chart(record_of([], results=results, evidence={probe: made}))
    assert drawn is not None and "0.900" in texts(drawn) and "permuted labels" in texts(drawn)
    crashed = Evidence(probe=probe, version=1, inputs_hash="", values={}, seconds=0.0, status="crashed")
    assert figures.controls_chart(record_of([], results=results, evidence={probe: crashed})) is None


def test_a_whole_run_is_drawn(run):
    record = read_run(run.path)
    for drawn in (figures.loss_curves(record), figures.metric_curves(record), figures.controls_chart(record, "zh")):
        assert drawn is not None
        ET.fromstring(drawn)


def test_metric_names_are_spelled_as_people_write_them():
    assert figures.metric_words("frame_auroc") == "Frame AUROC"
    assert figures.metric_words("map_50") == "mAP 50" and figures.metric_words("recall") == "Recall"
    assert figures.metric_words("point_fpr95") == "Point FPR at 95 % TPR"
