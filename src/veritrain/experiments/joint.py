"""Leaking valves and the view of a frame, from a recipe to a run folder with results and evidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from veritrain.data.detection_frames import ExchangedImages
from veritrain.errors import CheckpointError
from veritrain.experiments.box_rows import write_box_rows
from veritrain.experiments.driving_data import short_hash
from veritrain.experiments.echo_data import EchoData, open_echo_data
from veritrain.experiments.experiment import Experiment, Prepared
from veritrain.experiments.joint_pictures import write_gallery
from veritrain.experiments.joint_results import WEIGHTS_NOTE, balance_told, joint_results, weights_told
from veritrain.experiments.run_folder import FREE_ON_RESUME, network_facts
from veritrain.losses.options import BalanceOptions
from veritrain.models.options import COCO_ANCHORS, Anchors, YoloOptions
from veritrain.models.yolo_start import WeightFile
from veritrain.probes.probe import hash_of
from veritrain.record import RecordWriter, RunFolder
from veritrain.tasks.joint import NOTHING_CALLED, JointTask, flip_labels, term_weights_of
from veritrain.tasks.options import JointRecipe
from veritrain.tasks.task import Batch, Predictions, Scores
from veritrain.training import checkpoint as checkpoints
from veritrain.training.checkpoint import Checkpoint
from veritrain.training.evaluate import predict_set
from veritrain.training.options import LoopOptions

SELECTED_BY = "mean_of_claims"
"""The validation score that chooses the checkpoint: the mean of the claims' metrics."""

MEASURED_EVERY = 20
"""Steps between looks at the tasks' gradients at the shared layer, which cost a part of a step each."""

PreparedJoint = Prepared[JointRecipe, EchoData, JointTask]


