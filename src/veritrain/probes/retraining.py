"""Controls that train again: permuted labels, and no training at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from veritrain.probes.probe import FinishedRun
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
    """Five untrained networks through the same pipeline."""

    name = "reinitialised_networks"
    version = 1
    cost = "cheap"
    count = 5

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        scores = []
        for k in range(self.count):
            torch.manual_seed(7000 + k)
            scores.append(run.task.score(predict_set(run.task, run.task.model(), run.test)))
        return {"count": self.count, "scores": scores}
