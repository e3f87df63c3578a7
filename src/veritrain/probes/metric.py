"""Does the score mean what its name says?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from veritrain.probes.probe import FinishedRun
from veritrain.tasks.task import Predictions

RANDOM_DRAWS = 20


class MetricOnKnownAnswers:
    """The task's own scores on the test labels for perfect, inverted, constant and random predictions."""

    name = "metric_on_known_answers"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        answers: dict[str, dict[str, Any]] = {}
        for claim in run.task.claims:
            level = claim.metric.split("_")[0]
            labels = np.asarray(run.predictions[f"{level}_labels"])
            small = {key: value for key, value in run.predictions.items() if key.startswith((level, "index"))}
            truth = (labels == 1).astype(np.float32)
            draws = [
                self._score(run, small, level, _random(labels.shape, k), claim.metric) for k in range(RANDOM_DRAWS)
            ]
            known = [value for value in draws if value is not None]
            answers[claim.metric] = {
                "perfect": self._score(run, small, level, truth, claim.metric),
                "inverted": self._score(run, small, level, 1 - truth, claim.metric),
                "constant": self._score(run, small, level, np.zeros_like(truth), claim.metric),
                "random_mean": float(np.mean(known)) if known else None,
                "random_standard_error": float(np.std(known, ddof=1) / len(known) ** 0.5) if len(known) > 1 else None,
                "chance": run.task.chance(small)[claim.metric],
                "prevalence": float(truth[labels >= 0].mean()),
            }
        return answers

    @staticmethod
    def _score(run: FinishedRun, small: Predictions, level: str, scores: np.ndarray, metric: str) -> float | None:
        return run.task.score({**small, f"{level}_scores": scores})[metric]


def _random(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)
