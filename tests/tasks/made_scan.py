"""Predictions of a made joint task: boxes of two valves, one of three views a frame, patients of several frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veritrain.metrics.boxes import Detections
from veritrain.record import Claim
from veritrain.tasks.box_tables import BoxTables, as_predictions, known_box_answers, truths_of
from veritrain.tasks.class_tables import ClassTables, known_class_answers
from veritrain.tasks.tables import JoinedTables
from veritrain.tasks.task import KnownAnswers, Predictions

VALVES = ("AR", "MR")
VIEWS = 3


def scan(seed: int, patients: int = 12, *, know: float = 0.8) -> tuple[dict[str, Any], list[str]]:
    """Predictions that know a share ``know`` of the answers, and the patient of each frame (3 to 5 frames)."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(3, 6, patients)
    groups = np.repeat([f"p{k:02}" for k in range(patients)], lengths)
    n = len(groups)
    counts = rng.choice([0, 1, 2], n, p=[0.1, 0.7, 0.2])
    corner = rng.integers(0, 200, (counts.sum(), 2))
    boxes = np.concatenate([corner, corner + rng.integers(30, 60, corner.shape)], axis=1).astype(np.float32)
    classes = rng.integers(0, 2, len(boxes))
    views = np.where(rng.random(n) < 0.1, -1, rng.integers(0, VIEWS, n))
    shown = {"truth_counts": counts, "truth_boxes": boxes, "truth_classes": classes, "view_labels": views}
    images = np.repeat(np.arange(n), counts)
    found = rng.random(len(boxes)) < know
    false = rng.integers(0, n, 2 * n)
    elsewhere = rng.integers(300, 400, (2 * n, 2))
    detections = Detections(
        np.r_[images[found], false],
        np.r_[boxes[found] + rng.uniform(-3, 3, (found.sum(), 4)), np.c_[elsewhere, elsewhere + 40]],
        np.r_[rng.uniform(0.3, 1, found.sum()), rng.uniform(0, 0.8, 2 * n)],
        np.r_[classes[found], rng.integers(0, 2, 2 * n)],
    )
    stated = rng.dirichlet(np.ones(VIEWS), n) + 2 * np.eye(VIEWS)[np.maximum(views, 0)] * (rng.random((n, 1)) < know)
    return {
        **as_predictions(detections, shown),
        "view_probabilities": stated / stated.sum(axis=1, keepdims=True),
    }, groups.tolist()


def valves_in(predictions: Predictions) -> np.ndarray:
    """(N, 2) bool, which valves each frame shows."""
    truths = truths_of(predictions)
    given = np.zeros((len(predictions["truth_counts"]), len(VALVES)), bool)
    given[truths.images, truths.classes] = True
    return given


@dataclass(frozen=True, kw_only=True)
class ScanTask:
    """The scores of a joint task, without a network."""

    threshold: float | None = None
    claims: tuple[Claim, ...] = (Claim(metric="map_50"), Claim(metric="view_macro_f1"))

    def tables(self, predictions: Predictions, groups: Sequence[str]) -> JoinedTables:
        return JoinedTables(
            BoxTables.of(predictions, groups, VALVES, threshold=self.threshold),
            ClassTables(
                predictions["view_probabilities"],
                predictions["view_labels"],
                groups,
                prefix="view",
                given=valves_in(predictions),
                given_names=VALVES,
                given_answers=predictions.get("view_given"),
            ),
        )

    def score(self, predictions: Predictions) -> Mapping[str, float | None]:
        tables = self.tables(predictions, _one_group(predictions))
        return {metric: tables.value(metric) for metric in tables.metrics}

    def chance(self, predictions: Predictions) -> Mapping[str, float | None]:
        tables = self.tables(predictions, _one_group(predictions))
        return {metric: tables.chance(metric) for metric in tables.metrics}

    def known_answers(self, predictions: Predictions, metric: str) -> KnownAnswers:
        if metric.startswith("map"):
            return known_box_answers(predictions)
        known = known_class_answers(predictions["view_labels"], VIEWS)

        def answer(probabilities: np.ndarray) -> Predictions:
            return {**predictions, "view_probabilities": probabilities}

        return KnownAnswers(
            perfect=answer(known["perfect"]),
            inverted=answer(known["inverted"]),
            constant=answer(known["constant"]),
            random=lambda seed: answer(known["random"](seed)),
        )


def _one_group(predictions: Predictions) -> list[str]:
    return ["all"] * len(predictions["view_labels"])
