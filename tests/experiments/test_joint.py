"""One small real run on made echocardiograms, from label files to results that a fresh reader finds again."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from tiny_echo import tiny_recipe
from veritrain import config
from veritrain.audit.verdict import as_json, judge_all
from veritrain.data.view_rule import ViewRule
from veritrain.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    RecordError,
    UnconnectedTaskError,
    UsageError,
)
from veritrain.experiments.echo_data import TrivialAnswers
from veritrain.experiments.joint import EXPERIMENT as joint
from veritrain.models.options import YoloOptions
from veritrain.models.yolo import Yolo
from veritrain.record import RecordWriter, RunFolder, read_run, sha256_of
from veritrain.report.publish import publish
from veritrain.tasks.joint import flip_labels
from veritrain.tasks.options import JointRecipe
from veritrain.training import checkpoint as checkpoints
from veritrain.training.evaluate import predict_set

ROOT = Path(__file__).resolve().parents[2]
BOX_METRICS = {"map", "map_50", "precision", "recall", "f1"}
VIEW_METRICS = {"view_accuracy", "view_macro_f1", "view_balanced_accuracy", "view_accuracy_given_valve"}


@pytest.fixture(scope="module")
def recipe(small_echo) -> JointRecipe:
    return tiny_recipe(small_echo, seed=2)


@pytest.fixture(scope="module")
def unread() -> list[str]:
    """Keys of the recipe that nothing had read when the run of ``finished`` ended."""
    return []


@pytest.fixture(scope="module")
def finished(recipe, unread, tmp_path_factory):
    """(the run folder, how often the caller was told that an epoch ended); read only."""
    folder = RunFolder(tmp_path_factory.mktemp("joint") / "small")
    told = []
    refuse = config.Tracked.refuse_unread

    def look(tracked, *, excused=frozenset()):
        names = config.names_of(JointRecipe)
        unread.extend(sorted(names - object.__getattribute__(tracked, "_read") - excused))
        refuse(tracked, excused=excused)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(config.Tracked, "refuse_unread", look)
        joint.run(recipe, folder, after_epoch=lambda: told.append(1))
    return folder, len(told)


@pytest.fixture(scope="module")
def folder(finished) -> RunFolder:
    return finished[0]


@pytest.fixture(scope="module")
def reopened(folder):
    return joint.reopen(folder)


@pytest.fixture
def copy(folder, tmp_path) -> RunFolder:
    shutil.copytree(folder.path, tmp_path / "copy")
    return RunFolder(tmp_path / "copy")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_folder_holds_the_files_of_the_design(finished):
    folder, told = finished
    for name in ("recipe", "record", "metrics_csv", "train_log", "data", "results", "environment"):
        assert getattr(folder, name).stat().st_size > 0, name
    assert {one.name for one in folder.predictions.iterdir()} == {"test_boxes.csv", "test_views.csv", "test.npz"}
    assert checkpoints.best(folder).path.is_dir()
    assert (folder.figures / "gallery.json").is_file(), "made data may be shown"
    assert told == 1


def test_no_key_of_the_recipe_is_dead(finished, unread):
    """Whatever is set is read: a switch that changes nothing would end the run with its name."""
    assert unread == []


def test_results_have_every_metric_with_what_belongs_to_it(folder):
    results = read(folder.results)
    assert results["schema"] == 1 and results["task"] == "joint" and results["made_data"] and results["medical"]
    assert set(results["metrics"]) == BOX_METRICS | VIEW_METRICS
    for name, entry in results["metrics"].items():
        assert {"value", "ci95", "gain_ci95", "n", "groups", "chance", "baseline"} <= set(entry)
        assert entry["groups"] == 4 and not entry["reliable"], "below 10 groups"
        if entry["value"] is not None:
            assert entry["ci95"][0] <= entry["value"] <= entry["ci95"][1], name
    assert results["parameters"] == results["trainable"] == 1_769_329 + 3 * (64 + 128 + 256 + 1)
    assert results["leaky_split"] is False


def test_boxes_and_views_have_baselines_of_their_own(folder):
    metrics = read(folder.results)["metrics"]
    assert all(set(metrics[name]["baselines"]) == {"constant boxes"} for name in BOX_METRICS)
    assert all("constant boxes" not in metrics[name]["baselines"] for name in VIEW_METRICS)
    given = metrics["view_accuracy_given_valve"]["baselines"]
    assert set(given) == {"most frequent view", "most frequent view given the valve"}


def test_valves_and_views_are_never_in_one_table(folder):
    results = read(folder.results)
    valves, views = {"AR", "MR", "PR", "TR"}, {"PSAX", "PLAX", "A4C"}
    assert set(results["by_valve"]) <= valves and set(results["by_view"]) == views
    assert set(results["view_given_valve"]) <= valves and results["view_confusion"]["names"] == list(results["by_view"])
    for entry in results["by_valve"].values():
        assert set(entry) == BOX_METRICS
    counted = sum(map(sum, results["view_confusion"]["counts"]))
    assert counted == results["metrics"]["view_accuracy"]["n"]


def test_n_is_told_with_its_patients(folder):
    samples = read(folder.results)["samples"]
    assert samples["images"] == 12 and samples["patients"] == 4 and samples["largest_patient"] == 3
    assert samples["largest_share"] == 0.25 and samples["dominated"] is True
    assert sum(samples["patients_with"].values()) >= 4


def test_the_gradients_of_both_tasks_are_recorded(folder):
    balance = read(folder.results)["balance"]
    assert balance["name"] == "static" and -1 <= balance["conflict"]["detection|view"]["mean_cosine"] <= 1
    assert set(balance["last"]["grad_norms"]) == {"detection", "view"}
    assert {event["name"] for event in read_run(folder.path).of("term")} == {"box", "obj", "cls", "view"}


def test_no_name_of_a_patient_or_file_leaves_the_run(folder, reopened):
    keys = [key for part in reopened[0].data.keys.values() for key in part]
    for path in (folder.results, folder.data, folder.record, *folder.predictions.glob("*.csv")):
        text = path.read_text(encoding="utf-8")
        assert not any(key.id in text or key.video in text for key in keys), path.name
    assert not {one.stem for one in folder.figures.glob("*.png")} & {key.id for key in keys}


def test_splits_are_disjoint_and_counted_in_the_card(folder):
    card = read(folder.data)
    for what in ("groups", "contents"):
        everything = [one for part in card["splits"].values() for one in part[what]]
        assert len(everything) == len(set(everything))
    assert sum(part["frames"] for part in card["splits"].values()) == 36
    assert card["split"]["leaks"]["train/test"]["groups"] == 0 and "no patient is in two parts" in card["split_told"]
    assert card["anchors"]["new_recall"] >= card["anchors"]["recall"]


def test_stored_predictions_are_those_that_were_scored(folder, reopened):
    results, (prepared, _) = read(folder.results), reopened
    with np.load(folder.predictions / "test.npz", allow_pickle=False) as stored:
        again = prepared.task.score({key: stored[key] for key in stored.files})
    for name in ("map_50", "view_macro_f1"):
        assert again[name] == pytest.approx(results["metrics"][name]["value"], abs=1e-9)
    with (folder.predictions / "test_views.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12 and len({row["group"] for row in rows}) == 4
    assert sum(float(rows[0][f"score_{name}"]) for name in prepared.task.view_names) == pytest.approx(1, abs=1e-5)


def test_a_reopened_run_gives_the_same_scores_twice(folder, reopened):
    stored, found = read(folder.results)["metrics"], joint.plain_scores(*reopened)["metrics"]
    assert set(found) == BOX_METRICS | VIEW_METRICS
    assert joint.plain_scores(*reopened)["metrics"] == found
    for name, entry in found.items():
        assert entry["value"] == (None if stored[name]["value"] is None else pytest.approx(stored[name]["value"]))


def test_it_is_the_best_checkpoint_that_is_reopened(folder, reopened):
    best = checkpoints.best(folder)
    assert read(folder.results)["checkpoint"]["sha256"] == best.weights_sha256
    weights = best.weights()
    assert all(torch.equal(value, weights[name]) for name, value in reopened[1].state_dict().items())


def test_a_resumed_run_is_the_run(folder, recipe, tmp_path):
    """Two epochs in one go, and one epoch that is asked for another: the same weights."""
    whole = RunFolder(tmp_path / "whole")
    joint.run(replace(recipe, epochs=2, schedule="constant"), whole)
    parts = RunFolder(tmp_path / "parts")
    joint.run(replace(recipe, schedule="constant"), parts)
    joint.run(replace(recipe, epochs=2, schedule="constant"), parts, resume=True)
    last = [max(one.name for one in run.checkpoints.iterdir() if one.is_dir()) for run in (whole, parts)]
    assert last[0] == last[1]
    assert checkpoints.best(whole).weights_sha256 == checkpoints.best(parts).weights_sha256
    assert read(whole.results)["metrics"] == read(parts.results)["metrics"]


def test_a_resumed_run_keeps_its_recipe_and_its_data(copy, recipe, small_echo, tmp_path):
    with pytest.raises(CheckpointError, match="the recipe changed") as caught:
        joint.run(replace(recipe, view_weight=2.0), copy, resume=True)
    assert "view_weight" in str(caught.value)
    shutil.copytree(small_echo, tmp_path / "changed")
    label = sorted((tmp_path / "changed").rglob("labels/*.txt"))[0]
    label.write_text(
        "0 0.4 0.4 0.6 0.4 0.6 0.6 0.4 0.6\n\n" + label.read_text(encoding="utf-8").split("\n\n")[-1], encoding="utf-8"
    )
    stored = yaml.safe_load(copy.recipe.read_text(encoding="utf-8"))
    copy.recipe.write_text(yaml.safe_dump({**stored, "data": str(tmp_path / "changed")}), encoding="utf-8")
    with pytest.raises(RecordError, match="data set changed"):
        joint.reopen(copy)


def test_a_finished_run_is_not_overwritten(folder, recipe):
    before = folder.results.read_bytes(), folder.recipe.read_bytes()
    with pytest.raises(UsageError, match="this run exists"):
        joint.run(replace(recipe, seed=3), folder)
    assert (folder.results.read_bytes(), folder.recipe.read_bytes()) == before


def test_probes_can_be_made_later_and_the_report_says_what_this_is(copy, reopened):
    prepared, model = reopened
    scored, predictions = joint.scored(prepared, model)
    names = ("labels_read_twice", "loss_under_flipped_labels", "best_constant_loss", "metric_on_known_answers",
             "boxes_shifted", "between_group_permutation", "inputs_exchanged")  # fmt: skip
    with RecordWriter(copy) as writer:
        joint.make_evidence(scored, model, predictions, copy, writer, names=names)
    record = read_run(copy.path)
    assert {name: record.evidence[name].status for name in names} == dict.fromkeys(names, "done")
    changes = record.evidence["loss_under_flipped_labels"].values["relative_change"]
    assert set(changes) == {"box", "obj", "cls", "view"} and min(changes.values()) > 1e-6
    answers = record.evidence["metric_on_known_answers"].values
    assert {name: answers[name]["perfect"] for name in answers} == {"map_50": 1.0, "view_macro_f1": 1.0}
    shifted = record.evidence["boxes_shifted"].values
    assert list(shifted["curves"]) == ["map_50"] and shifted["units"]["problem"] is None
    assert shifted["curves"]["map_50"]["oracle"] == 1.0 and not shifted["curves"]["map_50"]["problems"]
    publish(copy, as_json(judge_all(record), copy.path))
    for path in (copy.report, copy.card):
        assert "not a medical device" in path.read_text(encoding="utf-8")
    page = copy.report.read_text(encoding="utf-8")
    assert "By valve" in page and "View, given the valve" in page and "Gradients of the tasks" in page


def test_a_task_without_a_path_to_the_network_is_refuted_by_name(recipe, tmp_path):
    """Report 004 again: logits that are random numbers, norms at the outputs, weights that sum to T squared."""
    folder = RunFolder(tmp_path / "noise")
    joint.run(replace(recipe, balance="report004"), folder)
    verdict = judge_all(read_run(folder.path))[0]
    assert verdict.word == "refuted" and "'view'" in verdict.sentence and "does not reach" in verdict.sentence


def test_an_unconnected_task_stops_before_step_1_by_name(recipe, tmp_path, monkeypatch):
    forward = Yolo.forward
    monkeypatch.setattr(
        Yolo, "forward", lambda self, batch: (out := forward(self, batch)) | {"view": out["view"].detach()}
    )
    folder = RunFolder(tmp_path / "cut")
    with pytest.raises(UnconnectedTaskError, match="before the update of step 1: the loss of task 'view'") as caught:
        joint.run(recipe, folder)
    assert caught.value.exit_code == 64 and not list(folder.checkpoints.glob("step-*"))
    assert [line["tasks"] for line in read_run(folder.path).of("stop")] == [["view"]]


@pytest.mark.parametrize("tasks", ["detection", "view"])
def test_one_task_alone_makes_its_own_claim(recipe, tasks):
    prepared = joint.prepare(replace(recipe, tasks=tasks))
    names = {claim.metric for claim in prepared.task.claims}
    assert names == ({"map_50"} if tasks == "detection" else {"view_macro_f1"})
    model = prepared.task.model().eval()
    scores = prepared.task.score(predict_set(prepared.task, model, prepared.data.sets["val"]))
    assert set(scores) == ({"map", "map_50"} if tasks == "detection" else VIEW_METRICS)


def test_the_recipe_of_yolov5_reaches_the_loop_whole():
    path = ROOT / "recipes" / "joint-yolov5.yaml"
    options = joint.loop_options(config.build(JointRecipe, {**config.read_mapping(path), "data": "somewhere"}))
    assert (options.optimiser, options.nesterov, options.decayed) == ("sgd", True, "weights")
    assert (options.schedule, options.final_rate, options.momentum) == ("linear", 0.01, 0.937)
    assert (options.warmup_steps, options.warmup_epochs) == (100, 3)
    assert (options.warmup_bias_rate, options.warmup_momentum) == (0.1, 0.8)
    assert (options.ema_decay, options.ema_ramp) == (0.9999, 2000)


def test_two_networks_share_nothing(recipe):
    task = joint.prepare(replace(recipe, dual=True)).task
    model = task.model()
    assert not model.shared_parameters() and set(task.term_groups) == {"detection", "view"}


def test_weights_of_tasks_go_to_the_balancer_or_into_the_losses(recipe):
    asked = {"detection_weight": 0.5, "view_weight": 2.0}
    plain = joint.prepare(recipe).task.term_weights
    static = joint.prepare(replace(recipe, **asked))
    assert static.task.term_weights == plain and static.recipe.balancing().weights == {"detection": 0.5, "view": 2.0}
    rows = joint.prepare(replace(recipe, balance="upgrad", **asked)).task.term_weights
    assert rows["view"] == 2 * plain["view"] and rows["box"] == 0.5 * plain["box"]


@pytest.mark.parametrize(
    ("changes", "weight"),
    [
        ({}, 0.05),
        ({"dual": True}, 0.05),
        ({"view_weight": 1.0}, 1.0),
        ({"balance": "gradnorm"}, 1.0),
        ({"balance": "upgrad"}, 1.0),
        ({"balance": "upgrad", "view_weight": 0.3}, 0.3),
        ({"tasks": "view"}, 1.0),
    ],
)
def test_the_view_weighs_little_only_beside_a_detection_loss_of_fixed_weight(recipe, changes, weight):
    """YOLOv5's gains make the detection loss small; balancers find their own weights, a single task has none."""
    prepared = joint.prepare(replace(recipe, **changes))
    balance, factor = prepared.recipe.balancing(), prepared.task.term_weights["view"]
    assert balance.weights.get("view", 1.0) * factor == weight


