"""The driving anomaly detector, from a recipe to a run folder with results and evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from veritrain import config
from veritrain.data.frames import LABEL_KEYS, ExchangedInput
from veritrain.experiments.driving_data import DrivingData, open_driving_data, short_hash
from veritrain.experiments.evaluation import further_results, predictions_on_test
from veritrain.experiments.memory_bank import demand_reference, reference_results
from veritrain.experiments.networks import network_options, stages_of, weights_digest
from veritrain.experiments.pictures import write_gallery
from veritrain.experiments.run_folder import (
    EXCUSED,
    PERMUTED_RUNS,
    demand_same_data,
    environment,
    fingerprint_of,
    make_evidence_of,
    network_facts,
    probes_of,
    refuse_changes,
    refuse_existing,
    scored_checkpoint,
    tell_start,
    valued,
)
from veritrain.experiments.run_folder import FREE_ON_RESUME as FREE_OF_ALL
from veritrain.experiments.short import short_training
from veritrain.experiments.trivial import TrivialBaselines
from veritrain.losses.binary import balance_of
from veritrain.metrics.threshold import best_f1_threshold, confusion
from veritrain.models.origin_facts import answered_levels
from veritrain.probes.probe import FinishedRun, hash_of
from veritrain.record import RecordWriter, RunFolder, write_json
from veritrain.tasks.anomaly import AnomalyTask, claims_of, flip_labels, label_keys_of, labelled, returns_scored
from veritrain.tasks.options import AnomalyRecipe
from veritrain.tasks.task import Predictions
from veritrain.training import checkpoint as checkpoints
from veritrain.training.curves import curves_of_levels
from veritrain.training.engine import native_precision
from veritrain.training.evaluate import predict_set, scores_with_intervals
from veritrain.training.loggers.logger import demand_loggers, start_loggers
from veritrain.training.loop import fit
from veritrain.training.optimise import demand_prefixes
from veritrain.training.options import LoopOptions

CURVES = ("frame", "point")
FREE_ON_RESUME = (*FREE_OF_ALL, "reference", "reference_size", "reference_weights")


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a recipe becomes before any training."""

    recipe: AnomalyRecipe
    data: DrivingData
    task: AnomalyTask


def prepare(recipe: AnomalyRecipe) -> Prepared:
    """Read the data and set the task up; ``pos_weight`` comes once from the training split as this run reads it."""
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    network = network_options(recipe)
    data = open_driving_data(recipe)
    weights = {"frame": recipe.frame_weight, "point": recipe.point_weight, "pixel": recipe.pixel_weight}
    levels = answered_levels(recipe.model, recipe.fusion)
    weights = {level: weight for level, weight in weights.items() if level in levels}
    pos_weights = _pos_weights(data, label_keys_of(recipe.model), recipe.most_pos_weight)
    if network.head == "voxel":
        weights["voxel"], pos_weights["voxel"] = weights["point"], pos_weights["point"]
    task = AnomalyTask(
        network=network,
        loss=recipe.loss,
        pos_weights=pos_weights,
        term_weights=weights,
        claims=claims_of(recipe.model),
        model_name=recipe.model,
    )
    return Prepared(recipe=recipe, data=data, task=task)


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


def loop_options(recipe: AnomalyRecipe) -> LoopOptions:
    return LoopOptions(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        accumulate=recipe.accumulate,
        optimiser=recipe.optimiser,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        schedule=recipe.schedule,
        warmup_steps=recipe.warmup_steps,
        clip_norm=recipe.clip_norm or None,
        precision=native_precision(recipe.precision),  # type: ignore[arg-type]
        channels_last=recipe.channels_last,
        compile=recipe.compile,
        ema_decay=recipe.ema_decay,
        workers=recipe.workers,
        prefetch=recipe.prefetch,
        seed=recipe.seed,
        checkpoint_every_steps=recipe.checkpoint_every or None,
        keep_checkpoints=recipe.keep_checkpoints,
        max_seconds=recipe.max_seconds or None,
        validate_every=recipe.validate_every,
        patience=recipe.patience or None,
        unfreeze=stages_of(recipe.unfreeze),
    )


