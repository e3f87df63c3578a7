"""What an open-vocabulary detector scored on test: each vocabulary, each class, what stands beside it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from veritrain.data.open_vocabulary import Asked
from veritrain.errors import UsageError
from veritrain.experiments.aerial_data import TrivialBoxes
from veritrain.experiments.openvocab_data import OpenVocabData, pretraining_told
from veritrain.experiments.openvocab_pictures import errors_of
from veritrain.experiments.run_folder import valued
from veritrain.metrics.box_units import demand_one_unit
from veritrain.metrics.boxes import Detections, images_of_counts
from veritrain.metrics.detection_classes import class_report
from veritrain.metrics.detection_confusion import detection_confusion
from veritrain.metrics.jitter import jitter_curve
from veritrain.probes.paired import paired_difference
from veritrain.statistics.detection_curves import class_curves
from veritrain.tasks.box_tables import as_predictions, detections_of, truths_of
from veritrain.tasks.openvocab import NOTHING_CALLED, OpenVocabTask, called_from
from veritrain.tasks.task import Predictions
from veritrain.training.evaluate import intervals_of, scores_with_intervals

CONTRACT = ("map", "map_50", "map_75", "base_map_50", "novel_map_50", "harmonic_mean", "recall_100")
"""Scores that every result has."""
CONFUSION_IOU = 0.5
MOST_ERRORS = 20
"""Misses and false alarms that are listed, the worst first; all are counted."""
Baselines = Mapping[Asked, Mapping[str, Predictions]]


def openvocab_results(
    task: OpenVocabTask,
    data: OpenVocabData,
    predictions: Mapping[Asked, Predictions],
    validation: Predictions,
    further: Baselines,
) -> dict[str, Any]:
    """All of results.json but the network's facts and the checkpoint.

    Args:
        task: with the threshold chosen on validation.
        predictions: vocabulary -> over the test images that it is asked on. validation: over val.
        further: baselines beside the constant boxes, by vocabulary.

    Raises:
        UsageError: predictions and labels are not in one unit, or the score does not know the labels themselves.
    """
    checks = evaluation_checks(task, data, predictions["all"])
    trivial = TrivialBoxes(data.aerial)
    threshold = _threshold_of_boxes(task, trivial, validation)
    vocabularies: dict[str, dict[str, Any]] = {}
    for asked, found in predictions.items():
        baselines = {**trivial.predict(asked, found, threshold=threshold), **further.get(asked, {})}
        vocabularies[asked] = _told(asked, task, data, found, baselines)
    protocol = data.card["open_vocabulary"]["protocol"]
    return {
        "schema": 1,
        "task": task.name,
        "made_data": data.card["made_data"],
        "leaky_split": data.aerial.split.leaky,
        "metrics": vocabularies["all"],
        "vocabularies": {asked: one for asked, one in vocabularies.items() if asked != "all"},
        "protocol": {
            "name": protocol,
            "told": data.card["open_vocabulary_told"],
            "base": list(data.words.base),
            "novel": list(data.words.novel),
            "max_detections": task.max_detections,
        },
        "by_class": _by_class(task, data, predictions["all"]),
        "class_curves": class_curves(task.tables(predictions["all"], data.test_groups).grouped, task.class_names),
        "errors": errors_of(task, predictions["all"]).as_json(MOST_ERRORS),
        "detection_confusion": _confusion(task, predictions["all"]),
        "evaluation_checks": checks,
        "selection": {"split": "val", "metrics": valued(task.score(validation)), "threshold": _chosen(task)},
        "samples": _samples(data),
        "pretraining": pretraining_told(data),
        "towers": None if data.start.report is None else data.start.report.as_json(),
        "prompts": data.words.vocabulary.as_json(),
    }


def evaluation_checks(task: OpenVocabTask, data: OpenVocabData, predictions: Predictions) -> dict[str, Any]:
    """Before anything is scored: one unit on both sides, labels as predictions score 1, shifted ones less and less.

    Raises:
        UsageError: they are not in one unit, or the labels themselves do not score 1.
    """
    frames = data.asked["all"].frames
    units = demand_one_unit(
        predictions["boxes"],
        images_of_counts(predictions["box_counts"]),
        predictions["box_scores"],
        predictions["truth_boxes"],
        images_of_counts(predictions["truth_counts"]),
        sizes=np.array([frames.source.stored_size(key) for key in frames.keys], np.float64),
    )
    beyond = task.tables(predictions, ["all"] * len(predictions["index"])).beyond_limit

    def score(shifted: Detections) -> float | None:
        return task.score(as_predictions(shifted, predictions))["map_50"]

    curve = jitter_curve(truths_of(predictions), score, unreachable=beyond.unreachable)
    if curve.problems:
        raise UsageError(
            "the score does not know the labels themselves, so it would mean nothing",
            expected="1 for the labels, and less and less for shifted ones",
            found="; ".join(curve.problems),
            fix="check the labels (`veritrain data check`)",
        )
    return {
        "units": units.as_json(),
        "oracle": curve.oracle,
        "jitter": curve.as_json(),
        "beyond_limit": beyond.as_json(),
    }


def text_controls(
    task: OpenVocabTask, data: OpenVocabData, predictions: Predictions, words: Mapping[str, Predictions]
) -> dict[str, dict[str, Any]]:
    """Claim to control to what stands beside the claim: the score with other words and its interval, and the fall from
    the true names with its own.

    Args:
        words: control to the predictions with its words.
    """
    own = task.tables(predictions, data.test_groups)
    found: dict[str, dict[str, Any]] = {claim.metric: {} for claim in task.claims}
    for name, other in ((name, task.tables(one, data.test_groups)) for name, one in words.items()):
        for metric, beside in found.items():
            interval = intervals_of(metric, other, {})["ci95"]
            fall, fall_ci95 = paired_difference(own, other, metric)
            beside[name] = {"value": other.value(metric), "ci95": interval, "fall": fall, "fall_ci95": fall_ci95}
    return found


def _told(
    asked: Asked,
    task: OpenVocabTask,
    data: OpenVocabData,
    predictions: Predictions,
    baselines: Mapping[str, Predictions],
) -> dict[str, Any]:
    """Metric to its entry, with the vocabulary and the protocol among its keys."""
    entries = scores_with_intervals(
        replace(task, asked=asked, further=True), predictions, baselines, data.groups_of(asked)
    )
    about = {"vocabulary": asked, "protocol": data.card["open_vocabulary"]["protocol"]}
    return {metric: {**entry, **about} for metric, entry in entries.items()}


def _chosen(task: OpenVocabTask) -> float | None:
    """The threshold; None where no box of validation hit anything."""
    return None if task.threshold == NOTHING_CALLED else task.threshold


def _threshold_of_boxes(task: OpenVocabTask, trivial: TrivialBoxes, validation: Predictions) -> float:
    """The best one of the constant boxes, on validation too."""
    boxes = trivial.predict("val", validation)["constant boxes"]
    chosen = replace(task, asked="base").tables(boxes, ["all"] * len(boxes["index"])).best_threshold()
    return NOTHING_CALLED if chosen is None else float(chosen.threshold)


def _by_class(task: OpenVocabTask, data: OpenVocabData, predictions: Predictions) -> dict[str, Any]:
    """Classes with an object (scores, objects, detections), and those without, whose detections are false alarms."""
    tables = task.tables(predictions, data.test_groups)
    report = class_report(tables.suite, threshold=called_from(task)).as_json()
    said = data.words.vocabulary
    for row in (*report["present"], *report["absent"]):
        row["novel"] = row["name"] in data.words.novel
        row["prompts"] = list(said.prompts(row["name"]))
    return report


def _confusion(task: OpenVocabTask, predictions: Predictions) -> dict[str, Any] | None:
    """None where nothing is called."""
    if _chosen(task) is None:
        return None
    found = detection_confusion(
        detections_of(predictions),
        truths_of(predictions),
        len(predictions["index"]),
        len(task.words.names),
        threshold=called_from(task),
        iou=CONFUSION_IOU,
        max_detections=task.max_detections,
    )
    return {"names": [*task.words.names, "background"], **found.as_json()}


def _samples(data: OpenVocabData) -> dict[str, Any]:
    """What n stands for: images and scenes of test, and how far one scene fills it."""
    counts = Counter(data.test_groups)
    largest, total = max(counts.values()), sum(counts.values())
    return {
        "images": total,
        "scenes": len(counts),
        "largest_scene": largest,
        "largest_share": largest / total,
        "scenes_with": dict(data.card["splits"]["test"]["groups_with"]),
    }
