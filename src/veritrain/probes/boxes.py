"""Is a score of boxes about where boxes lie, and are predictions and labels in one unit?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.metrics.box_units import check_units
from veritrain.metrics.boxes import Detections, images_of_counts
from veritrain.metrics.jitter import jitter_curve
from veritrain.probes.probe import FinishedRun
from veritrain.tasks.box_tables import BoxTables, as_predictions, truths_of
from veritrain.tasks.tables import JoinedTables, ScoreTables
from veritrain.tasks.task import Predictions


class BoxesShifted:
    """The task's own scores of the labelled boxes, as they are and shifted; the units of predictions and labels."""

    name = "boxes_shifted"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        """``units`` (None without boxes) and, for each claim about boxes, its curve: ``metrics.jitter``."""
        if "box_counts" not in run.predictions:
            return {"units": None, "curves": {}}
        units = units_of(run.predictions)
        # Labels that are no corners cannot be made boxes: that is what the units then say.
        curves = {} if units["inside_out"] else _curves(run)
        return {"units": units, "curves": curves}


def units_of(predictions: Predictions) -> dict[str, Any]:
    """What ``metrics.box_units`` finds on the arrays that are scored."""
    found = check_units(
        predictions["boxes"],
        images_of_counts(predictions["box_counts"]),
        predictions["box_scores"],
        predictions["truth_boxes"],
        images_of_counts(predictions["truth_counts"]),
    )
    return found.as_json()


def _curves(run: FinishedRun) -> dict[str, Any]:
    tables = run.task.tables(run.predictions, run.groups)
    truths = truths_of(run.predictions)
    curves: dict[str, Any] = {}
    for claim in run.task.claims:
        boxes = _boxes_of(tables, claim.metric)
        if boxes is None:
            continue

        def score(detections: Detections, metric: str = claim.metric) -> float | None:
            return run.task.score(as_predictions(detections, run.predictions))[metric]

        beyond = boxes.beyond_limit
        curve = jitter_curve(truths, score, unreachable=beyond.unreachable)
        curves[claim.metric] = {**curve.as_json(), "beyond_limit": beyond.as_json()}
    return curves


def _boxes_of(tables: ScoreTables, metric: str) -> BoxTables | None:
    """The tables of boxes that answer for a metric; None where others do."""
    part = tables.part_of(metric) if isinstance(tables, JoinedTables) else tables
    return part if isinstance(part, BoxTables) else None
