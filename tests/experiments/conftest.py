"""The small world opened once: data, an untrained network's predictions over test, and trivial baselines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from veritrain.experiments.anomaly import EXPERIMENT as anomaly
from veritrain.experiments.driving_data import DrivingData
from veritrain.experiments.evaluation import predictions_on_test
from veritrain.experiments.trivial import TrivialBaselines
from veritrain.tasks.options import AnomalyRecipe
from veritrain.training.evaluate import predict_set


@dataclass(frozen=True, kw_only=True)
class Held:
    """What an evaluation starts from; ``predictions`` know a little (noise plus the labels)."""

    recipe: AnomalyRecipe
    data: DrivingData
    trivial: TrivialBaselines
    predictions: dict[str, Any]
    validation: dict[str, Any]


@pytest.fixture(scope="session")
def held(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Held:
    """Read only."""
    recipe = AnomalyRecipe(data=str(small_world), cache=str(tmp_path_factory.mktemp("held")), threads=1, width=8)
    prepared = anomaly.prepare(recipe)
    torch.manual_seed(0)
    model = prepared.task.model()
    test = predictions_on_test(recipe, prepared.data, prepared.task, model)
    validation = predict_set(prepared.task, model, prepared.data.sets["val"])
    knowing = [_knowing(one, seed) for seed, one in enumerate((test, validation))]
    trivial = TrivialBaselines(prepared.data)
    return Held(recipe=recipe, data=prepared.data, trivial=trivial, predictions=knowing[0], validation=knowing[1])


def _knowing(predictions: Any, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    out = dict(predictions)
    for level in ("frame", "point", "pixel"):
        labels = out[f"{level}_labels"]
        out[f"{level}_scores"] = (0.6 * rng.random(labels.shape) + 0.3 * (labels == 1)).astype(np.float32)
    return out
