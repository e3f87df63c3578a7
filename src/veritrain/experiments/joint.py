"""Leaking valves and the view of a frame, from a recipe to a run folder with results and evidence."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from veritrain import config
from veritrain.data.detection_frames import ExchangedImages
from veritrain.errors import CheckpointError
from veritrain.experiments.driving_data import short_hash
from veritrain.experiments.echo_data import EchoData, open_echo_data
from veritrain.experiments.joint_pictures import write_gallery
from veritrain.experiments.joint_results import WEIGHTS_NOTE, balance_told, joint_results, weights_told
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
from veritrain.models.options import COCO_ANCHORS, Anchors, YoloOptions
from veritrain.models.yolo_start import WeightFile
from veritrain.probes.probe import FinishedRun, hash_of
from veritrain.record import RecordWriter, RunFolder, write_json
from veritrain.tasks.joint import NOTHING_CALLED, JointTask, flip_labels, term_weights_of
from veritrain.tasks.options import JointRecipe
from veritrain.tasks.task import Predictions
from veritrain.training import checkpoint as checkpoints
from veritrain.training.engine import native_precision
from veritrain.training.evaluate import predict_set
from veritrain.training.loggers.logger import demand_loggers, start_loggers
from veritrain.training.loop import fit
from veritrain.training.options import LoopOptions

FREE_ON_RESUME = (*FREE_OF_ALL, "weights")
"""The weight file may lie elsewhere; that its content is the same is told by its digest."""
SELECTED_BY = "mean_of_claims"
"""The validation score that chooses the checkpoint: the mean of the claims' metrics."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a recipe becomes before any training."""

    recipe: JointRecipe
    data: EchoData
    task: JointTask


def prepare(recipe: JointRecipe) -> Prepared:
    """Read the data and set the task up."""
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    weights = WeightFile.of(recipe.weights) if recipe.weights else None
    data = open_echo_data(recipe)
    network = _network(recipe, data)
    own = recipe.weighs_tasks
    task = JointTask(
        network=network,
        class_names=data.classes,
        view_names=data.views,
        term_weights=term_weights_of(
            network,
            recipe.imgsz,
            detection=1.0 if own else recipe.detection_weight,
            view=1.0 if own else recipe.view_weight,
        ),
        noise=recipe.balance == "report004",
        weights=weights,
    )
    return Prepared(recipe=recipe, data=data, task=task)


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


def loop_options(recipe: JointRecipe) -> LoopOptions:
    return LoopOptions(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        accumulate=recipe.accumulate,
        optimiser=recipe.optimiser,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        decayed="weights",
        momentum=recipe.momentum,
        nesterov=recipe.optimiser == "sgd" and recipe.momentum > 0,
        schedule=recipe.schedule,
        warmup_steps=recipe.warmup_steps,
        clip_norm=recipe.clip_norm or None,
        precision=native_precision(recipe.precision),  # type: ignore[arg-type]
        channels_last=recipe.channels_last,
        compile=recipe.compile,
        ema_decay=recipe.ema_decay,
        ema_ramp=recipe.ema_ramp,
        workers=recipe.workers,
        prefetch=recipe.prefetch,
        # Report 004 compared a last batch of two images with whole ones.
        drop_remainder=recipe.balance != "report004",
        seed=recipe.seed,
        checkpoint_every_steps=recipe.checkpoint_every or None,
        keep_checkpoints=recipe.keep_checkpoints,
        max_seconds=recipe.max_seconds or None,
        validate_every=recipe.validate_every,
        patience=recipe.patience or None,
    )


