"""What a joint network scored on test: the claims, each valve, each view, the view given the valve, calibration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from veritrain.experiments.echo_data import EchoData, TrivialAnswers
from veritrain.experiments.run_folder import valued
from veritrain.metrics.calibration import CalibrationTable
from veritrain.metrics.multiclass import class_scores
from veritrain.metrics.operating_point import IOU
from veritrain.record import RunFolder, read_run
from veritrain.statistics.intervals import group_bootstrap
from veritrain.tasks.box_tables import BoxTables
from veritrain.tasks.joint import NOTHING_CALLED, JointTask
from veritrain.tasks.tables import ScoreTables, numbered_groups
from veritrain.tasks.task import Predictions
from veritrain.training.evaluate import entries_of_classes, scores_with_intervals

BOX_SCORES = ("map_50", "map", "precision", "recall", "f1")
GIVEN_VALVE = "view_accuracy_given_valve"
WEIGHTS_NOTE = "weights"
"""Kind of the note in the record that says what was taken of a weight file."""
FULLEST = 0.1
"""Share of the test images from which on a single patient is named beside n."""


def joint_results(task: JointTask, data: EchoData, predictions: Predictions, validation: Predictions) -> dict[str, Any]:
    """All of results.json but the network's facts and the checkpoint.

    Args:
        task: with the threshold chosen on validation. predictions: over test. validation: over val.
    """
    groups, trivial = data.test_groups, TrivialAnswers(data)
    threshold = None if task.threshold is None else _threshold_of(task, trivial.predict("val", validation))
    baselines = trivial.predict("test", predictions, threshold=threshold)
    model = task.tables(predictions, groups)
    others = {name: task.tables(one, groups) for name, one in baselines.items()}
    found: dict[str, Any] = {
        "schema": 1,
        "task": task.name,
        "medical": True,
        "made_data": data.card["made_data"],
        "leaky_split": data.split.leaky,
        "metrics": scores_with_intervals(task, predictions, baselines, groups),
        "selection": {"split": "val", "metrics": valued(task.score(validation)), "threshold": _chosen(task)},
        "samples": _samples(data),
    }
    if task.network.detects:
        found["by_valve"] = _by_valve(task, predictions, baselines, groups)
        found["box_calibration"] = _box_calibration(task.box_tables(predictions, groups), groups)
    if task.network.sees_view:
        given = [f"{GIVEN_VALVE}:{name}" for name in task.class_names]
        there = [metric for metric in given if metric in task.view_tables(predictions, groups).class_metrics]
        tables = {name: one for name, one in others.items() if GIVEN_VALVE in one.metrics}
        entries = entries_of_classes(there, model, tables)
        found["view_given_valve"] = {metric.partition(":")[2]: entry for metric, entry in entries.items()}
        found["by_view"], found["view_confusion"] = _by_view(task, predictions)
        found["view_calibration"] = task.view_tables(predictions, groups).calibration()
    return found


def _chosen(task: JointTask) -> float | None:
    """The threshold; None where no box of validation hit anything."""
    return None if task.threshold == NOTHING_CALLED else task.threshold


def _threshold_of(task: JointTask, baselines: Mapping[str, Predictions]) -> float:
    """The best one of the constant boxes, on validation too."""
    boxes = baselines["constant boxes"]
    chosen = task.box_tables(boxes, ["all"] * len(boxes["index"])).best_threshold()
    return NOTHING_CALLED if chosen is None else float(chosen.threshold)


def _samples(data: EchoData) -> dict[str, Any]:
    """What n stands for: patients, and how far one of them fills the test split."""
    counts = Counter(data.test_groups)
    largest, total = max(counts.values()), sum(counts.values())
    return {
        "images": total,
        "patients": len(counts),
        "largest_patient": largest,
        "largest_share": largest / total,
        "dominated": largest / total >= FULLEST,
        "patients_with": dict(data.card["splits"]["test"]["groups_with"]),
    }


def _by_valve(
    task: JointTask, predictions: Predictions, baselines: Mapping[str, Predictions], groups: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Valve to its box scores, each an entry as in ``metrics``. Views have a table of their own."""
    model = task.box_tables(predictions, groups)
    boxes: dict[str, ScoreTables] = {
        name: task.box_tables(one, groups) for name, one in baselines.items() if "box_counts" in one
    }
    entries = entries_of_classes(model.class_metrics, model, boxes)
    found: dict[str, dict[str, Any]] = {}
    for metric, entry in entries.items():
        score, _, valve = metric.partition(":")
        found.setdefault(valve, {})[score] = entry
    return {valve: {score: found[valve][score] for score in BOX_SCORES if score in found[valve]} for valve in found}


def _by_view(task: JointTask, predictions: Predictions) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """View to precision, recall, F1 and its number of images; and the confusion, rows the labels."""
    answers = np.argmax(predictions["view_probabilities"], axis=1)
    scores = class_scores(predictions["view_labels"], answers, len(task.view_names))
    rows = zip(task.view_names, scores.per_class_precision, scores.per_class_recall, scores.per_class_f1, strict=True)
    images = [sum(row) for row in scores.confusion]
    by_view = {
        name: {"precision": precision, "recall": recall, "f1": f1, "n": images[place]}
        for place, (name, precision, recall, f1) in enumerate(rows)
    }
    return by_view, {"names": list(task.view_names), "counts": [list(row) for row in scores.confusion]}


def _box_calibration(tables: BoxTables, groups: Sequence[str]) -> dict[str, Any] | None:
    """Is the score of a called box the share of called boxes that hit? None where nothing is called."""
    table, threshold = tables.table, tables.threshold
    called = table.scores >= (np.inf if threshold is None else threshold)
    if not called.any():
        return None
    count, of = numbered_groups(groups)
    own = of[table.images[called]]
    hit = table.matched[called, table.at(IOU)]
    found = CalibrationTable(np.clip(table.scores[called], 0, 1), hit, own, count)
    strata = np.bincount(own, minlength=count) > 0
    interval = group_bootstrap(count, found.error, strata=strata)
    return {
        "error": interval.estimate,
        "ci95": [interval.low, interval.high],
        "error_if_calibrated": found.calibrated_error().value,
        "bins": [asdict(one) for one in found.reliability()],
        "n": int(called.sum()),
        "threshold": threshold,
    }


def weights_told(folder: RunFolder) -> dict[str, Any] | None:
    """What the record says of the weight file that training started from; None where it started from scratch."""
    notes = [note for note in read_run(folder.path).of("note") if note.get("kind") == WEIGHTS_NOTE]
    return {key: notes[-1][key] for key in ("file", "sha256", "taken", "from_scratch", "left_out")} if notes else None


def balance_told(folder: RunFolder) -> dict[str, Any] | None:
    """What the record says of the tasks' gradients: their conflict, and the weights at the end; None without any.

    ``conflict`` holds, for each pair of tasks, the mean cosine of their gradients at the shared layer, the share of
    measured steps where it was negative, and how many were measured.
    """
    events = read_run(folder.path).of("balance")
    if not events:
        return None
    cosines: dict[str, list[float]] = {}
    for event in events:
        for pair, value in (event.get("cosines") or {}).items():
            if value is not None:
                cosines.setdefault(pair, []).append(value)
    last = events[-1]
    return {
        "name": last.get("name"),
        "measured_steps": len(events),
        "conflict": {
            pair: {
                "mean_cosine": float(np.mean(known)),
                "negative": float(np.mean(np.array(known) < 0)),
                "n": len(known),
            }
            for pair, known in cosines.items()
        },
        "last": {key: last.get(key) for key in ("step", "weights", "loss_ratios", "grad_norms")},
    }
