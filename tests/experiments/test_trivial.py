"""Trivial baselines over a split: three of them, from training labels alone."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.experiments.driving_data import open_driving_data
from veritrain.experiments.trivial import TrivialBaselines
from veritrain.tasks.levels import levels_of, scores_at


@pytest.mark.parametrize("part", ["val", "test"])
def test_every_baseline_scores_every_level(held, part):
    like = held.predictions if part == "test" else held.validation
    found = held.trivial.predict(part, like)
    assert list(found) == ["prior", "position map", "range"]
    for one in found.values():
        assert levels_of(one) == levels_of(like)
        for level in levels_of(like):
            assert len(scores_at(one, level)) == len(scores_at(like, level))
            assert np.array_equal(
                one[f"{level.removeprefix('object_')}_labels"], like[f"{level.removeprefix('object_')}_labels"]
            )


def test_among_objects_the_position_map_has_a_map_of_its_own(held):
    found = held.trivial.predict("test", held.predictions)["position map"]
    assert not np.array_equal(scores_at(found, "point"), scores_at(found, "object_point"))


def test_spoilt_labels_do_not_reach_the_baselines(held):
    from dataclasses import replace

    spoilt = TrivialBaselines(open_driving_data(replace(held.recipe, labels="permuted")))
    for name, one in held.trivial.predict("test", held.predictions).items():
        again = spoilt.predict("test", held.predictions)[name]
        assert all(np.array_equal(one[key], again[key]) for key in one if key.endswith("_scores")), name