class JointExperiment(Experiment[JointRecipe, EchoData, JointTask]):
    """The steps of a run of the joint task."""

    RECIPE = JointRecipe
    FREE_ON_RESUME = (*FREE_ON_RESUME, "weights")
    """The weight file may lie elsewhere; that its content is the same is told by its digest."""

    def open(self, recipe: JointRecipe) -> tuple[EchoData, JointTask]:
        """Read the data and set the task up."""
        weights = WeightFile.of(recipe.weights) if recipe.weights else None
        data = open_echo_data(recipe)
        network = _network(recipe, data)
        own = recipe.weighs_tasks
        return data, JointTask(
            network=network,
            class_names=data.classes,
            view_names=data.views,
            term_weights=term_weights_of(
                network,
                recipe.imgsz,
                detection=1.0 if own else recipe.detection_weight,
                view=1.0 if own else recipe.weight_of_view,
            ),
            noise=recipe.balance == "report004",
            weights=weights,
        )

    def loop_options(self, recipe: JointRecipe) -> LoopOptions:
        """The recipe's, with YOLOv5's decay of weights alone, Nesterov's momentum and, where asked for, its warm-up."""
        return replace(
            super().loop_options(recipe),
            decayed="weights",
            nesterov=recipe.optimiser == "sgd" and recipe.momentum > 0,
            warmup_epochs=recipe.warmup_epochs,
            warmup_bias_rate=recipe.warmup_bias_rate,
            warmup_momentum=recipe.warmup_momentum,
            final_rate=recipe.final_rate,
            ema_ramp=recipe.ema_ramp,
            grad_every_steps=MEASURED_EVERY,
            # Report 004 compared a last batch of two images with whole ones.
            drop_remainder=recipe.balance != "report004",
        )

    def balance_of(self, recipe: JointRecipe) -> BalanceOptions:
        return recipe.balancing()

    def refuse_changes(self, prepared: PreparedJoint, recipe: JointRecipe, folder: RunFolder) -> None:
        """Neither may the weight file that the run started from."""
        super().refuse_changes(prepared, recipe, folder)
        _refuse_other_weights(folder, recipe, prepared.task.weights)

    def tell_more(self, prepared: PreparedJoint, model: nn.Module, writer: RecordWriter) -> None:
        """How the split came about, and what was taken of a weight file."""
        writer.say(prepared.data.split.told())
        if prepared.task.weights is not None:
            start = prepared.task.weights.matched(model)
            writer.event("note", kind=WEIGHTS_NOTE, text=start.told(), **start.as_json())
            writer.say(start.told())

    def selected_by(self, task: JointTask) -> tuple[str, bool]:
        return SELECTED_BY, True

    def validation_scores(self, task: JointTask, predictions: Predictions) -> Scores:
        scores = task.score(predictions)
        return {**scores, SELECTED_BY: _mean_of_claims(task, scores)}

    def about(self, prepared: PreparedJoint) -> dict[str, Any]:
        task = prepared.task
        return {
            "network": asdict(task.network),
            "classes": list(task.class_names),
            "views": list(task.view_names),
            "letterbox": list(prepared.data.card["image_size"]),
            "term_weights": dict(task.term_weights),
        }

    def start_digests(self, prepared: PreparedJoint) -> dict[str, str | None]:
        weights = prepared.task.weights
        return {"weights": None if weights is None else weights.sha256}

    def without_start(self, recipe: JointRecipe) -> JointRecipe:
        return replace(recipe, weights="")

    def with_start(self, prepared: PreparedJoint, best: Checkpoint) -> PreparedJoint:
        """Probes that ask for a fresh network ask for the file, and it must be the one that it was."""
        if not prepared.recipe.weights:
            return prepared
        file = WeightFile(path=Path(prepared.recipe.weights), sha256=str(best.state["recipe"]["weights"]))
        return replace(prepared, task=replace(prepared.task, weights=file))

    def digest_of(self, card: Mapping[str, Any]) -> str:
        """SHA-256 of what a run's data are: the split, each decoded image, all labels, and the names."""
        parts = {part: [content["contents"], content["labels_sha256"]] for part, content in card["splits"].items()}
        return hash_of(card["split_sha256"], json.dumps([parts, card["classes"], card["views"]], sort_keys=True))

    def scored(self, prepared: PreparedJoint, model: nn.Module) -> tuple[PreparedJoint, Predictions]:
        """The task with its threshold, and the test predictions."""
        task, _ = _with_threshold(prepared, model)
        return replace(prepared, task=task), predict_set(task, model, prepared.data.sets["test"])

    def results_of(self, prepared: PreparedJoint, model: nn.Module) -> tuple[dict[str, Any], Predictions]:
        """The content of ``results.json`` (without the checkpoint), and the test predictions it rests on."""
        task, validation = _with_threshold(prepared, model)
        predictions = predict_set(task, model, prepared.data.sets["test"])
        return {
            **joint_results(task, prepared.data, predictions, validation),
            **network_facts(model, prepared.data.sets["test"]),
        }, predictions

    def results_of_training(self, folder: RunFolder) -> dict[str, Any]:
        """What the record tells of the gradients, and of a weight file."""
        return {"balance": balance_told(folder), "weights": weights_told(folder)}

    def as_scored(self, prepared: PreparedJoint, results: Mapping[str, Any]) -> PreparedJoint:
        """The task with the threshold of validation."""
        chosen = results["selection"]["threshold"]
        nothing = prepared.task.network.detects and chosen is None
        return replace(prepared, task=replace(prepared.task, threshold=NOTHING_CALLED if nothing else chosen))

    def write_predictions(self, prepared: PreparedJoint, predictions: Predictions, folder: RunFolder) -> None:
        """One row per box and per image as CSV, names as hashes; everything as .npz (no pickles)."""
        folder.predictions.mkdir(exist_ok=True)
        keys, task = prepared.data.keys["test"], prepared.task
        if task.network.sees_view:
            rows = [",".join(("id", "group", "label", *(f"score_{name}" for name in task.view_names)))]
            for key, label, scores in zip(
                keys, predictions["view_labels"], predictions["view_probabilities"], strict=True
            ):
                given = task.view_names[label] if label >= 0 else ""
                numbers = ",".join(f"{score:.6f}" for score in scores)
                rows.append(f"{short_hash(key.id)},{short_hash(key.group)},{given},{numbers}")
            (folder.predictions / "test_views.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        np.savez_compressed(folder.predictions / "test.npz", **dict(predictions))  # type: ignore[arg-type]
        if task.network.detects:
            write_box_rows(folder.predictions / "test_boxes.csv", predictions, keys, task.class_names)

    def write_gallery(self, prepared: PreparedJoint, predictions: Predictions, folder: RunFolder) -> None:
        write_gallery(prepared.data, prepared.task, predictions, folder)

    def flip_labels(self, batch: Batch, data: EchoData) -> Batch:
        return flip_labels(batch, classes=len(data.classes), views=len(data.views))

    def exchanged(self, data: EchoData, name: str) -> ExchangedImages:
        return ExchangedImages(data.sets["test"])


def _network(recipe: JointRecipe, data: EchoData) -> YoloOptions:
    sees_view = recipe.tasks != "detection"
    return YoloOptions(
        size=recipe.size,
        classes=0 if recipe.tasks == "view" else len(data.classes),
        views=len(data.views) if sees_view else 0,
        view_head=recipe.view_head if sees_view else "none",
        dual=recipe.dual,
        anchors=COCO_ANCHORS if data.anchors is None else _as_anchors(data.anchors.anchors),
    )


def _as_anchors(found: np.ndarray) -> Anchors:
    return tuple(tuple((float(width), float(height)) for width, height in level) for level in found.tolist())


def _mean_of_claims(task: JointTask, scores: Mapping[str, float | None]) -> float | None:
    """None while a claim's score is undefined."""
    values = [scores[claim.metric] for claim in task.claims]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def _refuse_other_weights(folder: RunFolder, recipe: JointRecipe, file: WeightFile | None) -> None:
    """Before anything is written: a resumed run keeps the weight file that it started from, wherever it lies.

    Raises:
        CheckpointError: its content changed, there is one now, or there is none any more.
    """
    newest = checkpoints.newest(folder)
    if newest is None:
        return
    before, now = newest.state["recipe"].get("weights"), None if file is None else file.sha256
    if before != now:
        raise CheckpointError(
            "the weights that the run starts from changed",
            expected="no weights" if before is None else f"weights with sha256 {before}",
            found="no weights" if now is None else f"weights with sha256 {now}",
            fix="resume with the file that the run started from, or train a new run",
            file=recipe.weights or folder.recipe,
        )


def _with_threshold(prepared: PreparedJoint, model: nn.Module) -> tuple[JointTask, Predictions]:
    """The task with the score threshold that is best on validation, and the predictions it was chosen on."""
    task = prepared.task
    validation = predict_set(task, model, prepared.data.sets["val"])
    if not task.network.detects:
        return task, validation
    chosen = task.box_tables(validation, ["all"] * len(validation["index"])).best_threshold()
    return replace(task, threshold=NOTHING_CALLED if chosen is None else float(chosen.threshold)), validation


EXPERIMENT = JointExperiment()
