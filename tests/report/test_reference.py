"""A method that saw no labels, on the terminal and on the page: beside the run, and never among its baselines."""

from __future__ import annotations

import json

from report.markup import parse
from veritrain.report.page import write_report
from veritrain.report.reference import metrics_text, reference_text


def test_the_terminal_names_its_features_its_scores_and_its_kinds(run):
    results = json.loads(run.results.read_text(encoding="utf-8"))
    text = reference_text(results)
    assert "a method that saw no labels" in text
    assert "image bank: 2,000 of 50,000 patches" in text and "features random" in text and "none trains" in text
    assert "48 frames of 4 normality scenarios; scale from 24 held-out frames of 2 more" in text
    lines = text.splitlines()
    assert any(line.startswith("frame_auroc") and "0.7654" in line and "[0.654, 0.843]" in line for line in lines)
    assert any(line.startswith("frame_auroc") and "0.1111" in line and "[0.012, 0.234]" in line for line in lines)
    assert any(line.startswith("point_fpr95") and line.count("undefined") == 2 for line in lines)
    assert any(line.startswith("static") and "0.710 [0.600, 0.800]" in line for line in lines)
    alone = {"memory bank": {**results["reference"]["memory bank"], "model_gain": None}}
    assert "the network over it" in text and "the network over it" not in reference_text({"reference": alone})


def test_without_one_nothing_is_said():
    assert reference_text({}) == reference_text({"reference": None}) == ""


def test_a_runs_own_table_has_a_line_per_metric(run):
    results = json.loads(run.results.read_text(encoding="utf-8"))
    assert len(metrics_text(results).splitlines()) == 1 + len(results["metrics"])


def test_columns_stay_under_their_heads_however_long_a_name_is():
    nothing = {"value": None, "ci95": [None, None], "chance": None, "baseline": None, "n": 12, "groups": 3}
    long = "view_accuracy_of_apical_four_chamber_without_any_label"
    head, first, second = metrics_text({"metrics": {"ap": {**nothing, "value": 0.5}, long: nothing}}).splitlines()
    assert len(head) == len(first) == len(second)
    assert second.split() == [long, *["undefined"] * 4, "12", "3"]
    for word in ("value", "chance", "baseline", "n", "groups"):
        ends = head.index(f" {word}") + 1 + len(word)
        assert all(line[ends - 1] != " " and line[ends : ends + 1] in ("", " ") for line in (first, second)), word


def test_the_page_has_a_section_of_its_own(run):
    page = parse(write_report(run).read_text(encoding="utf-8"))
    section = next(node for node in page.walk() if node.attributes.get("aria-labelledby") == "reference")
    text = section.text()
    assert "no labels" in text and "0.765" in text and "0.877" in text and "0.111" in text and "random" in text
    metrics = next(node for node in page.walk() if node.attributes.get("aria-labelledby") == "metrics")
    assert "memory bank" not in metrics.text()


def test_a_page_without_one_has_no_such_section(run, tmp_path):
    import shutil

    from veritrain.record import RunFolder, write_json

    shutil.copytree(run.path, tmp_path / "copy")
    folder = RunFolder(tmp_path / "copy")
    results = json.loads(folder.results.read_text(encoding="utf-8"))
    write_json(folder.results, {**results, "reference": None})
    page = parse(write_report(folder).read_text(encoding="utf-8"))
    assert not [node for node in page.walk() if node.attributes.get("aria-labelledby") == "reference"]