def test_trivial_answers_see_train_alone(reopened):
    prepared, _ = reopened
    data, like = prepared.data, predict_set(prepared.task, reopened[1], prepared.data.sets["test"])
    answers = TrivialAnswers(data).predict("test", like)
    train = data.sets["train"]
    counts = np.bincount([view for _, _, view in map(train.labels_at, range(len(train))) if view >= 0], minlength=3)
    shares = answers["most frequent view"]["view_probabilities"]
    assert np.allclose(shares, counts / counts.sum()) and len(shares) == 12


def test_the_rule_of_the_valves_is_fitted_on_train_and_scored_on_test(folder, reopened):
    """Against ``data.view_rule``, which counts for itself: valve by valve, and their mean over the valves."""
    sets, pairs = reopened[0].data.sets, {}
    for part in ("train", "test"):
        labels = [sets[part].labels_at(index) for index in range(len(sets[part]))]
        each = [(valve, view) for _, valves, view in labels for valve in sorted(set(valves.tolist()))]
        pairs[part] = np.array(each, np.int64).T
    rule = ViewRule.fit(*pairs["train"], of_classes=4, of_views=3)
    wanted, on_train = rule.accuracy(*pairs["test"]), rule.accuracy(*pairs["train"])
    results, name = read(folder.results), "most frequent view given the valve"
    entries = results["view_given_valve"]
    found = [entries[valve]["baselines"][name] if valve in entries else np.nan for valve in reopened[0].data.classes]
    assert found == pytest.approx(wanted, nan_ok=True)
    assert results["metrics"]["view_accuracy_given_valve"]["baselines"][name] == pytest.approx(np.nanmean(wanted))
    assert np.nanmean(wanted) != pytest.approx(np.nanmean(on_train)), "else it could as well be scored on train"


