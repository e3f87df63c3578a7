"""What the networks of the reports read and answer is what the catalogue and the networks say."""

from __future__ import annotations

import dataclasses

import pytest

from veritrain import catalog
from veritrain.models.origin_facts import ALL_RETURNS, ORIGIN, answered_levels, idle_keys, returns_of
from veritrain.tasks.options import AnomalyRecipe


def test_they_are_the_reports_networks_of_the_catalogue_in_its_order():
    # Report 002 is about images alone: it has a task of its own.
    of_frames = [name for name in catalog.MODELS if name.startswith("report") and not name.startswith("report002")]
    assert list(ORIGIN) == of_frames


@pytest.mark.parametrize("name", list(ORIGIN))
def test_a_network_without_returns_is_one_that_does_not_read_points(name):
    assert ("points" in catalog.resolve("models", name).inputs) == (ORIGIN[name].returns > 0)


@pytest.mark.parametrize("name", ["fusion", *ORIGIN])
def test_idle_keys_are_keys_of_the_recipe(name):
    assert set(idle_keys(name)) <= {field.name for field in dataclasses.fields(AnomalyRecipe)}


def test_what_is_asked_for_comes_before_what_the_report_used():
    assert returns_of("report001-attention", 0) == 1000 and returns_of("report001-attention", 64) == 64
    assert returns_of("report001-image-only", 64) == returns_of("fusion", 0) == 0
    assert returns_of("report001-scene", 0) == ALL_RETURNS > 92_000


def test_levels():
    assert answered_levels("fusion", "attention") == ("frame", "point", "pixel")
    assert answered_levels("fusion", "points_only") == ("frame", "point")
    assert answered_levels("report001-voxelwise", "attention") == ("point",)
    assert answered_levels("report001-scene", "attention") == ("frame",)
