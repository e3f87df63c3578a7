"""``veritrain list models``: names, tasks and parameters that are those of real networks."""

from __future__ import annotations

import json

from veritrain import catalog, cli
from veritrain.models.fusion import FusionDetector
from veritrain.models.options import FusionOptions

ORDER = [1_146_497, 792_321, 14_110_849, 12_566_401, 5_491_393, 4_824_193, 339_521, 5_098_178, 1_377_633]
TASKS = {"yolo": "joint", "clip-": "openvocab", "openvocab-": "openvocab", "small-clip": "contrastive"}
CLIPS = {"clip-rn50": 102_007_137, "clip-vit-b-32": 151_277_313, "clip-vit-l-14": 427_616_513}


def test_the_json_has_the_words_of_the_interface(capsys):
    assert cli.main(["list", "models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert all(set(row) == {"name", "task", "parameters", "trainable"} for row in rows)
    assert [row["name"] for row in rows] == list(catalog.MODELS) and rows[0]["name"] == "fusion"
    assert [row["parameters"] for row in rows if row["name"].startswith("report")] == ORDER
    trainable = {row["name"]: row["trainable"] for row in rows}
    assert trainable["report001-focal"] == 2_934_337 and trainable["report001-voxelwise"] == 1_389_889
    assert {row["name"]: row["task"] for row in rows} == {
        name: next((task for start, task in TASKS.items() if name.startswith(start)), "anomaly")
        for name in catalog.MODELS
    }


def test_the_yolos_have_the_originals_counts(capsys):
    assert cli.main(["list", "models", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["yolov5s-nc80"] == {
        "name": "yolov5s-nc80", "task": "joint", "parameters": 7_235_389, "trainable": 7_235_389,
    }  # fmt: skip
    assert rows["yolov5s-nc4-view"]["parameters"] - rows["yolov5s-nc4"]["parameters"] == 387


def test_the_clips_have_open_clips_counts(capsys):
    assert cli.main(["list", "models", "--json"]) == 0
    rows = {row["name"]: row["parameters"] for row in json.loads(capsys.readouterr().out)}
    assert {name: rows[name] for name in CLIPS} == CLIPS


def test_counting_without_memory_counts_the_same(capsys):
    assert cli.main(["list", "models", "--json"]) == 0
    (row,) = (row for row in json.loads(capsys.readouterr().out) if row["name"] == "fusion")
    assert row["parameters"] == sum(p.numel() for p in FusionDetector(FusionOptions()).parameters())


def test_the_table_has_a_line_for_each(capsys):
    assert cli.main(["list", "models"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "task", "parameters", "trainable"]
    assert [line.split()[0] for line in lines] == list(catalog.MODELS)
    assert "report001-focal         anomaly     14,110,849   2,934,337" in lines
