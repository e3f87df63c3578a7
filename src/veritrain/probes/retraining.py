"""Controls that train again: permuted labels, and no training at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from veritrain.probes.paired import paired_difference
from veritrain.probes.probe import FinishedRun
from veritrain.record import Claim
from veritrain.tasks.task import Predictions
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
    therefore paired: whole groups are resampled, and both networks are scored on the same ones. Whether it is above 0
    is a question with a direction, and the best of five was chosen for its luck on these very groups: the interval has
    90 %, so that its lower end holds with 95 %.
    """

    name = "reinitialised_networks"
    version = 3
    cost = "cheap"
    count = 5

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        scores = [run.task.score(self._predictions(run, k)) for k in range(self.count)]
        own = run.task.tables(run.predictions, run.groups)
        gains: dict[str, Any] = {}
        for claim in run.task.claims:
            network = _best(scores, claim)
            if network is not None:
                other = run.task.tables(self._predictions(run, network), run.groups)
                ahead, behind = (own, other) if claim.higher_is_better else (other, own)
                gain, interval = paired_difference(ahead, behind, claim.metric, level=0.9)
                gains[claim.metric] = {"network": network, "gain": gain, "ci90": interval}
        return {"count": self.count, "scores": scores, "gains": gains}

    @staticmethod
    def _predictions(run: FinishedRun, k: int) -> Predictions:
        """Of the k-th untrained network. Made again where they are wanted again: those of five are too many to keep."""
        torch.manual_seed(7000 + k)
        return predict_set(run.task, run.task.model(), run.test)


def _best(scores: Sequence[Mapping[str, float | None]], claim: Claim) -> int | None:
    """Which network scores best by the claim's metric; the first of equal ones, None where it is defined for none."""
    known = {k: value for k, one in enumerate(scores) if (value := one.get(claim.metric)) is not None}
    return (max if claim.higher_is_better else min)(known, key=lambda k: known[k]) if known else None
