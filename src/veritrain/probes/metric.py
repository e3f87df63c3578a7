"""Does the score mean what its name says?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from veritrain.probes.probe import FinishedRun

RANDOM_DRAWS = 20


class MetricOnKnownAnswers:
    """The task's own scores on the test labels for perfect, inverted, constant and random predictions."""

    name = "metric_on_known_answers"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        answers: dict[str, dict[str, Any]] = {}
        for claim in run.task.claims:
            given, metric = run.task.known_answers(run.predictions, claim.metric), claim.metric
            draws = [run.task.score(given.random(k))[metric] for k in range(RANDOM_DRAWS)]
            known = [value for value in draws if value is not None]
            answers[metric] = {
                "perfect": run.task.score(given.perfect)[metric],
                "inverted": run.task.score(given.inverted)[metric],
                "constant": run.task.score(given.constant)[metric],
                "random_mean": float(np.mean(known)) if known else None,
                "random_standard_error": float(np.std(known, ddof=1) / len(known) ** 0.5) if len(known) > 1 else None,
                "chance": run.task.chance(given.random(0))[metric],
                **given.about,
            }
        return answers
