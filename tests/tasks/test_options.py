"""Recipes: every key is documented, every choice exists where it is used, and the public words stay."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import get_args, get_type_hints

import pytest

from veritrain import catalog, config
from veritrain.errors import ConfigError
from veritrain.experiments.anomaly import EXPERIMENT
from veritrain.experiments.run_folder import PERMUTED_RUNS
from veritrain.losses.binary import LOSSES
from veritrain.models.options import Fusion
from veritrain.tasks.options import QUICK, RECIPES, AnomalyRecipe, quick_keys
from veritrain.tasks.recipe import Recipe, WaiverOption
from veritrain.training.options import Optimiser, Schedule

PUBLIC = {
    "data": None,
    "seed": None,
    "epochs": None,
    "labels": {"given", "permuted", "redrawn"},
    "split": {"given", "val=train"},
    "loss": {"bce", "focal", "origin000"},
    "fusion": {"attention", "concat", "late", "image_only", "points_only"},
    "controls": {"full", "quick", "none"},
}
"""Words that other interfaces rely on, with the choices each must offer."""


def fields_of(recipe) -> list[str]:
    return [field.name for field in dataclasses.fields(recipe)]


def documented(recipe) -> list[str]:
    text = inspect.getdoc(recipe).partition("Attributes:\n")[2]
    return re.findall(r"^    (\w+): \S", text, flags=re.M)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_field_is_documented_once_and_in_order(name):
    """What it inherits is documented there (``test_recipe.py``), and here only where a task has more to say."""
    shared, told = fields_of(Recipe), documented(RECIPES[name])
    assert [word for word in told if word not in shared] == [
        word for word in fields_of(RECIPES[name]) if word not in shared
    ]
    assert len(told) == len(set(told))


def test_every_task_has_a_recipe_and_a_quick_form():
    assert set(RECIPES) == set(QUICK) == set(catalog.TASKS)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_quick_sets_keys_that_exist_to_values_that_fit(name, tmp_path):
    assert set(QUICK[name]) <= set(fields_of(RECIPES[name]))
    quick = config.build(RECIPES[name], {"data": "x", **QUICK[name]})
    config.dump(quick, tmp_path / "recipe.yaml")
    assert config.load(RECIPES[name], tmp_path / "recipe.yaml") == quick


def test_quick_is_quicker_and_keeps_what_shown_needs():
    plain, quick = AnomalyRecipe(data="x"), AnomalyRecipe(data="x", **QUICK["anomaly"])
    assert quick.epochs < plain.epochs
    assert 0 < quick.max_seconds <= 45, "at most 45 s of training"
    assert plain.controls == quick.controls == "quick"


@pytest.mark.parametrize(
    ("asked", "blocks"),
    [
        ({}, 1),
        ({"fusion": "points_only", "image_tower": "resnet18"}, 1),
        ({"fusion": "image_only", "image_tower": "resnet18"}, AnomalyRecipe.blocks),
        ({"model": "report000-simple"}, AnomalyRecipe.blocks),
    ],
)
def test_quick_leaves_a_network_without_our_encoders_its_blocks(asked, blocks):
    usual = {"model": "fusion", "fusion": "attention", "image_tower": "small"}
    assert quick_keys("anomaly", usual | asked) == QUICK["anomaly"] | {"blocks": blocks}
    assert quick_keys("joint", {}) == QUICK["joint"]


@pytest.mark.parametrize("word", sorted(PUBLIC))
def test_the_public_words_and_their_choices_stay(word):
    hints = get_type_hints(AnomalyRecipe)
    assert word in hints
    if PUBLIC[word] is not None:
        assert set(get_args(hints[word])) == PUBLIC[word]


def test_every_choice_exists_where_it_is_used():
    hints = get_type_hints(AnomalyRecipe)
    assert set(get_args(hints["loss"])) == set(LOSSES)
    assert hints["fusion"] == Fusion
    assert set(get_args(hints["optimiser"])) == set(get_args(Optimiser))
    assert set(get_args(hints["schedule"])) == set(get_args(Schedule))
    assert set(get_args(hints["controls"])) == set(PERMUTED_RUNS)


def test_full_controls_can_reach_five_per_cent_and_quick_ones_do_two():
    assert PERMUTED_RUNS["full"] >= 19 and PERMUTED_RUNS["quick"] == 2 and PERMUTED_RUNS["none"] == 0


def test_only_the_data_must_be_given():
    with pytest.raises(TypeError, match="data"):
        AnomalyRecipe()
    with pytest.raises(dataclasses.FrozenInstanceError):
        AnomalyRecipe(data="x").epochs = 3


def test_the_loop_gets_what_the_recipe_says():
    recipe = AnomalyRecipe(data="x", epochs=3, learning_rate=0.5, clip_norm=0, max_seconds=0, patience=0, seed=8)
    options = EXPERIMENT.loop_options(recipe)
    assert (options.epochs, options.learning_rate, options.seed) == (3, 0.5, 8)
    assert options.clip_norm is options.max_seconds is options.patience is options.checkpoint_every_steps is None
    shared = set(fields_of(recipe)) & set(fields_of(options)) - {"clip_norm", "max_seconds", "patience", "unfreeze"}
    assert len(shared) > 10
    assert all(getattr(options, name) == getattr(recipe, name) for name in shared)
    assert EXPERIMENT.loop_options(AnomalyRecipe(data="x", unfreeze=["3:image_encoder"])).unfreeze == (
        (3, "image_encoder"),
    )


def test_a_waiver_says_what_why_and_until_when():
    assert fields_of(WaiverOption) == ["check", "reason", "until"]
    assert AnomalyRecipe(data="x").waivers == []


def test_a_network_of_another_task_is_refused():
    with pytest.raises(ConfigError, match="no model 'yolov5n-nc4' for this task"):
        AnomalyRecipe(data="x", model="yolov5n-nc4")
