"""A small real run on a made aerial world, from label files to results that a fresh reader finds again."""

from __future__ import annotations

import json

import pytest

from tiny_openvocab import NOVEL, tiny_aerial, tiny_recipe, tiny_towers
from veritrain.experiments.openvocab import EXPERIMENT as openvocab
from veritrain.experiments.openvocab_results import CONTRACT
from veritrain.record import RunFolder, read_run


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
    assert {name: entry["value"] for name, entry in scores.items()} == {
        name: entry["value"] for name, entry in results["metrics"].items()
    }
    towers.rename(aside)
    try:
        without, model = openvocab.reopen(folder)
        assert openvocab.plain_scores(without, model)["metrics"] == scores
    finally:
        aside.rename(towers)
