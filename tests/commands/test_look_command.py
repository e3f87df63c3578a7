"""``veritrain evaluate`` and ``probe``: looking at a finished run again changes only what it says it changes."""

from __future__ import annotations

import json

import pytest

from veritrain import cli
from veritrain.record import read_run


def looks(folder):
    return [(look["split"], look["purpose"]) for look in read_run(folder.path).of("look")]


def test_evaluate_finds_the_same_scores(own_run, command):
    before = json.loads(own_run.results.read_text(encoding="utf-8"))
    done = command("evaluate", own_run.path, "--json")
    assert done.returncode == 0, done.stderr
    again = json.loads(done.stdout)
    for name, entry in before["metrics"].items():
        assert again["metrics"][name]["value"] == entry["value"], name
    stored = json.loads(own_run.results.read_text(encoding="utf-8"))
    assert stored["checkpoint"] == before["checkpoint"]
    assert looks(own_run)[-1] == ("test", "evaluation again")


def test_evaluate_prints_kinds_voxels_and_components_below_the_scores(own_run, capsys):
    assert cli.main(["evaluate", str(own_run.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for start in ("frame_auroc ", "object_point_ap ", "static ", "union ", "intersection ", "obstacle, scaled "):
        assert any(line.startswith(start) for line in lines), start
    page = json.loads(own_run.results.read_text(encoding="utf-8"))
    assert {"by_kind", "by_size", "voxels", "components"} <= set(page)


def test_scores_alone_are_those_of_the_run_and_write_nothing(own_run, capsys):
    before = {path: path.read_bytes() for path in own_run.path.rglob("*") if path.is_file()}
    assert cli.main(["evaluate", str(own_run.path), "--scores_only"]) == 0
    again = json.loads(capsys.readouterr().out)["metrics"]
    stored = json.loads(own_run.results.read_text())["metrics"]
    for name in ("frame_auroc", "point_ap"):
        assert again[name]["value"] == stored[name]["value"]
    assert before == {path: path.read_bytes() for path in own_run.path.rglob("*") if path.is_file()}


def test_probe_makes_the_evidence_it_is_asked_for(own_run, capsys):
    assert not own_run.evidence.exists()
    assert cli.main(["probe", str(own_run.path), "labels_read_twice", "loss_under_flipped_labels"]) == 0
    capsys.readouterr()
    record = read_run(own_run.path)
    assert set(record.evidence) == {"labels_read_twice", "loss_under_flipped_labels"}
    assert {one.inputs_hash for one in record.evidence.values()} == {record.basis()}
    ran = {item["check"]: item["status"] for item in json.loads(own_run.verdict.read_text())["findings"]}
    assert ran["labels_deterministic"] == ran["loss_reads_labels"] == "pass"
    assert ("test", "controls") in looks(own_run)


def test_an_unknown_probe_is_named_before_anything_is_loaded(own_run, capsys):
    assert cli.main(["probe", str(own_run.path), "labels_read_twise"]) == 64
    assert "did you mean 'labels_read_twice'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["evaluate", "predict", "probe"])
def test_a_folder_that_is_no_run_is_refused(name, tmp_path, capsys):
    assert cli.main([name, str(tmp_path / "nothing")]) == 66
    assert "nothing" in capsys.readouterr().err and not (tmp_path / "nothing").exists()


def test_data_that_changed_since_the_run_are_refused(own_run, capsys):
    stored = json.loads(own_run.data.read_text(encoding="utf-8"))
    own_run.data.write_text(json.dumps({**stored, "split_sha256": "0" * 64}), encoding="utf-8")
    assert cli.main(["evaluate", str(own_run.path)]) == 66
    assert "the data set changed since this run" in capsys.readouterr().err


def test_weights_that_changed_since_the_run_are_refused(own_run, capsys):
    for path in own_run.checkpoints.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-8] + b"damaged!")
    assert cli.main(["evaluate", str(own_run.path)]) == 66
    assert "CheckpointError" in capsys.readouterr().err
