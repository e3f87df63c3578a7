"""What goes into results.json beside the pooled scores, from a made world's test split."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from veritrain.experiments.evaluation import further_results, open_source


@pytest.fixture(scope="module")
def further(held):
    every = {"model": held.predictions, **held.trivial.predict("test", held.predictions)}
    return further_results(held.recipe, held.data, held.trivial, every, held.validation)


def test_pixel_ids_are_those_of_the_files_and_agree_with_the_labels(held):
    ids, labels = held.predictions["pixel_ids"], held.predictions["pixel_labels"]
    assert ids.shape == labels.shape and ids.dtype == np.uint8
    assert np.array_equal(np.isin(ids, [29, 30, 31, 32, 33, 34, 100]), labels == 1)
    key, source = held.data.keys["test"][3], open_source(held.recipe)
    folder = next(source.path.rglob(key.group.split("/")[1]))
    file = next(folder.glob(f"SEMANTIC-CAM*/*_{key.id.rsplit('/', 1)[1]}.png"))
    assert np.array_equal(ids[3], np.asarray(Image.open(file)))


def test_every_part_is_there_and_is_json(further):
    assert set(further) == {"by_kind", "curves_by_kind", "by_size", "voxels", "components"}
    json.dumps(further, allow_nan=False)
    assert {"family", "positives", "groups", "frame_auroc"} <= set(next(iter(further["by_kind"].values())))
    families = {entry["family"] for entry in further["by_kind"].values()}
    assert families == {"scenario type", "category", "sensors needed (made world)"}
    assert any(name.startswith("seen by ") for name in further["by_kind"])
    assert further["voxels"]["protocols"]["union"]["ap"]["value"] is not None
    assert further["components"]["tracks"]["obstacle, scaled"]["truths"] > 0


def test_no_name_of_a_scenario_is_in_it(held, further):
    text = json.dumps(further)
    assert not any(key.group in text or key.group.split("/")[1] in text for key in held.data.keys["test"])
