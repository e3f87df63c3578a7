"""From a recipe to a network and its arrays; and one real run with everything wider than the default."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import save_file

from veritrain import config
from veritrain.data.paired_view import ViewOptions
from veritrain.errors import CheckpointError, ConfigError
from veritrain.experiments.anomaly import EXPERIMENT as anomaly
from veritrain.experiments.networks import network_options, stages_of, view_options
from veritrain.models.image import SmallImageEncoder
from veritrain.models.options import FusionOptions
from veritrain.record import RunFolder
from veritrain.tasks.options import AnomalyRecipe
from veritrain.training.evaluate import predict_set


def recipe(**chosen) -> AnomalyRecipe:
    return AnomalyRecipe(data="", **chosen)


def test_the_default_recipe_is_the_default_network_with_no_dropout():
    assert network_options(recipe()) == FusionOptions(dropout=0.0)
    assert view_options(recipe()) == ViewOptions()


def test_every_choice_of_the_recipe_reaches_the_network():
    chosen = {
        "fusion": "concat",
        "image_tower": "resnet18",
        "points_tower": "raw",
        "image_weights": "a.safetensors",
        "freeze": "both",
        "positional": "hybrid",
        "alignment": "network",
        "head": "voxel",
        "frame_join": "mean",
        "width": 16,
        "blocks": 3,
        "dropout": 0.2,
        "modality_dropout": 0.1,
    }
    assert set(chosen) == {entry.name for entry in fields(FusionOptions)} - {"heads"}, "heads are no key of the recipe"
    found = network_options(recipe(**chosen))
    assert {name: getattr(found, name) for name in chosen} == chosen


@pytest.mark.parametrize(
    ("chosen", "asked"),
    [
        ({"alignment": "bilinear"}, {"pixels": True}),
        ({"positional": "sincos"}, {"rays": True}),
        ({"positional": "sincos", "fusion": "points_only"}, {}),
        ({"points_tower": "raw"}, {"returns": 16384}),
        ({"points_tower": "raw", "max_points": 500}, {"returns": 500}),
    ],
)
def test_only_what_the_network_reads_is_made(chosen, asked):
    assert view_options(recipe(**chosen)) == ViewOptions(**asked)


@pytest.mark.parametrize("chosen", [{"max_points": 99}, {"points_tower": "raw", "max_points": 0}])
def test_a_number_of_points_that_nothing_counts_is_refused(chosen):
    with pytest.raises(ConfigError, match="max_points"):
        view_options(recipe(**chosen))


def test_stages_are_an_epoch_and_a_name():
    assert stages_of(["3:image_encoder.layer4", " 10:image_encoder"]) == (
        (3, "image_encoder.layer4"),
        (10, "image_encoder"),
    )
    for wrong in ("image_encoder.layer4", "3", "x:image_encoder", "1:image_encoder", "3:", "3: layer4"):
        with pytest.raises(ConfigError, match="EPOCH:PREFIX"):
            stages_of([wrong])


def test_a_wrong_word_in_a_recipe_file_is_refused(tmp_path):
    file = tmp_path / "recipe.yaml"
    config.dump(replace(recipe(), positional="sincoss"), file)
    with pytest.raises(ConfigError, match="sincoss"):
        config.load(AnomalyRecipe, file)


@pytest.fixture(scope="module")
def finished(small_world, tmp_path_factory):
    base = tmp_path_factory.mktemp("wide")
    weights = base / "tower.safetensors"
    save_file(SmallImageEncoder(8).state_dict(), weights)
    chosen = AnomalyRecipe(
        data=str(small_world),
        cache=str(base / "decoded"),
        epochs=2,
        controls="none",
        threads=1,
        width=8,
        seed=2,
        batch_size=6,
        points_tower="raw",
        max_points=3000,
        positional="hybrid",
        alignment="bilinear",
        head="voxel",
        image_weights=str(weights),
        freeze="image",
        unfreeze=["2:image_encoder.blocks.1"],
    )
    folder = RunFolder(base / "run")
    anomaly.run(chosen, folder)
    return folder


def test_a_weight_file_that_changed_is_no_file_to_resume_with(finished):
    chosen = config.load(AnomalyRecipe, finished.recipe)
    weights = Path(chosen.image_weights)
    save_file({name: value + 1 for name, value in SmallImageEncoder(8).state_dict().items()}, weights)
    with pytest.raises(CheckpointError, match="image_weights"):
        anomaly.run(replace(chosen, epochs=3), finished, resume=True)
    weights.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        anomaly.run(replace(chosen, epochs=3), finished, resume=True)


def test_a_wide_run_ends_with_results_of_every_level_and_a_voxel_term(finished):
    results = json.loads(finished.results.read_text(encoding="utf-8"))
    assert {"frame_auroc", "point_ap", "pixel_ap"} <= set(results["metrics"])
    assert results["trainable"] < results["parameters"]
    terms = {json.loads(line).get("name") for line in finished.record.read_text().splitlines() if '"term"' in line}
    assert terms == {"frame", "point", "pixel", "voxel"}


def test_it_is_reopened_without_the_weight_file_and_scores_the_same(finished):
    prepared, model = anomaly.reopen(finished)
    predictions = predict_set(prepared.task, model, prepared.data.sets["test"])
    stored = np.load(finished.predictions / "test.npz")
    np.testing.assert_allclose(predictions["point_scores"], stored["point_scores"], atol=1e-6)
    assert len(predictions["point_scores"]) == len(predictions["point_labels"]) == predictions["point_counts"].sum()
