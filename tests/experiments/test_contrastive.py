"""One small real run on captions of the made aerial world, from files to towers that another run can take."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from tiny_captions import tiny_recipe
from veritrain import config
from veritrain.audit.verdict import as_json, judge_all
from veritrain.errors import CheckpointError, UsageError
from veritrain.experiments.contrastive import EXPERIMENT as contrastive
from veritrain.experiments.contrastive import OPEN, VOCABULARY_NOTE
from veritrain.models.language import TextCache, Vocabulary
from veritrain.models.small_clip import SmallClip, load_small_clip
from veritrain.models.towers import load_towers
from veritrain.record import RecordWriter, RunFolder, read_run
from veritrain.report.publish import publish
from veritrain.tasks.contrastive_options import ContrastiveRecipe
from veritrain.training import checkpoint as checkpoints
from veritrain.training.evaluate import predict_set

METRICS = {"mean_recall", *(f"{way}_r{k}" for way in ("text_to_image", "image_to_text") for k in (1, 5, 10))}


@pytest.fixture(scope="module")
def recipe(aerial_world) -> ContrastiveRecipe:
    return tiny_recipe(aerial_world, seed=2, leave_out=["dam"])


@pytest.fixture(scope="module")
def unread() -> list[str]:
    """Keys of the recipe that nothing had read when the run of ``folder`` ended."""
    return []


@pytest.fixture(scope="module")
def folder(recipe, unread, tmp_path_factory) -> RunFolder:
    """Read only."""
    folder = RunFolder(tmp_path_factory.mktemp("contrastive") / "small")
    refuse = config.Tracked.refuse_unread

    def look(tracked, *, excused=frozenset()):
        names = config.names_of(ContrastiveRecipe)
        unread.extend(sorted(names - object.__getattribute__(tracked, "_read") - excused))
        refuse(tracked, excused=excused)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(config.Tracked, "refuse_unread", look)
        contrastive.run(recipe, folder)
    return folder


@pytest.fixture(scope="module")
def reopened(folder):
    return contrastive.reopen(folder)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_folder_holds_the_files_of_the_design(folder):
    for name in ("recipe", "record", "metrics_csv", "train_log", "data", "results", "environment"):
        assert getattr(folder, name).stat().st_size > 0, name
    assert {one.name for one in folder.predictions.iterdir()} == {"test_captions.csv", "test_images.csv", "test.npz"}
    assert checkpoints.best(folder).path.is_dir()


def test_no_key_of_the_recipe_is_dead(folder, unread):
    """Whatever is set is read: a switch that changes nothing would end the run with its name."""
    assert unread == []


def test_every_score_stands_beside_chance_baselines_and_an_interval(folder):
    results = read(folder.results)
    assert results["task"] == "contrastive" and results["made_data"] and results["leaky_split"] is False
    assert set(results["metrics"]) == METRICS == set(results["selection"]["metrics"])
    samples = results["samples"]
    for name, entry in results["metrics"].items():
        assert entry["ci95"][0] <= entry["value"] <= entry["ci95"][1], name
        assert set(entry["baselines"]) == {"most frequent caption", "shortest caption"}
        assert 0 < entry["chance"] < 0.6 and entry["groups"] == samples["scenes"] and len(entry["gain_ci95"]) == 2
        if name.startswith("text_to_image"):
            assert entry["n"] == samples["captions"] == 5 * samples["images"]
            assert entry["baseline"] == pytest.approx(entry["chance"]), "no order of captions finds an image"
    assert results["metrics"]["image_to_text_r1"]["n"] == samples["images"]
    assert 0.01 <= results["temperature"] < 0.1 and results["parameters"] == results["trainable"]


def test_what_the_captions_contained_is_recorded_with_the_run(folder):
    said = read(folder.results)["caption_vocabulary"]
    assert said["told"] == OPEN and "open-vocabulary" in OPEN and "unseen" not in json.dumps(said)
    assert said["classes"]["vehicle"]["captions"] > said["classes"]["vehicle"]["images"] > 0
    assert said["classes"]["dam"] == {"captions": 0, "images": 0} and "dam" in said["never_named"]
    (note,) = [note for note in read_run(folder.path).of("note") if note.get("kind") == VOCABULARY_NOTE]
    assert note["classes"] == said["classes"]
    assert checkpoints.best(folder).state["about"]["caption_vocabulary"]["classes"] == said["classes"]
    assert read(folder.results)["left_out"]["train"]["dam"] > 0
    assert "left out of train" in folder.train_log.read_text(encoding="utf-8")


def test_both_terms_are_recorded_unweighted(folder):
    terms = read_run(folder.path).of("term")
    assert {(one["name"], one["weight"]) for one in terms} == {("image_to_text", 0.5), ("text_to_image", 0.5)}
    assert all(0 < one["value"] < 6 for one in terms)


def test_stored_predictions_are_those_that_were_scored(folder, reopened):
    results, (prepared, _) = read(folder.results), reopened
    with np.load(folder.predictions / "test.npz", allow_pickle=False) as stored:
        again = prepared.task.score({key: stored[key] for key in stored.files})
    assert again == pytest.approx({name: entry["value"] for name, entry in results["metrics"].items()})
    for name, metric in (("captions", "text_to_image_r5"), ("images", "image_to_text_r5")):
        with (folder.predictions / f"test_{name}.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == results["metrics"][metric]["n"]
        assert np.mean([float(row["place"]) <= 5 for row in rows]) == pytest.approx(again[metric], abs=0.02)


def test_no_name_of_a_scene_or_file_leaves_the_run(folder, reopened):
    keys = [key for part in reopened[0].data.keys.values() for key in part]
    for path in (folder.results, folder.data, *folder.predictions.glob("*.csv")):
        text = path.read_text(encoding="utf-8")
        assert not any(key.group in text or f'"{key.id}"' in text for key in keys), path.name


def test_a_reopened_run_gives_the_same_scores_twice(folder, reopened):
    found = contrastive.plain_scores(*reopened)["metrics"]
    assert found == contrastive.plain_scores(*reopened)["metrics"]
    stored = read(folder.results)["metrics"]
    assert {name: entry["value"] for name, entry in found.items()} == {
        name: entry["value"] for name, entry in stored.items()
    }


def test_the_towers_of_a_run_are_loaded_by_its_folder(folder, reopened):
    _, model = reopened
    for found in (
        load_small_clip(folder.path),
        load_towers(folder.path)[0],
        load_small_clip(checkpoints.best(folder).path),
    ):
        assert isinstance(found, SmallClip) and found.vocabulary == model.vocabulary
        assert all(torch.equal(value, model.state_dict()[name]) for name, value in found.state_dict().items())
    report = load_towers(folder.path)[1]
    assert report.file == "model.safetensors" and report.sha256 == checkpoints.best(folder).weights_sha256
    found = TextCache().embed(load_small_clip(folder.path).text, Vocabulary(names=("ship", "harbor")))
    assert found.vectors.shape == (2, 16)


def test_a_resumed_run_is_the_run(folder, recipe, tmp_path):
    """Two epochs in one go, and one epoch that is asked for another: the same weights."""
    whole, parts = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "parts")
    contrastive.run(replace(recipe, epochs=2, schedule="constant"), whole)
    contrastive.run(replace(recipe, schedule="constant"), parts)
    contrastive.run(replace(recipe, epochs=2, schedule="constant"), parts, resume=True)
    assert checkpoints.best(whole).weights_sha256 == checkpoints.best(parts).weights_sha256
    assert read(whole.results)["metrics"] == read(parts.results)["metrics"]


def test_a_resumed_run_keeps_what_it_leaves_out(folder, recipe, tmp_path):
    shutil.copytree(folder.path, tmp_path / "copy")
    with pytest.raises(CheckpointError, match="the recipe changed") as caught:
        contrastive.run(replace(recipe, leave_out=[]), RunFolder(tmp_path / "copy"), resume=True)
    assert "leave_out" in str(caught.value)


def test_each_input_can_be_exchanged_and_no_other(reopened):
    prepared, model = reopened
    own = predict_set(prepared.task, model, prepared.data.sets["test"])
    for name in model.inputs:
        other = predict_set(prepared.task, model, contrastive.exchanged(prepared.data, name))
        assert np.array_equal(own["caption_ids"], other["caption_ids"])
        assert np.array_equal(own["image"], other["image"]) is (name == "text")
        assert np.array_equal(own["text"], other["text"]) is (name == "image")
    with pytest.raises(UsageError, match="no input 'points'"):
        contrastive.exchanged(prepared.data, "points")


def test_evidence_and_a_verdict_can_be_made_of_it(folder, reopened, tmp_path):
    shutil.copytree(folder.path, tmp_path / "copy")
    copy, (prepared, model) = RunFolder(tmp_path / "copy"), reopened
    scored, predictions = contrastive.scored(prepared, model)
    cheap = ("labels_read_twice", "loss_under_flipped_labels", "best_constant_loss", "metric_on_known_answers",
             "between_group_permutation", "inputs_exchanged", "permuted_label_retraining")  # fmt: skip
    with RecordWriter(copy) as writer:
        contrastive.make_evidence(scored, model, predictions, copy, writer, names=cheap)
    record = read_run(copy.path)
    assert {name: one.status for name, one in record.evidence.items()} == dict.fromkeys(cheap, "done")
    verdict = as_json(judge_all(record, ()), copy.path)
    status = {one["check"]: one["status"] for one in verdict["findings"]}
    for name in ("labels_deterministic", "loss_reads_labels", "metric_unit_tested", "numbers_agree",
                 "both_labels_present", "splits_disjoint", "contents_disjoint", "record_whole", "finite"):  # fmt: skip
        assert status[name] == "pass", name
    assert verdict["verdict"] != "shown", "one epoch of 16 numbers shows nothing"
    publish(copy, verdict)
    page = copy.report.read_text(encoding="utf-8")
    assert "Text to image r5" in page and "Open-vocabulary" in page and page.count("data:image/webp") >= 3