def test_exchanged_labels_leave_the_unknown_alone(reopened):
    train = reopened[0].data.sets["train"]
    batch = train.collate([train.sample(index, epoch=0, seed=0) for index in range(4)])
    batch["view"][0] = -1
    flipped = flip_labels(batch, classes=4, views=3)
    assert flipped["view"][0] == -1 and (flipped["view"][1:] != batch["view"][1:]).all()
    assert (flipped["targets"][:, 1] != batch["targets"][:, 1]).all()
    assert ((flipped["targets"][:, 2:4] >= 0) & (flipped["targets"][:, 2:4] <= 1)).all()


def test_a_published_split_that_leaks_is_told(recipe, tmp_path):
    prepared = joint.prepare(replace(recipe, split="published"))
    assert prepared.data.split.leaky and "IT LEAKS" in prepared.data.card["split_told"]
    assert prepared.data.card["split"]["leaks"]["train/test"]["groups"] > 0


def test_data_without_a_view_cannot_teach_one(recipe, small_echo, tmp_path):
    shutil.copytree(small_echo, tmp_path / "plain")
    for label in (tmp_path / "plain").rglob("labels/*.txt"):
        label.write_text(label.read_text(encoding="utf-8").split("\n\n")[0] + "\n", encoding="utf-8")
    description = tmp_path / "plain" / "data.yaml"
    content = yaml.safe_load(description.read_text(encoding="utf-8"))
    content.pop("views")
    description.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(DataError, match="no view to learn"):
        joint.prepare(replace(recipe, data=str(tmp_path / "plain")))
    task = joint.prepare(replace(recipe, data=str(tmp_path / "plain"), tasks="detection")).task
    assert task.view_names == () and {claim.metric for claim in task.claims} == {"map_50"}