def run(
    recipe: AnomalyRecipe,
    folder: RunFolder,
    *,
    resume: bool = False,
    after_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train, evaluate and make the evidence; the folder then holds all that a verdict needs.

    Raises:
        RunInUseError, NonFiniteError, Interrupted, StorageError, DataError: as their names say; what was saved stays.
    """
    demand_loggers(recipe.loggers)
    with RecordWriter(folder) as writer:
        if not resume:
            refuse_existing(folder)
        tracked = config.Tracked(recipe)
        prepared = prepare(tracked)  # type: ignore[arg-type]
        demand_reference(prepared.recipe, prepared.data)
        if resume:
            refuse_changes(folder, recipe, prepared.data.card, free=FREE_ON_RESUME, digest_of=digest_of)
        # What does not fit (weights, frozen parts, numbers of the loop) is refused before anything is written.
        options = loop_options(prepared.recipe)
        torch.manual_seed(recipe.seed)
        model = prepared.task.model()
        demand_prefixes(model, options.unfreeze)
        config.dump(recipe, folder.recipe)
        write_json(folder.environment, environment())
        write_json(folder.data, prepared.data.card)
        start_loggers(tracked.loggers, writer, folder, resume=resume)
        tell_start(writer, prepared.task, resume=resume)
        writer.say(prepared.data.held)
        if recipe.precision == "auto":
            writer.say(f"precision auto is {options.precision} on this machine")
        _fit(prepared, model, options, writer, folder, resume, after_epoch)
        model.cpu()  # everything after training is small, and is then the same on every machine
        predictions = _report_test(prepared, model, folder, writer)
        write_gallery(prepared.data, predictions, folder)
        make_evidence(prepared, model, predictions, folder, writer, names=probes_of(tracked.controls))
        tracked.refuse_unread(excused=EXCUSED)
        writer.event("end", status="done")


def _fit(
    prepared: Prepared,
    model: nn.Module,
    options: LoopOptions,
    writer: RecordWriter,
    folder: RunFolder,
    resume: bool,
    after_epoch: Callable[[], None],
) -> None:
    task, data, recipe = prepared.task, prepared.data, prepared.recipe

    def validate(network: nn.Module, epoch: int) -> Mapping[str, float | None]:
        scores = task.score(predict_set(task, network, data.sets["val"]))
        after_epoch()
        return scores

    fit(
        task=task,
        model=model,
        train=data.sets["train"],
        validate=validate,
        select=(task.claims[0].metric, task.claims[0].higher_is_better),
        options=options,
        writer=writer,
        folder=folder,
        resume=resume,
        about={
            "network": {"model": task.model_name, **(asdict(task.network) if task.model_name == "fusion" else {})},
            "classes": ["normal", "anomalous"],
            "pos_weights": dict(task.pos_weights),
        },
        recipe={
            "fingerprint": fingerprint(recipe),
            "data": digest_of(data.card),
            "image_weights": weights_digest(recipe),
        },
    )


def fingerprint(recipe: AnomalyRecipe) -> str:
    """What must not change between a checkpoint and its resumption."""
    return fingerprint_of(recipe, FREE_ON_RESUME)


def _report_test(prepared: Prepared, model: nn.Module, folder: RunFolder, writer: RecordWriter) -> Predictions:
    """Load the best checkpoint, look at test once, write results, predictions and curves."""
    best = checkpoints.best(folder)
    checkpoints.load_weights(best, model)
    writer.event("look", split="val", purpose="threshold")
    writer.event("look", split="test", purpose="final evaluation")
    started = time.monotonic()
    results, predictions = results_of(prepared, model)
    results["checkpoint"] = scored_checkpoint(folder, best)
    write_json(folder.results, results)
    _write_predictions(prepared, predictions, folder)
    for name, entry in results["metrics"].items():
        writer.event("metric", name=name, split="test", value=entry["value"], n=entry["n"])
    writer.say(f"evaluated on test in {time.monotonic() - started:.1f} s")
    return predictions


def plain_scores(prepared: Prepared, model: nn.Module) -> dict[str, Any]:
    """The test scores alone, without intervals: what a fresh process compares."""
    predictions = predictions_on_test(prepared.recipe, prepared.data, prepared.task, model)
    return {"metrics": valued(prepared.task.score(predictions))}


def scored(prepared: Prepared, model: nn.Module) -> tuple[Prepared, Predictions]:
    """What probes work on: the same as prepared, and the test predictions."""
    return prepared, predictions_on_test(prepared.recipe, prepared.data, prepared.task, model)


def results_of(prepared: Prepared, model: nn.Module) -> tuple[dict[str, Any], Predictions]:
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


def _confusion(predictions: Predictions, threshold: float | None) -> dict[str, Any] | None:
    if threshold is None:
        return None
    found = confusion(*labelled(predictions, "frame"), threshold)
    return {"threshold": threshold, "split": "test", **asdict(found)}


def _write_predictions(prepared: Prepared, predictions: Predictions, folder: RunFolder) -> None:
    """Frame scores as CSV; everything as .npz (no pickles)."""
    folder.predictions.mkdir(exist_ok=True)
    keys = prepared.data.keys["test"]
    rows = ["id,group,label,score"]
    for key, label, score in zip(keys, predictions["frame_labels"], predictions["frame_scores"], strict=True):
        rows.append(f"{short_hash(key.id)},{short_hash(key.group)},{label},{score:.6f}")
    (folder.predictions / "test_frames.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    kept = {name: array for name, array in predictions.items() if not name.startswith("pixel")}
    np.savez_compressed(folder.predictions / "test.npz", **{k: _narrow(v) for k, v in kept.items()})  # type: ignore[arg-type]


def _narrow(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16) if array.dtype == np.float32 and array.ndim > 1 else array


def finished_run(prepared: Prepared, model: nn.Module, predictions: Predictions, folder: RunFolder) -> FinishedRun:
    """What the probes work on."""
    data, task, recipe = prepared.data, prepared.task, prepared.recipe

    def fit_again(label_seed: int | None, steps: int) -> nn.Module:
        train = data.sets["train"]
        chosen = train if label_seed is None else train.with_permuted_labels(label_seed)
        return short_training(task, chosen, loop_options(recipe), steps)

    def blank(name: str) -> Predictions:
        return predict_set(task, model, ExchangedInput(data.sets["test"], name))

    return FinishedRun(
        task=task,
        model=model,
        train=data.sets["train"],
        val=data.sets["val"],
        test=data.sets["test"],
        groups=data.test_groups,
        predictions=predictions,
        fit_again=fit_again,
        flip_labels=flip_labels,
        blank=blank,
        label_of=lambda split, index: data.sets[split].label_of(index),
        control_steps=recipe.control_steps,
        permuted_runs=PERMUTED_RUNS[recipe.controls],
        folder=folder,
        seed=recipe.seed,
        inputs_hash=hash_of(checkpoints.best(folder).weights_sha256, data.card["split_sha256"]),
    )


def make_evidence(
    prepared: Prepared,
    model: nn.Module,
    predictions: Predictions,
    folder: RunFolder,
    writer: RecordWriter,
    *,
    names: tuple[str, ...],
) -> None:
    """Run the named probes; each look at test is recorded with its purpose."""
    if not names:
        return
    make_evidence_of(finished_run(prepared, model, predictions, folder), writer, names)


def reopen(folder: RunFolder) -> tuple[Prepared, nn.Module]:
    """A finished run from its folder: data, task, and the network with the best checkpoint's weights.

    Raises:
        RecordError: the folder is no run, or its data are not those it was trained on.
    """
    recipe = config.load(AnomalyRecipe, folder.recipe)
    prepared = prepare(recipe)
    demand_same_data(folder, prepared.data.card, digest_of)
    # The checkpoint holds all weights: the file that the image tower started from may be gone.
    model = replace(prepared.task, network=replace(prepared.task.network, image_weights="")).model()
    checkpoints.load_weights(checkpoints.best(folder), model)
    return prepared, model


def digest_of(card: Mapping[str, Any]) -> str:
    """SHA-256 of what a run's data are: the split, each frame's decoded sensors, and the label counts."""
    parts = {
        part: [content["contents"], content["positives"], content["negatives"], content["unknown"]]
        for part, content in card["splits"].items()
    }
    return hash_of(card["split_sha256"], json.dumps(parts, sort_keys=True))
