"""What a finished model is held against beyond the pooled scores: kinds, sizes, voxels, components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.options import AnoVoxOptions
from veritrain.data.sample import FrameKey
from veritrain.experiments.breakdown import broken_down, kind_families, size_families
from veritrain.experiments.component_scores import component_results
from veritrain.experiments.driving_data import DrivingData
from veritrain.experiments.kind_curves import curves_by_kind
from veritrain.experiments.trivial import TrivialBaselines
from veritrain.experiments.voxel_scores import voxel_results
from veritrain.experiments.world_facts import sensors_needed
from veritrain.tasks.options import AnomalyRecipe
from veritrain.tasks.task import Predictions, Task
from veritrain.training.evaluate import predict_set


def open_source(recipe: AnomalyRecipe) -> AnoVoxFormat:
    """The data set as it lies on disk, for what only an evaluation may see: stored voxels, pixel ids, stated sizes."""
    return AnoVoxFormat(recipe.data, AnoVoxOptions(on_broken=recipe.on_broken, layout=recipe.layout))


def predictions_on_test(recipe: AnomalyRecipe, data: DrivingData, task: Task, model: nn.Module) -> Predictions:
    """Predictions over test, with ``pixel_ids`` (N, H, W) uint8 where ids are on disk; no model ever sees them."""
    test = data.sets["test"]
    predictions = predict_set(task, model, test)
    ids = pixel_ids_of(open_source(recipe), data.keys["test"], test.frames[0].image.shape[:2])
    return predictions if ids is None else {**predictions, "pixel_ids": ids}


def further_results(
    recipe: AnomalyRecipe,
    data: DrivingData,
    trivial: TrivialBaselines,
    predictions: Mapping[str, Predictions],
    validation: Predictions,
) -> dict[str, Any]:
    """``by_kind``, ``curves_by_kind``, ``by_size``, ``voxels`` and ``components`` of results.json.

    Args:
        predictions: "model" and each baseline over test. validation: the model's over val, for the threshold.
    """
    keys, source = data.keys["test"], open_source(recipe)
    model = predictions["model"]
    baselines = {name: one for name, one in predictions.items() if name != "model"}
    groups = [key.group for key in keys]
    kinds = kind_families(keys, model, sensors_needed(recipe.data))
    chosen_on = {"model": validation, **trivial.predict("val", validation)}
    return {
        "by_kind": broken_down(kinds, model, baselines, groups),
        "curves_by_kind": curves_by_kind(kinds, model, groups),
        "by_size": broken_down(size_families(keys, model, source), model, baselines, groups),
        "voxels": voxel_results(source, keys, data.sets["test"].frames, model, baselines),
        "components": component_results(predictions, chosen_on, groups),
    }


def pixel_ids_of(source: AnoVoxFormat, keys: Sequence[FrameKey], size: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """(N, H, W) ids, 0 (unlabelled) in frames without a file; None where no frame has one."""
    ids = np.zeros((len(keys), *size), np.uint8)
    found = False
    for place, key in enumerate(keys):
        one = source.read_pixel_ids(key)
        if one is not None and one.shape == size:
            ids[place], found = one, True
    return ids if found else None
