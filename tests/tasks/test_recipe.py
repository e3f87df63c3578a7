"""The keys that every recipe shares: inherited whole, told by ``--help``, each with a default but for the data."""

from __future__ import annotations

import dataclasses
import inspect
import re

import pytest
from jsonargparse import ArgumentParser

from veritrain import config
from veritrain.tasks.options import RECIPES, AnomalyRecipe, JointRecipe
from veritrain.tasks.recipe import Recipe

SHARED = [entry.name for entry in dataclasses.fields(Recipe)]


def told_by(kind: type) -> dict[str, str]:
    """Key to its words in the docstring of this class alone."""
    text = inspect.cleandoc(kind.__doc__).partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): (\S.*(?:\n {8}.*)*)", text, flags=re.M)
    return {name: " ".join(words.split()) for name, words in entries}


def help_of(kind: type) -> dict[str, str]:
    """Key to what ``--help`` says of it."""
    parser = ArgumentParser()
    config.add_recipe(parser, kind)
    return {action.dest: " ".join(str(action.help).split()) for action in parser._actions}


def test_every_shared_key_is_documented_once_and_in_order():
    assert list(told_by(Recipe)) == SHARED


@pytest.mark.parametrize("task", sorted(RECIPES))
def test_a_recipe_inherits_every_shared_key_and_names_them_first(task, tmp_path):
    recipe = RECIPES[task](data="x")
    assert isinstance(recipe, Recipe)
    assert list(config.plain(recipe))[: len(SHARED)] == SHARED
    config.dump(recipe, tmp_path / "recipe.yaml")
    assert list(config.read_mapping(tmp_path / "recipe.yaml"))[: len(SHARED)] == SHARED


@pytest.mark.parametrize("task", sorted(RECIPES))
def test_help_says_of_each_key_what_the_class_that_has_it_says(task):
    kind = RECIPES[task]
    said, expected = help_of(kind), {**told_by(Recipe), **told_by(kind)}
    assert {name: said[name] for name in config.names_of(kind)} == expected


@pytest.mark.parametrize("task", sorted(RECIPES))
def test_only_the_data_must_be_given(task):
    lacking = {
        entry.name
        for entry in dataclasses.fields(RECIPES[task])
        if entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
    }
    assert lacking == {"data"}


def test_the_base_alone_leaves_to_each_task_what_depends_on_it():
    with pytest.raises(TypeError, match="epochs"):
        Recipe(data="x")
    assert AnomalyRecipe.learning_rate != JointRecipe.learning_rate and AnomalyRecipe.epochs != JointRecipe.epochs
    assert AnomalyRecipe.warmup_steps == JointRecipe.warmup_steps == Recipe.warmup_steps