def test_the_recipe_is_read_back_whole(folder, recipe):
    assert config.load(JointRecipe, folder.recipe) == recipe


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"tasks": "view", "dual": True}, "dual"),
        ({"tasks": "detection", "view_weight": 2.0}, "view_weight"),
        ({"dual": True, "balance": "gradnorm"}, "balance"),
        ({"balance_alpha": 0.5}, "alpha"),
        ({"imgsz": 100}, "imgsz"),
        ({"final_rate": 0.1}, "final_rate"),
        ({"balance": "upgrad", "detection_weight": -1.0}, "detection_weight"),
        ({"view_weight": 0.0}, "view_weight"),
        ({"view_weight": float("inf")}, "view_weight"),
        ({"flip": 2.0}, "flip"),
    ],
)
def test_a_key_that_changes_nothing_is_refused(recipe, changes, word):
    with pytest.raises(ConfigError, match=word):
        replace(recipe, **changes)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return saved_detector(tmp_path_factory.mktemp("weights") / "detector.safetensors", seed=9)


@pytest.fixture(scope="module")
def started(recipe, file, tmp_path_factory) -> RunFolder:
    """Read only."""
    folder = RunFolder(tmp_path_factory.mktemp("joint") / "started")
    joint.run(replace(recipe, weights=str(file), schedule="constant"), folder)
    return folder


