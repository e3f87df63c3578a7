"""``veritrain train`` and ``resume``: one small real run, one that goes on, and every way to be refused."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import save_file

from veritrain import catalog, cli, config
from veritrain.commands.ended import nothing_left
from veritrain.commands.train import _dropped_loggers
from veritrain.record import RecordWriter, read_run
from veritrain.tasks.options import AnomalyRecipe
from veritrain.worlds.driving import DrivingWorld
from veritrain.worlds.options import DrivingOptions

NAMES = {"frame_auroc", "frame_ap", "point_auroc", "point_ap", "point_fpr95"}


@pytest.fixture(scope="module")
def run(trained):
    done, folder = trained
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_ends_with_a_verdict_and_a_report(trained, run):
    done, _ = trained
    assert "NOT SHOWN" in done.stdout or "REFUTED" in done.stdout, "4 groups and no controls cannot show anything"
    assert f"report: {run.report}" in done.stderr
    files = (
        "recipe",
        "record",
        "metrics_csv",
        "train_log",
        "data",
        "results",
        "verdict",
        "report",
        "card",
        "environment",
    )
    for name in files:
        assert getattr(run, name).stat().st_size > 0, name
    assert list(run.checkpoints.iterdir()) and (run.predictions / "test_frames.csv").is_file()


def test_its_results_have_the_words_of_the_interface(run):
    results = json.loads(run.results.read_text(encoding="utf-8"))
    assert results["schema"] == 1 and set(results["metrics"]) >= NAMES
    for entry in results["metrics"].values():
        assert {"value", "ci95", "n", "groups", "chance", "baseline"} <= set(entry)
        assert entry["value"] is None or math.isfinite(entry["value"])


def test_its_verdict_is_what_an_audit_says(run, capsys):
    assert cli.main(["audit", str(run.path), "--json", "--fail-on", "refuted"]) in (0, 1)
    assert json.loads(capsys.readouterr().out) == json.loads(run.verdict.read_text(encoding="utf-8"))


def test_without_controls_nothing_is_shown(run):
    verdict = json.loads(run.verdict.read_text(encoding="utf-8"))
    idle = {item["check"] for item in verdict["not_run"]}
    assert {"loss_reads_labels", "beats_permuted_labels", "permuted_retraining_fails", "inputs_matter"} <= idle
    assert verdict["verdict"] != "shown"


def test_its_recipe_is_full_and_is_what_was_asked_for(run, small_world):
    recipe = config.load(AnomalyRecipe, run.recipe)
    assert recipe == AnomalyRecipe(data=str(small_world), seed=1, epochs=1, controls="none", threads=1, width=8)
    assert set(yaml.safe_load(run.recipe.read_text(encoding="utf-8"))) == config.names_of(AnomalyRecipe)


def test_its_record_tells_the_whole_story(run):
    record = read_run(run.path)
    assert record.task == "anomaly" and [claim.metric for claim in record.claims] == ["frame_auroc", "point_ap"]
    assert record.events[0]["event"] == "start" and record.events[-1]["event"] == "end"
    looks = [(look["split"], look["purpose"]) for look in record.of("look")]
    assert ("test", "final evaluation") in looks and ("test", "selection") not in looks
    assert not record.of("nonfinite") and record.torn_line is None


def test_the_numbers_of_the_table_are_those_of_the_record(run):
    with run.metrics_csv.open(newline="", encoding="utf-8") as file:
        rows = [(row["name"], row["split"], row["value"]) for row in csv.DictReader(file)]
    told = [(line["name"], line["split"], line["value"]) for line in read_run(run.path).of("metric")]
    assert rows == [(name, split, "" if value is None else str(value)) for name, split, value in told]


def test_no_name_of_user_or_machine_is_kept(run):
    import getpass
    import socket

    text = run.environment.read_text(encoding="utf-8")
    assert socket.gethostname() not in text and f'"{getpass.getuser()}"' not in text


def test_resume_of_a_finished_run_adds_epochs(own_run, command, small_world):
    words = ["--epochs", "+1", "--resume", "--seed", "1", "--controls", "none", "--threads", "1", "--width", "8"]
    before = read_run(own_run.path)
    done = command("train", "anomaly", "--data", small_world, "--run", own_run.path, *words)
    assert done.returncode == 0, done.stderr
    record = read_run(own_run.path)
    assert config.load(AnomalyRecipe, own_run.recipe).epochs == 2
    assert {look["epoch"] for look in record.of("look") if look["purpose"] == "selection"} == {1, 2}
    terms = [line["step"] for line in record.of("term")]
    first = {line["step"]: line["value"] for line in before.of("term") if line["name"] == "frame"}
    kept = {line["step"]: line["value"] for line in record.of("term") if line["name"] == "frame"}
    assert max(terms) > max(first) and {step: kept[step] for step in first} == first


def words_of(run, *more: str) -> list[str]:
    return ["train", "anomaly", "--config", str(run.recipe), "--run", str(run.path), "--resume", *more]


def test_a_run_that_has_ended_is_not_made_again(own_run, capsys):
    before = {path: path.read_bytes() for path in own_run.path.rglob("*") if path.is_file()}
    for words in (["resume", str(own_run.path)], words_of(own_run), words_of(own_run, "--workers", "1")):
        assert cli.main(words) == 0
        told = capsys.readouterr()
        assert "this run has ended (1 whole epochs" in told.out and "--resume --epochs N with N above 1" in told.out
        assert not told.err
    assert before == {path: path.read_bytes() for path in own_run.path.rglob("*") if path.is_file()}


def recipe_of(run, **changes) -> AnomalyRecipe:
    return replace(config.load(AnomalyRecipe, run.recipe), **changes)


def left(run, recipe) -> bool:
    return nothing_left("anomaly", recipe, run) is None


@pytest.mark.parametrize(
    "changes",
    [{"epochs": 2}, {"controls": "quick"}, {"control_steps": 5}, {"width": 16}, {"data": "elsewhere"}],
    ids=lambda changes: next(iter(changes)),
)
def test_what_asks_for_more_goes_on(own_run, changes):
    assert not left(own_run, recipe_of(own_run)) and left(own_run, recipe_of(own_run, **changes))


@pytest.mark.parametrize("gone", ["results", "verdict", "checkpoints"])
def test_a_run_that_lacks_something_goes_on(own_run, gone):
    place = getattr(own_run, gone)
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert left(own_run, recipe_of(own_run))


def test_a_run_whose_controls_were_interrupted_goes_on(own_run):
    lines = own_run.record.read_text(encoding="utf-8").splitlines()
    ended = [line for line in lines if json.loads(line)["event"] != "end"]
    assert len(ended) == len(lines) - 1
    own_run.record.write_text("\n".join(ended) + "\n", encoding="utf-8")
    assert left(own_run, recipe_of(own_run)), "results and verdict may be those of an earlier end"


def stopped(run, reason: str, **changes) -> AnomalyRecipe:
    """The run as one that stopped for another reason, of 9 epochs that were asked for."""
    lines = [json.loads(line) for line in run.record.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        if line["event"] == "stop":
            line["reason"] = line["summary"]["stop_reason"] = reason
    run.record.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    recipe = recipe_of(run, epochs=9, **changes)
    config.dump(recipe, run.recipe)
    return recipe


def test_a_run_that_its_time_ended_needs_more_time_and_not_more_epochs(own_run):
    recipe = stopped(own_run, "time", max_seconds=20.0)
    told = nothing_left("anomaly", replace(recipe, epochs=99), own_run)
    assert told is not None and "--max_seconds S with S above 20" in told and "--epochs" not in told
    assert left(own_run, replace(recipe, max_seconds=40.0)) and left(own_run, replace(recipe, max_seconds=0.0))


def test_a_run_that_its_patience_ended_needs_more_of_it(own_run):
    recipe = stopped(own_run, "patience", patience=2)
    told = nothing_left("anomaly", replace(recipe, epochs=99), own_run)
    assert told is not None and "--patience P with P above 2" in told
    assert left(own_run, replace(recipe, patience=3)) and left(own_run, replace(recipe, patience=0))


def test_the_help_says_what_comes_after_the_training(capsys):
    with pytest.raises(SystemExit):
        train("--help")
    told = " ".join(capsys.readouterr().out.split())
    assert "the controls after it take longer (432 control steps a retraining), --controls none leaves them out" in told
    assert "--controls none leaves them out; nothing is then shown to be learned" in told


# --- refused ------------------------------------------------------------------------------------------------------


def train(*words: object) -> int:
    return cli.main(["train", "anomaly", *map(str, words)])


def test_an_existing_run_is_never_written_over(own_run, small_world, capsys):
    before = {path: path.read_bytes() for path in own_run.path.rglob("*") if path.is_file() and path.name != ".lock"}
    assert train("--data", small_world, "--run", own_run.path) == 64
    assert "this run exists" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in before}


def test_a_run_in_use_exits_5(own_run, small_world, command):
    with RecordWriter(own_run):
        done = command("train", "anomaly", "--data", small_world, "--run", own_run.path, "--resume")
    assert done.returncode == 5 and "RunInUseError" in done.stderr and "choose another --run" in done.stderr


def test_an_unknown_option_is_named_and_makes_no_folder(tmp_path, capsys):
    assert train("--data", "x", "--run", tmp_path / "r", "--learning-rat", "1") == 64
    assert "did you mean '--learning_rate'?" in capsys.readouterr().err and not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    "bad", [["--fusion", "attn"], ["--epochs", "x"], ["--labels", "random"], ["--controls", "some"]]
)
def test_an_impossible_value_is_named_and_makes_no_folder(tmp_path, bad, capsys):
    assert train("--data", "x", "--run", tmp_path / "r", *bad) == 64
    assert bad[1] in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_a_missing_data_folder_is_a_data_error(tmp_path, capsys):
    assert train("--data", tmp_path / "nothing", "--run", tmp_path / "r") == 65
    text = capsys.readouterr().err
    assert str(tmp_path / "nothing") in text and "do:" in text
    assert not list(tmp_path.iterdir()), "the run folder that was made for it goes again"


def test_a_run_folder_with_a_made_up_name_goes_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert train("--data", "nothing") == 65
    assert not list(tmp_path.iterdir()) and "nothing" in capsys.readouterr().err
    (tmp_path / "runs").mkdir()
    assert train("--data", "nothing") == 65
    assert [path.name for path in tmp_path.iterdir()] == ["runs"] and not list((tmp_path / "runs").iterdir())


def test_a_folder_that_was_there_before_stays(tmp_path, capsys):
    (tmp_path / "r").mkdir()
    assert train("--data", tmp_path / "nothing", "--run", tmp_path / "r") == 65
    assert (tmp_path / "r").is_dir() and capsys.readouterr().err


def test_a_split_of_one_class_is_refused_before_training(tmp_path, capsys):
    options = DrivingOptions(scenarios=2, frames=2, height=32, width=48, seed=1, broken=0)
    DrivingWorld(options).write(tmp_path / "world")
    assert train("--data", tmp_path / "world", "--run", tmp_path / "r") == 65
    assert "SplitError" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_weight_file_that_does_not_fit_is_refused_before_a_run_begins(small_world, tmp_path, capsys):
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "other.safetensors")
    words = ["--image_tower", "resnet18", "--image_weights", tmp_path / "other.safetensors", "--threads", "1"]
    assert train("--data", small_world, "--run", tmp_path / "r", *words) == 66
    assert "99 missing: bn1.weight" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--unfreeze", '["3:image_encodr"]'], "unfreeze: no parameter starts with 'image_encodr'"),
        (["--unfreeze", '["image_encoder"]'], "unfreeze: no epoch and name"),
        (["--accumulate", "0"], "accumulate"),
        (["--ema_decay", "1.5"], "ema_decay"),
        (["--batch_size", "0"], "batch_size"),
    ],
)
def test_what_the_loop_cannot_do_is_refused_before_a_run_begins(small_world, tmp_path, words, said, capsys):
    assert train("--data", small_world, "--run", tmp_path / "r", "--threads", "1", *words) == 64
    assert said in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_more_epochs_need_a_run_to_extend(tmp_path, capsys):
    assert train("--data", "x", "--run", tmp_path / "r", "--epochs", "+3") == 64
    assert "--resume" in capsys.readouterr().err and not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["resume"], 66, "not a run folder"),
        (["train", "anomaly", "--data", "x", "--resume", "--epochs", "+1", "--run"], 66, "not a run folder"),
    ],
)
def test_what_is_no_run_cannot_be_resumed(tmp_path, words, code, said, capsys):
    assert cli.main([*words, str(tmp_path / "nothing")]) == code
    assert said in capsys.readouterr().err and not (tmp_path / "nothing").exists()


def test_quick_says_in_words_what_it_sets(capsys):
    with pytest.raises(SystemExit):
        train("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert (
        "a short training: sets epochs 8, batch_size 4, learning_rate 0.004, warmup_steps 10," in text
        and "{'epochs'" not in text
    )


def test_a_logger_that_was_dropped_is_told_at_the_end(own_run):
    with RecordWriter(own_run) as writer:
        writer.event("note", kind="logger", name="mlflow", text="of an earlier segment")
        writer.event("start", task="anomaly", claims=[], resumed=True, version="0")
        writer.event("note", kind="storage", text="another note")
        writer.event("note", kind="logger", name="mlflow", text="the logger mlflow stopped: OSError")
    assert _dropped_loggers(read_run(own_run.path)) == ["the logger mlflow stopped: OSError"]


def test_the_tasks_are_named_in_the_help(capsys):
    assert cli.main(["train"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in catalog.TASKS)
