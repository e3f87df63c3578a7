"""``veritrain train contrastive``: a small run on the command line, judged, resumed, and refused where it must be."""

from __future__ import annotations

import json

import pytest

from veritrain import cli

SMALL = (
    *("--imgsz", "32", "--width", "8", "--embed_dim", "16", "--text_width", "16", "--text_layers", "1"),
    *("--heads", "2", "--batch_size", "12", "--threads", "1", "--controls", "none", "--validate_every", "1"),
)


@pytest.fixture(scope="module")
def run(aerial_world, tmp_path_factory):
    """Read only."""
    folder = tmp_path_factory.mktemp("contrastive") / "run"
    words = ["train", "contrastive", "--data", str(aerial_world), "--run", str(folder), "--epochs", "1", *SMALL]
    assert cli.main([*words, "--leave_out", "[airport, dam]"]) == 0
    return folder


def test_a_run_without_controls_is_not_shown_and_says_what_is_lacking(run, capsys):
    assert cli.main(["audit", str(run), "--json", "--fail-on", "plausible"]) == 1
    verdict = json.loads(capsys.readouterr().out)
    assert verdict["verdict"] in ("not_shown", "plausible") and verdict["claim"]["metric"] == "text_to_image_r5"
    assert "permuted_retraining_fails" in {one["check"] for one in verdict["not_run"]}
    assert json.loads((run / "data.json").read_text())["left_out"]["train"]["airport"] > 0


def test_a_finished_run_can_be_scored_again(run, capsys):
    assert cli.main(["evaluate", str(run), "--scores_only"]) == 0
    again = json.loads(capsys.readouterr().out)["metrics"]
    stored = json.loads((run / "results.json").read_text())["metrics"]
    assert {name: one["value"] for name, one in again.items()} == {name: one["value"] for name, one in stored.items()}


def test_single_samples_have_no_answer(run, capsys):
    assert cli.main(["predict", str(run)]) == 64
    assert "no predictions of single samples" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--leave_out", "[airprot]"], 64, "did you mean 'airport'"),
        (["--batch_size", "1"], 64, "nothing to be told apart"),
        (["--data", "nowhere"], 65, "the data folder does not exist"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    aerial_world, tmp_path, capsys, words, code, told
):
    folder = tmp_path / "new"
    asked = ["train", "contrastive", "--data", str(aerial_world), "--run", str(folder), *SMALL, *words]
    assert cli.main(asked) == code
    assert told in capsys.readouterr().err and not folder.exists()
