"""One small real run, from a folder of frames to results that a fresh reader finds again."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from veritrain import config
from veritrain.errors import CheckpointError, RecordError, UsageError, VeritrainError
from veritrain.experiments.anomaly import EXPERIMENT as anomaly
from veritrain.experiments.run_folder import probes_of
from veritrain.record import RecordWriter, RunFolder, read_run
from veritrain.tasks.anomaly import LEVELS, flip_labels
from veritrain.tasks.options import AnomalyRecipe
from veritrain.training import checkpoint as checkpoints
from veritrain.training.evaluate import predict_set
from veritrain.training.options import FREE_TO_CHANGE

METRICS = {
    f"{level}_{metric}" for level in (*LEVELS, "object_point", "object_pixel") for metric in ("auroc", "ap", "fpr95")
}


@pytest.fixture(scope="module")
def recipe(small_world, tmp_path_factory) -> AnomalyRecipe:
    cache = str(tmp_path_factory.mktemp("decoded"))
    return AnomalyRecipe(
        data=str(small_world), cache=cache, epochs=1, controls="none", threads=1, width=8, seed=2, batch_size=6
    )


@pytest.fixture(scope="module")
def finished(recipe, tmp_path_factory):
    """(the run folder, how often the caller was told that an epoch ended); read only."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "small")
    told = []
    anomaly.run(recipe, folder, after_epoch=lambda: told.append(1))
    return folder, len(told)


@pytest.fixture(scope="module")
def folder(finished) -> RunFolder:
    return finished[0]


@pytest.fixture(scope="module")
def reopened(folder):
    return anomaly.reopen(folder)


@pytest.fixture
def copy(folder, tmp_path) -> RunFolder:
    shutil.copytree(folder.path, tmp_path / "copy")
    return RunFolder(tmp_path / "copy")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def point_at(folder: RunFolder, **changes) -> None:
    """Change keys of the stored recipe."""
    stored = yaml.safe_load(folder.recipe.read_text(encoding="utf-8"))
    folder.recipe.write_text(yaml.safe_dump({**stored, **changes}), encoding="utf-8")


def test_the_folder_holds_the_files_of_the_design(finished):
    folder, told = finished
    for name in ("recipe", "record", "metrics_csv", "train_log", "data", "results", "environment"):
        assert getattr(folder, name).stat().st_size > 0, name
    assert (folder.predictions / "test_frames.csv").is_file() and (folder.predictions / "test.npz").is_file()
    assert checkpoints.best(folder).path.is_dir()
    assert not list(folder.path.rglob("*.part"))
    assert told == 1


def test_results_have_every_metric_with_what_belongs_to_it(folder):
    results = read(folder.results)
    assert results["schema"] == 1 and results["task"] == "anomaly" and results["made_data"] is True
    assert set(results["metrics"]) == METRICS
    assert {"frame_auroc", "frame_ap", "point_auroc", "point_ap", "point_fpr95"} <= METRICS
    for entry in results["metrics"].values():
        assert {"value", "ci95", "n", "groups", "chance", "baseline"} <= set(entry)
        low, high = entry["ci95"]
        assert 0 <= low <= entry["value"] <= high <= 1 and 0 < entry["chance"] < 1
        assert entry["groups"] == 4 and not entry["reliable"], "below 10 groups"
        assert 0 < entry["positives"] < entry["n"]
    assert results["latency_ms"] > 0 and results["parameters"] == results["trainable"] > 5000
    assert results["size_mb"] == pytest.approx(4e-6 * results["parameters"])


def test_a_metric_stands_beside_the_best_of_three_trivial_baselines(folder):
    entries = read(folder.results)["metrics"]
    assert {entry["baseline_name"] for entry in entries.values()} <= {"prior", "position map", "range"}
    for name, entry in entries.items():
        assert set(entry["baselines"]) == {"prior", "position map", "range"}
        pick = min if name.endswith("fpr95") else max
        assert entry["baseline"] == pick(entry["baselines"].values()) == entry["baselines"][entry["baseline_name"]]
    assert all(entry["baseline"] >= 0.5 for name, entry in entries.items() if name.endswith("auroc"))


def test_the_threshold_is_chosen_on_validation_and_applied_to_test(folder, reopened):
    results, (prepared, model) = read(folder.results), reopened
    assert results["selection"]["split"] == "val"
    validation = prepared.task.score(predict_set(prepared.task, model, prepared.data.sets["val"]))
    for name, entry in results["selection"]["metrics"].items():
        assert entry["value"] == pytest.approx(validation[name], abs=1e-6)
    confusion = results["confusion"]
    assert confusion["threshold"] == results["selection"]["threshold"] and confusion["split"] == "test"
    counts = [value for value in confusion.values() if isinstance(value, int)]
    assert sum(counts) == results["metrics"]["frame_auroc"]["n"] == 16


def test_no_name_of_a_scenario_leaves_the_run_folder(folder, reopened):
    names = {key.group for keys in reopened[0].data.keys.values() for key in keys}
    for path in (folder.results, folder.data, folder.predictions / "test_frames.csv"):
        text = path.read_text(encoding="utf-8")
        if path == folder.data:
            text = json.dumps({**read(path), "dropped": []})
        assert not any(name in text or name.rpartition("/")[2] in text for name in names), path.name


