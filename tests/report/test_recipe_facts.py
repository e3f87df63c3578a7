"""Making a run again: the command that is told is one that the command line takes, and the data are named."""

from __future__ import annotations

import shlex

import pytest

from veritrain import config
from veritrain.errors import ConfigError
from veritrain.report.recipe_facts import also_needed, cautions, commands, data_facts, network_of, recipe_of
from veritrain.tasks.options import AnomalyRecipe, JointRecipe


@pytest.mark.parametrize("name", ["late", "a run; rm"])
def test_the_command_gives_recipe_and_data_from_beside_the_folder(name):
    train, audit = (shlex.split(line) for line in commands(name, "joint"))
    assert train[:3] == ["veritrain", "train", "joint"] and audit == ["veritrain", "audit", f"{name}-again"]
    options = dict(zip(train[3::2], train[4::2], strict=True))
    assert options == {"--config": f"{name}/recipe.yaml", "--data": "DATA", "--run": f"{name}-again"}
    assert train.index("--data") > train.index("--config"), "the later one counts"


def test_the_data_are_named_by_what_they_hold():
    recipe = {"data": "/home/somebody/worlds/seven"}
    card = {"format": "echo", "split_sha256": "ab" * 32, "splits": {"test": {"contents": ["1", "2"]}}}
    facts = dict(data_facts(recipe, card))
    assert (
        facts["data_called"] == "seven" and facts["split_hash"] == "abababababab" and len(facts["content_hash"]) == 12
    )
    assert "somebody" not in str(facts)
    other = dict(data_facts(recipe, {**card, "splits": {"test": {"contents": ["1", "3"]}}}))
    assert other["content_hash"] != facts["content_hash"]
    assert data_facts({}, {}) == []


def test_numbers_that_cannot_come_again_are_told():
    assert cautions({"max_seconds": 45.0, "precision": "auto"}) == ["budget_again", "auto_again"]
    assert cautions({"max_seconds": 0.0, "precision": "32-true"}) == [] == cautions({})


def test_a_recipe_as_it_is_written_names_its_network(tmp_path):
    config.dump(JointRecipe(data="d", weights="coco.safetensors", size="s"), tmp_path / "recipe.yaml")
    joint = recipe_of(tmp_path / "recipe.yaml")
    assert ("size", "s") in network_of(joint) and ("balance", "static") in network_of(joint)
    assert also_needed(joint) == ["weights: coco.safetensors"]
    config.dump(AnomalyRecipe(data="d", model="report001-scene"), tmp_path / "recipe.yaml")
    assert network_of(recipe_of(tmp_path / "recipe.yaml")) == [("model", "report001-scene")]


def test_no_recipe_is_nothing_and_a_broken_one_is_named(tmp_path):
    assert recipe_of(tmp_path / "recipe.yaml") == {}
    for broken in ("a: 'b'c'", "words"):
        (tmp_path / "recipe.yaml").write_text(broken, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"recipe\.yaml"):
            recipe_of(tmp_path / "recipe.yaml")
