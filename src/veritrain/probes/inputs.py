"""Does each declared input matter?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.probes.probe import FinishedRun
from veritrain.statistics.intervals import group_bootstrap
from veritrain.training.evaluate import GroupedScores, level_of


class InputsExchanged:
    """One input at a time comes from another group: by how much does each claim fall (paired, over groups)?"""

    name = "inputs_exchanged"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        names, of_sample = np.unique(np.asarray(run.groups), return_inverse=True)
        inputs: tuple[str, ...] = run.model.inputs  # type: ignore[assignment]
        falls: dict[str, Any] = {}
        for name in inputs:
            blanked = run.blank(name)
            falls[name] = {}
            for claim in run.task.claims:
                level, metric = claim.metric.split("_", 1)
                own = GroupedScores(*level_of(run.predictions, level, of_sample), len(names), exact=level == "frame")
                other = GroupedScores(*level_of(blanked, level, of_sample), len(names), exact=level == "frame")
                fall = group_bootstrap(
                    len(names),
                    partial(_fall, own, other, metric),
                    bounds=(-1.0, 1.0),
                    strata=_with_positives(run, level, of_sample, len(names)),
                )
                ones = np.ones((1, len(names)))
                falls[name][claim.metric] = {
                    "fall": float((own.under(ones, metric) - other.under(ones, metric))[0]),
                    "ci95": [fall.low, fall.high],
                }
        return {"inputs": list(inputs), "falls": falls}


def _fall(own: GroupedScores, other: GroupedScores, metric: str, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    return own.under(weights, metric) - other.under(weights, metric)


def _with_positives(run: FinishedRun, level: str, of_sample: np.ndarray, n_groups: int) -> np.ndarray:
    _, labels, groups = level_of(run.predictions, level, of_sample)
    return np.bincount(groups[labels == 1], minlength=n_groups) > 0