def test_splits_are_disjoint_in_the_stored_card(folder):
    splits = read(folder.data)["splits"]
    for what in ("groups", "contents"):
        everything = [one for part in splits.values() for one in part[what]]
        assert len(everything) == len(set(everything))


def test_the_record_tells_of_every_look_at_test(folder):
    record = read_run(folder.path)
    looks = [(look["split"], look["purpose"]) for look in record.of("look")]
    assert ("test", "final evaluation") in looks
    assert sum(split == "test" for split, _ in looks) == 1, "no controls, one look"
    assert record.events[0]["event"] == "start" and record.events[-1]["event"] == "end"
    assert {row.name for row in record.rows if row.split == "test"} >= METRICS
    assert {event["name"] for event in record.of("term")} >= set(LEVELS)


def test_stored_predictions_are_those_that_were_scored(folder, reopened):
    results, (prepared, _) = read(folder.results), reopened
    with (folder.predictions / "test_frames.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 16 and len({row["group"] for row in rows}) == 4
    labels, scores = ([kind(row[key]) for row in rows] for key, kind in (("label", int), ("score", float)))
    found = prepared.task.score({"frame_labels": np.array(labels), "frame_scores": np.array(scores)})
    assert found["frame_auroc"] == pytest.approx(results["metrics"]["frame_auroc"]["value"], abs=1e-3)
    with np.load(folder.predictions / "test.npz", allow_pickle=False) as stored:
        again = prepared.task.score({key: stored[key] for key in stored.files})
    assert again["point_ap"] == pytest.approx(results["metrics"]["point_ap"]["value"], abs=1e-6)


def test_a_reopened_run_gives_the_same_scores(folder, reopened):
    stored, found = read(folder.results)["metrics"], anomaly.plain_scores(*reopened)["metrics"]
    assert set(found) == METRICS
    for name, entry in found.items():
        assert entry["value"] == pytest.approx(stored[name]["value"], abs=1e-9)


def test_it_is_the_best_checkpoint_that_is_reopened(folder, reopened):
    best = checkpoints.best(folder)
    assert read(folder.results)["checkpoint"]["sha256"] == best.weights_sha256
    weights = best.weights()
    assert all(torch.equal(value, weights[name]) for name, value in reopened[1].state_dict().items())


def test_data_that_moved_are_the_same_data(copy, folder, small_world, tmp_path):
    shutil.copytree(small_world, tmp_path / "moved")
    point_at(copy, data=str(tmp_path / "moved"))
    found = anomaly.plain_scores(*anomaly.reopen(copy))["metrics"]
    assert found["point_ap"]["value"] == pytest.approx(read(folder.results)["metrics"]["point_ap"]["value"], abs=1e-9)


def test_a_data_set_that_lost_a_frame_is_refused(copy, small_world, tmp_path):
    shutil.copytree(small_world, tmp_path / "changed")
    images = sorted((tmp_path / "changed").rglob("RGB-CAM*.png"))
    images[-1].unlink()
    point_at(copy, data=str(tmp_path / "changed"))
    with pytest.raises(RecordError, match="data set changed") as caught:
        anomaly.reopen(copy)
    assert caught.value.file == str(copy.data) and caught.value.fix


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(VeritrainError):
        anomaly.reopen(RunFolder(tmp_path))


def test_a_finished_run_is_not_overwritten(folder, recipe):
    before = folder.results.read_bytes(), folder.recipe.read_bytes()
    with pytest.raises(UsageError, match="this run exists"):
        anomaly.run(replace(recipe, seed=3), folder)
    assert (folder.results.read_bytes(), folder.recipe.read_bytes()) == before


def test_the_recipe_runs_the_run_again(folder, recipe, tmp_path):
    """The stored recipe alone gives the same weights and the same scores."""
    again = RunFolder(tmp_path / "again")
    anomaly.run(config.load(AnomalyRecipe, folder.recipe), again)
    assert checkpoints.best(again).weights_sha256 == checkpoints.best(folder).weights_sha256
    for name, entry in read(again.results)["metrics"].items():
        assert entry == read(folder.results)["metrics"][name]


def test_a_run_in_float16_with_a_moving_average_is_scored_by_its_average(recipe, tmp_path):
    """What is reopened, by a fresh process too, is what was scored; training went on from other weights."""
    folder = RunFolder(tmp_path / "half")
    anomaly.run(replace(recipe, precision="16-mixed", channels_last=True, ema_decay=0.9), folder)
    stored, best = read(folder.results), checkpoints.best(folder)
    assert stored["checkpoint"]["sha256"] == best.weights_sha256 == read_run(folder.path).checkpoint_sha256
    prepared, model = anomaly.reopen(folder)
    for name, entry in anomaly.plain_scores(prepared, model)["metrics"].items():
        assert entry["value"] == pytest.approx(stored["metrics"][name]["value"], abs=1e-9)
    for name, entry in stored["selection"]["metrics"].items():
        seen = [row.value for row in read_run(folder.path).rows if (row.name, row.split) == (name, "val")]
        assert entry["value"] == pytest.approx(seen[0], abs=1e-3), "the average is what validation saw"
    raw = checkpoints.load_file(best.path / checkpoints.RAW)
    assert any(not torch.equal(raw[name], value) for name, value in best.weights().items())
    assert {"loss_scale", "average"} <= best.state.keys()
    with pytest.raises(CheckpointError, match="ema_decay"):
        anomaly.run(replace(recipe, precision="16-mixed", channels_last=True), folder, resume=True)


def test_every_loop_option_of_the_recipe_reaches_the_loop(recipe):
    chosen = {"precision": "16-mixed", "channels_last": True, "compile": "max-autotune", "ema_decay": 0.5}
    options = anomaly.loop_options(replace(recipe, **chosen))
    assert {name: getattr(options, name) for name in chosen} == chosen
    assert not set(chosen) & {*anomaly.FREE_ON_RESUME, *FREE_TO_CHANGE}, "they decide what is computed"


def test_pos_weights_are_negatives_over_positives_of_the_training_split(reopened):
    prepared, _ = reopened
    train = prepared.data.sets["train"]
    labels = np.array([frame.frame_label for frame in train.frames])
    assert prepared.task.pos_weights["frame"] == pytest.approx((labels == 0).sum() / (labels == 1).sum())
    assert prepared.task.pos_weights["pixel"] == prepared.recipe.most_pos_weight == 20.0


@pytest.mark.parametrize("fusion", ["points_only", "image_only"])
def test_one_sensor_alone_has_a_task_of_its_own(recipe, fusion):
    prepared = anomaly.prepare(replace(recipe, fusion=fusion, pixel_weight=0.5))
    assert prepared.task.term_weights.get("pixel") == (None if fusion == "points_only" else 0.5)
    assert prepared.task.model().inputs == {"points_only": ("points",), "image_only": ("image",)}[fusion]


def test_probes_can_be_made_later(copy, reopened):
    prepared, model = reopened
    predictions = predict_set(prepared.task, model, prepared.data.sets["test"])
    with RecordWriter(copy) as writer:
        names = ("labels_read_twice", "metric_on_known_answers")
        anomaly.make_evidence(prepared, model, predictions, copy, writer, names=names)
        anomaly.make_evidence(prepared, model, predictions, copy, writer, names=())
    record = read_run(copy.path)
    assert set(record.evidence) == set(names)
    assert all(one.status == "done" and one.inputs_hash == record.basis() for one in record.evidence.values())
    assert [look["purpose"] for look in record.of("look")].count("controls") == 1


@pytest.mark.parametrize(("controls", "some"), [("none", False), ("quick", True), ("full", True)])
def test_controls_decide_which_probes_run(controls, some):
    assert bool(probes_of(controls)) == some


def test_exchanged_labels_leave_the_unknown_alone(reopened):
    train = reopened[0].data.sets["train"]
    batch = train.collate([train.sample(index, epoch=0, seed=0) for index in range(3)])
    flipped = flip_labels(batch)
    for key in LEVELS.values():
        known = batch[key] >= 0
        assert torch.equal(flipped[key][known], 1 - batch[key][known])
        assert torch.equal(flipped[key][~known], batch[key][~known])
        assert torch.equal(flip_labels(flipped)[key], batch[key])
    assert flipped["image"] is batch["image"]


def test_what_may_change_on_resume_does_not_change_the_fingerprint(recipe):
    same = replace(recipe, epochs=9, workers=2, controls="full", data="elsewhere", patience=3)
    assert anomaly.fingerprint(same) == anomaly.fingerprint(recipe)
    for change in ({"seed": 9}, {"loss": "focal"}, {"labels": "permuted"}, {"width": 16}):
        assert anomaly.fingerprint(replace(recipe, **change)) != anomaly.fingerprint(recipe)


def test_the_environment_names_packages_and_no_person(folder):
    found = read(folder.environment)
    assert found["packages"]["torch"] and found["python"] and found["threads"] == 1
    assert not {"user", "host", "hostname"} & set(found)
    assert math.isfinite(found["processors"])


def test_a_refused_resume_leaves_the_run_as_it_was(folder, recipe):
    before = folder.recipe.read_bytes(), folder.data.read_bytes(), folder.record.read_bytes()
    with pytest.raises(CheckpointError, match="the recipe changed") as caught:
        anomaly.run(replace(recipe, width=recipe.width + 8), folder, resume=True)
    assert "width" in str(caught.value)
    assert before == (folder.recipe.read_bytes(), folder.data.read_bytes(), folder.record.read_bytes())


def test_other_pictures_under_the_same_names_are_other_data(copy, small_world, tmp_path):
    shutil.copytree(small_world, tmp_path / "changed")
    for path in (tmp_path / "changed").rglob("RGB-CAM*.png"):
        inverted = 255 - np.asarray(Image.open(path))
        Image.fromarray(inverted).save(path)
    point_at(copy, data=str(tmp_path / "changed"))
    with pytest.raises(RecordError, match="data set changed"):
        anomaly.reopen(copy)
