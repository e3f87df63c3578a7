"""The driving anomaly detector, from a recipe to a run folder with results and evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from torch import nn

from veritrain.data.frames import LABEL_KEYS, ExchangedInput
from veritrain.experiments.driving_data import DrivingData, open_driving_data, short_hash
from veritrain.experiments.evaluation import further_results, predictions_on_test
from veritrain.experiments.experiment import Experiment, Prepared
from veritrain.experiments.memory_bank import demand_reference, reference_results
from veritrain.experiments.networks import network_options, stages_of, weights_digest
from veritrain.experiments.pictures import write_gallery
from veritrain.experiments.run_folder import FREE_ON_RESUME, network_facts, valued
from veritrain.experiments.trivial import TrivialBaselines
from veritrain.losses.binary import balance_of
from veritrain.metrics.threshold import best_f1_threshold, confusion
from veritrain.models.origin_facts import answered_levels
from veritrain.probes.probe import hash_of
from veritrain.record import RunFolder
from veritrain.tasks.anomaly import AnomalyTask, claims_of, flip_labels, label_keys_of, labelled, returns_scored
from veritrain.tasks.options import AnomalyRecipe
from veritrain.tasks.task import Batch, Predictions
from veritrain.training.checkpoint import Checkpoint
from veritrain.training.curves import curves_of_levels
from veritrain.training.evaluate import predict_set, scores_with_intervals
from veritrain.training.options import LoopOptions

CURVES = ("frame", "point")

PreparedAnomaly = Prepared[AnomalyRecipe, DrivingData, AnomalyTask]


class AnomalyExperiment(Experiment[AnomalyRecipe, DrivingData, AnomalyTask]):
    """The steps of a run of the anomaly task."""

    RECIPE = AnomalyRecipe
    FREE_ON_RESUME = (*FREE_ON_RESUME, "reference", "reference_size", "reference_weights")

    def open(self, recipe: AnomalyRecipe) -> tuple[DrivingData, AnomalyTask]:
        """Read the data and set the task up; ``pos_weight`` comes once from the training split as this run reads it."""
        network = network_options(recipe)
        data = open_driving_data(recipe)
        weights = {"frame": recipe.frame_weight, "point": recipe.point_weight, "pixel": recipe.pixel_weight}
        levels = answered_levels(recipe.model, recipe.fusion)
        weights = {level: weight for level, weight in weights.items() if level in levels}
        pos_weights = _pos_weights(data, label_keys_of(recipe.model), recipe.most_pos_weight)
        if network.head == "voxel":
            weights["voxel"], pos_weights["voxel"] = weights["point"], pos_weights["point"]
        return data, AnomalyTask(
            network=network,
            loss=recipe.loss,
            pos_weights=pos_weights,
            term_weights=weights,
            claims=claims_of(recipe.model),
            model_name=recipe.model,
        )

    def demand(self, prepared: PreparedAnomaly) -> None:
        """Normal scenarios, where the recipe asks for a reference that is made of them."""
        demand_reference(prepared.recipe, prepared.data)

    def loop_options(self, recipe: AnomalyRecipe) -> LoopOptions:
        """The recipe's, with what stays frozen until when."""
        return replace(super().loop_options(recipe), unfreeze=stages_of(recipe.unfreeze))

    def about(self, prepared: PreparedAnomaly) -> dict[str, Any]:
        task = prepared.task
        return {
            "network": {"model": task.model_name, **(asdict(task.network) if task.model_name == "fusion" else {})},
            "classes": ["normal", "anomalous"],
            "pos_weights": dict(task.pos_weights),
        }

    def start_digests(self, prepared: PreparedAnomaly) -> dict[str, str | None]:
        return {"image_weights": weights_digest(prepared.recipe)}

    def without_start(self, recipe: AnomalyRecipe) -> AnomalyRecipe:
        return replace(recipe, image_weights="")

    def with_start(self, prepared: PreparedAnomaly, best: Checkpoint) -> PreparedAnomaly:
        return replace(prepared, task=replace(prepared.task, network=network_options(prepared.recipe)))

    def digest_of(self, card: Mapping[str, Any]) -> str:
        """SHA-256 of what a run's data are: the split, each frame's decoded sensors, and the label counts."""
        parts = {
            part: [content["contents"], content["positives"], content["negatives"], content["unknown"]]
            for part, content in card["splits"].items()
        }
        return hash_of(card["split_sha256"], json.dumps(parts, sort_keys=True))

    def scored(self, prepared: PreparedAnomaly, model: nn.Module) -> tuple[PreparedAnomaly, Predictions]:
        """The same as prepared, and the test predictions."""
        return prepared, predictions_on_test(prepared.recipe, prepared.data, prepared.task, model)

    def results_of(self, prepared: PreparedAnomaly, model: nn.Module) -> tuple[dict[str, Any], Predictions]:
        """The content of ``results.json`` (without the checkpoint), and the test predictions it rests on."""
        task, data = prepared.task, prepared.data
        predictions = predictions_on_test(prepared.recipe, data, task, model)
        groups, trivial = data.test_groups, TrivialBaselines(data)
        baselines = trivial.predict("test", predictions)
        of = np.unique(np.asarray(groups), return_inverse=True)[1]
        validation = predict_set(task, model, data.sets["val"])
        chosen = best_f1_threshold(*labelled(validation, "frame"))
        threshold = None if chosen is None else chosen.threshold
        return {
            "schema": 1,
            "task": task.name,
            "made_data": data.card["made_data"],
            "metrics": scores_with_intervals(task, predictions, baselines, groups),
            "selection": {"split": "val", "metrics": valued(task.score(validation)), "threshold": threshold},
            "confusion": _confusion(predictions, threshold),
            **further_results(prepared.recipe, data, trivial, {"model": predictions, **baselines}, validation),
            "reference": reference_results(prepared.recipe, data, task, trivial, predictions),
            "curves": curves_of_levels(predictions, CURVES, of),
            "returns_scored": returns_scored(predictions),
            **network_facts(model, data.sets["test"]),
        }, predictions

    def write_predictions(self, prepared: PreparedAnomaly, predictions: Predictions, folder: RunFolder) -> None:
        """Frame scores as CSV; everything as .npz (no pickles)."""
        folder.predictions.mkdir(exist_ok=True)
        keys = prepared.data.keys["test"]
        rows = ["id,group,label,score"]
        for key, label, score in zip(keys, predictions["frame_labels"], predictions["frame_scores"], strict=True):
            rows.append(f"{short_hash(key.id)},{short_hash(key.group)},{label},{score:.6f}")
        (folder.predictions / "test_frames.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        kept = {name: array for name, array in predictions.items() if not name.startswith("pixel")}
        np.savez_compressed(folder.predictions / "test.npz", **{k: _narrow(v) for k, v in kept.items()})  # type: ignore[arg-type]

    def write_gallery(self, prepared: PreparedAnomaly, predictions: Predictions, folder: RunFolder) -> None:
        threshold = json.loads(folder.results.read_text(encoding="utf-8"))["selection"]["threshold"]
        write_gallery(prepared.data, predictions, folder, threshold=threshold)

    def flip_labels(self, batch: Batch, data: DrivingData) -> Batch:
        return flip_labels(batch)

    def exchanged(self, data: DrivingData, name: str) -> ExchangedInput:
        return ExchangedInput(data.sets["test"], name)


def _pos_weights(data: DrivingData, keys: Mapping[str, str], most: float) -> dict[str, float]:
    counts = {level: np.zeros(2, np.int64) for level in keys}
    train = data.sets["train"]
    labels_suffice = set(keys.values()) <= set(LABEL_KEYS)
    for index in range(len(train)):
        own = train.labels_at(index) if labels_suffice else train.sample(index, epoch=0, seed=0)
        for level, key in keys.items():
            labels = np.asarray(own[key])
            counts[level] += (int((labels == 1).sum()), int((labels == 0).sum()))
    return {level: balance_of(int(yes), int(no), most=most) for level, (yes, no) in counts.items()}


def _confusion(predictions: Predictions, threshold: float | None) -> dict[str, Any] | None:
    if threshold is None:
        return None
    found = confusion(*labelled(predictions, "frame"), threshold)
    return {"threshold": threshold, "split": "test", **asdict(found)}


def _narrow(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16) if array.dtype == np.float32 and array.ndim > 1 else array


EXPERIMENT = AnomalyExperiment()