def run(
    recipe: JointRecipe,
    folder: RunFolder,
    *,
    resume: bool = False,
    after_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train, evaluate and make the evidence; the folder then holds all that a verdict needs.

    Raises:
        RunInUseError, NonFiniteError, Interrupted, StorageError, DataError: as their names say; what was saved stays.
        UnconnectedTaskError: the loss of a task does not reach the network.
    """
    demand_loggers(recipe.loggers)
    with RecordWriter(folder) as writer:
        if not resume:
            refuse_existing(folder)
        tracked = config.Tracked(recipe)
        prepared = prepare(tracked)  # type: ignore[arg-type]
        if resume:
            refuse_changes(folder, recipe, prepared.data.card, free=FREE_ON_RESUME, digest_of=digest_of)
            _refuse_other_weights(folder, recipe, prepared.task.weights)
        # What does not fit is refused before anything is written.
        options = loop_options(prepared.recipe)
        torch.manual_seed(recipe.seed)
        model = prepared.task.model()
        config.dump(recipe, folder.recipe)
        write_json(folder.environment, environment())
        write_json(folder.data, prepared.data.card)
        start_loggers(tracked.loggers, writer, folder, resume=resume)
        tell_start(writer, prepared.task, resume=resume)
        writer.say(prepared.data.held)
        writer.say(prepared.data.split.told())
        if prepared.task.weights is not None:
            start = prepared.task.weights.matched(model)
            writer.event("note", kind=WEIGHTS_NOTE, text=start.told(), **start.as_json())
            writer.say(start.told())
        if recipe.precision == "auto":
            writer.say(f"precision auto is {options.precision} on this machine")
        _fit(prepared, model, options, writer, folder, resume, after_epoch)
        model.cpu()  # everything after training is small, and is then the same on every machine
        task, predictions = _report_test(prepared, model, folder, writer)
        write_gallery(prepared.data, task, predictions, folder)
        chosen = replace(prepared, task=task)
        make_evidence(chosen, model, predictions, folder, writer, names=probes_of(tracked.controls))
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
        return {**scores, SELECTED_BY: _mean_of_claims(task, scores)}

    fit(
        task=task,
        model=model,
        train=data.sets["train"],
        validate=validate,
        select=(SELECTED_BY, True),
        options=options,
        writer=writer,
        folder=folder,
        resume=resume,
        about={
            "network": asdict(task.network),
            "classes": list(task.class_names),
            "views": list(task.view_names),
            "letterbox": list(data.card["image_size"]),
            "term_weights": dict(task.term_weights),
        },
        recipe={
            "fingerprint": fingerprint(recipe),
            "data": digest_of(data.card),
            "weights": None if task.weights is None else task.weights.sha256,
        },
        balance=recipe.balancing(),
    )


def _mean_of_claims(task: JointTask, scores: Mapping[str, float | None]) -> float | None:
    """None while a claim's score is undefined."""
    values = [scores[claim.metric] for claim in task.claims]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def fingerprint(recipe: JointRecipe) -> str:
    """What must not change between a checkpoint and its resumption."""
    return fingerprint_of(recipe, FREE_ON_RESUME)


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


def digest_of(card: Mapping[str, Any]) -> str:
    """SHA-256 of what a run's data are: the split, each decoded image, all labels, and the names."""
    parts = {part: [content["contents"], content["labels_sha256"]] for part, content in card["splits"].items()}
    return hash_of(card["split_sha256"], json.dumps([parts, card["classes"], card["views"]], sort_keys=True))


def _report_test(
    prepared: Prepared, model: nn.Module, folder: RunFolder, writer: RecordWriter
) -> tuple[JointTask, Predictions]:
    """Load the best checkpoint, look at test once, write results and predictions; the task with its threshold."""
    best = checkpoints.best(folder)
    checkpoints.load_weights(best, model)
    writer.event("look", split="val", purpose="threshold")
    writer.event("look", split="test", purpose="final evaluation")
    started = time.monotonic()
    results, predictions = results_of(prepared, model)
    results["checkpoint"] = scored_checkpoint(folder, best)
    results["balance"] = balance_told(folder)
    results["weights"] = weights_told(folder)
    write_json(folder.results, results)
    _write_predictions(prepared, predictions, folder)
    for name, entry in results["metrics"].items():
        writer.event("metric", name=name, split="test", value=entry["value"], n=entry["n"])
    writer.say(f"evaluated on test in {time.monotonic() - started:.1f} s")
    chosen = results["selection"]["threshold"]
    detects = prepared.task.network.detects
    return replace(prepared.task, threshold=NOTHING_CALLED if detects and chosen is None else chosen), predictions


def with_threshold(prepared: Prepared, model: nn.Module) -> tuple[JointTask, Predictions]:
    """The task with the score threshold that is best on validation, and the predictions it was chosen on."""
    task = prepared.task
    validation = predict_set(task, model, prepared.data.sets["val"])
    if not task.network.detects:
        return task, validation
    chosen = task.box_tables(validation, ["all"] * len(validation["index"])).best_threshold()
    return replace(task, threshold=NOTHING_CALLED if chosen is None else float(chosen.threshold)), validation


def plain_scores(prepared: Prepared, model: nn.Module) -> dict[str, Any]:
    """The test scores alone, without intervals: what a fresh process compares."""
    task, _ = with_threshold(prepared, model)
    return {"metrics": valued(task.score(predict_set(task, model, prepared.data.sets["test"])))}


def scored(prepared: Prepared, model: nn.Module) -> tuple[Prepared, Predictions]:
    """What probes work on: the task with its threshold, and the test predictions."""
    task, _ = with_threshold(prepared, model)
    return replace(prepared, task=task), predict_set(task, model, prepared.data.sets["test"])


def results_of(prepared: Prepared, model: nn.Module) -> tuple[dict[str, Any], Predictions]:
    """The content of ``results.json`` (without the checkpoint), and the test predictions it rests on."""
    task, validation = with_threshold(prepared, model)
    predictions = predict_set(task, model, prepared.data.sets["test"])
    return {
        **joint_results(task, prepared.data, predictions, validation),
        **network_facts(model, prepared.data.sets["test"]),
    }, predictions


def _write_predictions(prepared: Prepared, predictions: Predictions, folder: RunFolder) -> None:
    """One row per box and per image as CSV, names as hashes; everything as .npz (no pickles)."""
    folder.predictions.mkdir(exist_ok=True)
    keys, task = prepared.data.keys["test"], prepared.task
    if task.network.sees_view:
        rows = [",".join(("id", "group", "label", *(f"score_{name}" for name in task.view_names)))]
        for key, label, scores in zip(keys, predictions["view_labels"], predictions["view_probabilities"], strict=True):
            given = task.view_names[label] if label >= 0 else ""
            numbers = ",".join(f"{score:.6f}" for score in scores)
            rows.append(f"{short_hash(key.id)},{short_hash(key.group)},{given},{numbers}")
        (folder.predictions / "test_views.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    np.savez_compressed(folder.predictions / "test.npz", **dict(predictions))  # type: ignore[arg-type]
    if task.network.detects:
        rows = ["id,group,class,score,left,top,right,bottom"]
        owner = np.repeat(np.arange(len(keys)), predictions["box_counts"])
        for at, box, score, cls in zip(
            owner, predictions["boxes"], predictions["box_scores"], predictions["box_classes"], strict=True
        ):
            place = ",".join(f"{side:.2f}" for side in box)
            name = f"{short_hash(keys[int(at)].id)},{short_hash(keys[int(at)].group)}"
            rows.append(f"{name},{task.class_names[cls]},{score:.6f},{place}")
        (folder.predictions / "test_boxes.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def finished_run(prepared: Prepared, model: nn.Module, predictions: Predictions, folder: RunFolder) -> FinishedRun:
    """What the probes work on."""
    data, task, recipe = prepared.data, prepared.task, prepared.recipe

    def fit_again(label_seed: int | None, steps: int) -> nn.Module:
        train = data.sets["train"]
        chosen = train if label_seed is None else train.with_permuted_labels(label_seed)
        return short_training(task, chosen, loop_options(recipe), steps, balance=recipe.balancing())

    return FinishedRun(
        task=task,
        model=model,
        train=data.sets["train"],
        val=data.sets["val"],
        test=data.sets["test"],
        groups=data.test_groups,
        predictions=predictions,
        fit_again=fit_again,
        flip_labels=lambda batch: flip_labels(batch, classes=len(data.classes), views=len(data.views)),
        blank=lambda name: predict_set(task, model, ExchangedImages(data.sets["test"])),
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
    if names:
        make_evidence_of(finished_run(prepared, model, predictions, folder), writer, names)


def reopen(folder: RunFolder) -> tuple[Prepared, nn.Module]:
    """A finished run from its folder: data, task, and the network with the best checkpoint's weights.

    Raises:
        RecordError: the folder is no run, or its data are not those it was trained on.
    """
    recipe = config.load(JointRecipe, folder.recipe)
    # The checkpoint holds all weights: the file that training started from may be gone. Probes that ask for a fresh
    # network ask for that file, and it must be the one that it was.
    prepared = prepare(replace(recipe, weights=""))
    demand_same_data(folder, prepared.data.card, digest_of)
    best, model = checkpoints.best(folder), prepared.task.model()
    checkpoints.load_weights(best, model)
    if recipe.weights:
        file = WeightFile(path=Path(recipe.weights), sha256=str(best.state["recipe"]["weights"]))
        prepared = replace(prepared, recipe=recipe, task=replace(prepared.task, weights=file))
    return prepared, model
