"""A small real run on a made aerial world, from label files to results that a fresh reader finds again."""

from __future__ import annotations

import json

import pytest

from tiny_openvocab import NOVEL, tiny_aerial, tiny_recipe, tiny_towers
from veritrain.audit.verdict import as_json, judge_all
from veritrain.experiments.openvocab import EXPERIMENT as openvocab
from veritrain.experiments.openvocab_predicting import predict_run
from veritrain.experiments.openvocab_results import CONTRACT
from veritrain.record import RunFolder, read_run
from veritrain.report.box_sheet import write_box_sheet
from veritrain.report.publish import publish


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tiny_aerial(tmp_path_factory.mktemp("aerial") / "world")


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    return tiny_towers(tmp_path_factory.mktemp("towers") / "model.safetensors")


@pytest.fixture(scope="module")
def folder(world, towers, tmp_path_factory):
    """A finished run; read only."""
    folder = RunFolder(tmp_path_factory.mktemp("openvocab") / "small")
    openvocab.run(tiny_recipe(world, towers=str(towers)), folder)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return json.loads(folder.results.read_text(encoding="utf-8"))


def test_every_metric_of_the_contract_names_its_vocabulary_and_protocol(results):
    assert set(CONTRACT) <= set(results["metrics"])
    for asked, metrics in {"all": results["metrics"], **results["vocabularies"]}.items():
        assert all(one["vocabulary"] == asked and one["protocol"] == "images-removed" for one in metrics.values())
    assert set(results["vocabularies"]) == {"base", "novel"}
    assert "novel_map_50" not in results["vocabularies"]["novel"], "one part has no other to be told apart from"


def test_prompts_are_recorded_word_for_word(folder, results):
    notes = [one for one in read_run(folder.path).of("note") if one.get("kind") == "vocabulary"]
    assert notes[0]["prompts"] == results["prompts"]["prompts"]
    assert "a satellite photo of ground track field" in results["prompts"]["prompts"]["groundtrackfield"]
    log = (folder.path / "train.log").read_text(encoding="utf-8")
    assert "a satellite photo of ground track field" in log


def test_classes_without_an_object_stand_apart(results):
    present, absent = ({row["name"] for row in results["by_class"][part]} for part in ("present", "absent"))
    assert set(NOVEL) <= present and present | absent == set(results["protocol"]["base"]) | set(NOVEL)
    assert not present & absent


def test_the_labels_themselves_score_1_before_anything_is_scored(results):
    assert results["evaluation_checks"]["oracle"] == 1.0
    assert results["evaluation_checks"]["units"]["problem"] is None


def test_a_fresh_reader_finds_the_same_scores_also_where_the_towers_have_gone(folder, results, towers):
    aside = towers.with_name("aside.safetensors")
    again, found = openvocab.reopen(folder)
    scores = openvocab.plain_scores(again, found)["metrics"]
    assert {"base_map_50", "novel_map_50", "harmonic_mean", "map", "map_50"} <= set(scores)
    assert all(entry["value"] == results["metrics"][name]["value"] for name, entry in scores.items())
    towers.rename(aside)
    try:
        without, model = openvocab.reopen(folder)
        assert openvocab.plain_scores(without, model)["metrics"] == scores
    finally:
        aside.rename(towers)


def test_other_words_stand_beside_both_claims(results):
    for metric in ("base_map_50", "novel_map_50"):
        controls = results["text_controls"][metric]
        assert set(controls) == {"names shuffled", "nonsense words"}
        own = results["metrics"][metric]["value"]
        assert all(one["fall"] == pytest.approx(own - one["value"]) for one in controls.values())


def test_towers_without_training_are_a_baseline_of_every_metric(results):
    assert set(results["metrics"]["base_map_50"]["baselines"]) == {"constant boxes", "towers without training"}
    assert set(results["windows"]) == {"all", "base", "novel"}


def test_pictures_of_answers_and_of_the_inside(folder):
    gallery = json.loads((folder.figures / "gallery.json").read_text(encoding="utf-8"))
    assert [part["title"] for part in gallery] == [
        "worst misses", "surest false alarms", "novel classes", "random images"]  # fmt: skip
    assert all((folder.path / item["image"]).is_file() for part in gallery for item in part["items"])
    for one in json.loads((folder.figures / "inside.json").read_text(encoding="utf-8")):
        assert one["look"]["kind"] == "scores" and set(one["gate"]) == {"on", "off"}
        assert (folder.figures / f"look-{one['id']}.png").is_file()


def test_the_report_tells_of_words_and_classes(folder):
    publish(folder, as_json(judge_all(read_run(folder.path), ()), folder.path))
    page = folder.report.read_text(encoding="utf-8")
    assert "groundtrackfield*" in page and "names shuffled" in page and "open-vocabulary" in page


def test_single_images_of_the_run_and_of_a_folder_in_words_of_ones_own(folder, world, tmp_path):
    document, out = predict_run(folder, [], samples=2, split="test", out=str(tmp_path / "own"))
    assert document["count"] == 2 and all(row["errors"] is not None for row in document["frames"])
    assert (write_box_sheet(document, out)).is_file()
    picture = next(world.rglob("*.jpg"))
    asked, _ = predict_run(folder, [str(picture)], samples=0, split="test", out=str(tmp_path / "loose"),
                           classes=["red roof", "ship"])  # fmt: skip
    assert asked["classes"] == ["red roof", "ship"] and asked["prompts"]["ship"][0] == "a satellite photo of ship"
    assert asked["frames"][0]["errors"] is None
    assert {box["class"] for box in asked["frames"][0]["boxes"]} <= {"red roof", "ship"}


def test_report_002_claims_a_detector_and_finds_no_box(world, tmp_path):
    folder = RunFolder(tmp_path / "origin")
    openvocab.run(tiny_recipe(world, network="origin002", controls="quick"), folder)
    results = json.loads(folder.results.read_text(encoding="utf-8"))
    assert results["metrics"]["base_map_50"]["value"] == 0.0 and results["prompts"]["templates"] == ["{}"]
    judged = as_json(judge_all(read_run(folder.path), ()), folder.path)
    assert judged["verdict"] in ("not_shown", "refuted")
    failed = {one["check"]: one["sentence"] for one in judged["findings"] if one["status"] == "fail"}
    assert "no box on any test image" in failed["boxes_answered"]
    assert "global_contrast (weight 1)" in failed["declared_terms_computed"]
    assert "as if each showed one thing" in failed["every_box_learned"]


def test_a_detector_answers_boxes_learns_them_all_and_computes_what_it_declares(world, towers, tmp_path):
    folder = RunFolder(tmp_path / "judged")
    openvocab.run(tiny_recipe(world, towers=str(towers), controls="quick", novel_vote=0.5), folder)
    judged = as_json(judge_all(read_run(folder.path), ()), folder.path)
    passed = {one["check"] for one in judged["findings"] if one["status"] == "pass"}
    assert {"boxes_answered", "declared_terms_computed", "every_box_learned"} <= passed
    assert not [one for one in judged["findings"] if one["status"] == "crashed"]