@pytest.fixture
def own(started, file, tmp_path):
    """(a copy of the run, a copy of its weight file elsewhere, the recipe with that file)."""
    shutil.copytree(started.path, tmp_path / "own")
    elsewhere = tmp_path / file.name
    shutil.copy(file, elsewhere)
    folder = RunFolder(tmp_path / "own")
    return folder, elsewhere, replace(config.load(JointRecipe, folder.recipe), weights=str(elsewhere))


class TestWeights:
    """A run that starts from a file: a detector of 80 classes, whose backbone and neck are taken."""

    def test_a_fresh_network_has_the_backbone_of_the_file(self, recipe, file):
        task = joint.prepare(replace(recipe, weights=str(file))).task
        torch.manual_seed(4)
        started = task.model().state_dict()
        torch.manual_seed(4)
        scratch = task.from_scratch().model().state_dict()
        given = load_file(file)
        names = [name for name in started if int(name.split(".")[1]) < 24]
        assert all(torch.equal(started[name], given[name]) for name in names)
        heads = [name for name in started if name not in names]
        assert heads and all(torch.equal(started[name], scratch[name]) for name in heads)
        assert not torch.equal(scratch["model.0.conv.weight"], given["model.0.conv.weight"])

    def test_what_was_taken_is_told_and_recorded(self, started, folder, file):
        results = read(started.results)["weights"]
        assert results["sha256"] == sha256_of(file) and results["file"] == "detector.safetensors"
        assert results["taken"] == {"backbone and neck": 342}
        assert set(results["from_scratch"]) == {"detection head", "view head"}
        assert "80 classes" in results["from_scratch"]["detection head"] and "detection head" in results["left_out"]
        (note,) = [one for one in read_run(started.path).of("note") if one.get("kind") == "weights"]
        assert note["sha256"] == results["sha256"] and note["text"] in started.train_log.read_text(encoding="utf-8")
        assert checkpoints.best(started).state["recipe"]["weights"] == results["sha256"]
        assert read(folder.results)["weights"] is None

    def test_another_file_is_refused_on_resume_before_anything_is_written(self, own):
        folder, file, chosen = own
        before = folder.recipe.read_bytes(), folder.record.read_bytes()
        saved_detector(file, seed=10)
        with pytest.raises(CheckpointError, match="the weights that the run starts from changed") as caught:
            joint.run(replace(chosen, epochs=2), folder, resume=True)
        assert caught.value.file == str(file)
        with pytest.raises(CheckpointError, match="no weights"):
            joint.run(replace(chosen, epochs=2, weights=""), folder, resume=True)
        file.unlink()
        with pytest.raises(ConfigError, match="nothing is downloaded"):
            joint.run(replace(chosen, epochs=2), folder, resume=True)
        assert (folder.recipe.read_bytes(), folder.record.read_bytes()) == before

    def test_a_run_from_scratch_takes_no_file_on_resume(self, copy, recipe, file):
        with pytest.raises(CheckpointError, match=r"expected: no weights[\s\S]*found: +weights with sha256"):
            joint.run(replace(recipe, epochs=2, weights=str(file)), copy, resume=True)

    def test_the_file_may_lie_elsewhere_on_resume(self, own):
        folder, file, chosen = own
        newest = checkpoints.newest(folder).path.name
        joint.run(replace(chosen, epochs=2), folder, resume=True)
        assert read(folder.results)["weights"]["file"] == file.name
        assert config.load(JointRecipe, folder.recipe).weights == str(file)
        assert [line["checkpoint"] for line in read_run(folder.path).of("resume")] == [newest]

    def test_a_finished_run_opens_without_the_file_but_makes_no_other_fresh_network(self, own, started):
        folder, file, chosen = own
        config.dump(chosen, folder.recipe)
        saved_detector(file, seed=10)
        prepared, model = joint.reopen(folder)
        weights = checkpoints.best(started).weights()
        assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
        with pytest.raises(CheckpointError, match="changed since the run started from it"):
            prepared.task.model()
        file.unlink()
        prepared, model = joint.reopen(folder)
        stored = read(started.results)["metrics"]["view_accuracy"]["value"]
        assert joint.plain_scores(prepared, model)["metrics"]["view_accuracy"]["value"] == pytest.approx(stored)
        with pytest.raises(ConfigError, match="nothing is downloaded"):
            prepared.task.model()

    def test_a_file_of_another_size_is_refused_before_anything_is_written(self, recipe, tmp_path):
        file = saved_detector(tmp_path / "s.safetensors", seed=1, size="s")
        folder = RunFolder(tmp_path / "none")
        with pytest.raises(CheckpointError, match="--size s"):
            joint.run(replace(recipe, weights=str(file)), folder)
        assert not folder.recipe.exists() and not folder.record.read_text(encoding="utf-8")


def saved_detector(path: Path, *, seed: int, size: str = "n") -> Path:
    """The plain state dict of a YOLOv5 of 80 classes with random weights."""
    torch.manual_seed(seed)
    save_file(Yolo(YoloOptions(size=size, classes=80)).state_dict(), path)
    return path
