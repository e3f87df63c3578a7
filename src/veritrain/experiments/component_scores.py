"""Component metrics of a test split, the threshold chosen on validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.metrics.components import TRACKS, ComponentSizes, ComponentTable, match_components, scaled_sizes
from veritrain.metrics.threshold import best_f1_threshold
from veritrain.statistics.intervals import group_bootstrap
from veritrain.tasks.anomaly import labelled
from veritrain.tasks.task import Predictions

SCORES = ("mean_siou", "mean_ppv", "mean_f1")


def component_results(
    test: Mapping[str, Predictions], validation: Mapping[str, Predictions], groups: Sequence[str]
) -> dict[str, Any] | None:
    """Track to its sizes and scores; None without pixel scores, or when validation cannot choose a threshold.

    Four tracks: the official sizes of both, and both scaled to this image size (``metrics.components.scaled_sizes``).
    Each score stands beside that of the best trivial baseline, which chooses its own threshold on validation too.

    Args:
        test, validation: "model" and each baseline to its predictions. groups: of the test frames.
    """
    chosen = {name: _threshold(one) for name, one in validation.items()}
    if chosen.get("model") is None:
        return None
    names, of = np.unique(np.asarray(groups), return_inverse=True)
    height, width = test["model"]["pixel_labels"].shape[1:]
    sizes = {**TRACKS, **{f"{track}, scaled": scaled_sizes(track, height * width) for track in TRACKS}}
    tracks = {}
    for track, least in sizes.items():
        tables = {
            name: _table(test[name], threshold, least, of, len(names))
            for name, threshold in chosen.items()
            if threshold is not None
        }
        tracks[track] = _entry(tables, least)
    return {"threshold": chosen["model"], "threshold_from": "val", "tracks": tracks}


def _threshold(predictions: Predictions) -> float | None:
    if "pixel_scores" not in predictions:
        return None
    best = best_f1_threshold(*labelled(predictions, "pixel"))
    return None if best is None else best.threshold


def _table(
    predictions: Predictions, threshold: float, least: ComponentSizes, of: np.ndarray, n_groups: int
) -> ComponentTable:
    images = [
        match_components(scores.astype(np.float32) >= np.float32(threshold), truth, least)
        for scores, truth in zip(predictions["pixel_scores"], predictions["pixel_labels"], strict=True)
    ]
    return ComponentTable(images, of, n_groups)


def _entry(tables: Mapping[str, ComponentTable], least: ComponentSizes) -> dict[str, Any]:
    own = tables["model"]
    values = {name: table.scores() for name, table in tables.items()}
    entry: dict[str, Any] = {"least_called": least.called, "least_truth": least.truth}
    for score in SCORES:
        against = {n: v for n, found in values.items() if n != "model" and (v := found[score]) is not None}
        best = max(against, key=lambda name: against[name]) if against else None
        ends = group_bootstrap(len(own.truths), partial(_score_under, own, score), strata=own.truths > 0)
        entry[score] = values["model"][score]
        entry[f"{score}_ci95"] = None if ends.low is None else [ends.low, ends.high]
        entry[f"{score}_baseline"] = None if best is None else against[best]
        entry[f"{score}_baseline_name"] = best
    holding = int(np.count_nonzero(own.truths))
    return {**entry, "truths": int(own.truths.sum()), "called": int(own.calls.sum()), "groups": holding}


def _score_under(table: ComponentTable, score: str, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = getattr(table.under(weights), score)
    return values
