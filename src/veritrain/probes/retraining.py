"""Controls that train again: permuted labels, and no training at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from veritrain.probes.probe import FinishedRun
from veritrain.record import Claim
from veritrain.statistics.intervals import group_bootstrap
from veritrain.tasks.tables import ScoreTables
from veritrain.training.evaluate import predict_set


class PermutedLabelRetraining:
    """Short retrainings on labels exchanged between groups, beside a true one at the same budget."""

    name = "permuted_label_retraining"
    version = 1
    cost = "training"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        true = self._scores(run, None)
        permuted = [self._scores(run, 1000 + k) for k in range(run.permuted_runs)]
        return {"steps": run.control_steps, "true": true, "permuted": permuted}

    @staticmethod
    def _scores(run: FinishedRun, label_seed: int | None) -> Mapping[str, float | None]:
        model = run.fit_again(label_seed, run.control_steps)
        return run.task.score(predict_set(run.task, model, run.test))


class ReinitialisedNetworks:
    """Five untrained networks through the same pipeline, and the run's gain over the best of them.

    Random features answer to whatever is unusual, so that an untrained network may well score above chance. The gain is
    therefore paired: whole groups are resampled, and both networks are scored on the same ones.
    """

    name = "reinitialised_networks"
    version = 2
    cost = "cheap"
    count = 5

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        scores: list[Mapping[str, float | None]] = []
        rivals: dict[str, tuple[float, int, ScoreTables]] = {}
        for k in range(self.count):
            torch.manual_seed(7000 + k)
            predictions = predict_set(run.task, run.task.model(), run.test)
            scores.append(run.task.score(predictions))
            better = [claim.metric for claim in run.task.claims if _is_better(scores[k], rivals, claim)]
            tables = run.task.tables(predictions, run.groups) if better else None
            rivals |= {metric: (float(scores[k][metric] or 0.0), k, tables) for metric in better if tables is not None}
        own = run.task.tables(run.predictions, run.groups)
        gains = {
            claim.metric: _gain_over(own, *rivals[claim.metric][1:], claim)
            for claim in run.task.claims
            if claim.metric in rivals
        }
        return {"count": self.count, "scores": scores, "gains": gains}


def _is_better(
    scores: Mapping[str, float | None], rivals: Mapping[str, tuple[float, int, ScoreTables]], claim: Claim
) -> bool:
    value = scores.get(claim.metric)
    if value is None or claim.metric not in rivals:
        return value is not None
    best = rivals[claim.metric][0]
    return value > best if claim.higher_is_better else value < best


def _gain_over(own: ScoreTables, network: int, other: ScoreTables, claim: Claim) -> dict[str, Any]:
    """How far the run is ahead of one untrained network: the gain and its interval over groups."""
    sign = 1.0 if claim.higher_is_better else -1.0

    def gain(weights: NDArray[Any]) -> NDArray[np.float64]:
        ahead: NDArray[np.float64] = sign * (own.under(weights, claim.metric) - other.under(weights, claim.metric))
        return ahead

    found = group_bootstrap(own.n_groups, gain, bounds=(-1.0, 1.0), strata=own.strata(claim.metric))
    value = float(gain(np.ones((1, own.n_groups)))[0])
    return {"network": network, "gain": value if np.isfinite(value) else None, "ci95": [found.low, found.high]}
