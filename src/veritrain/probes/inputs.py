"""Does each declared input matter?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.probes.probe import FinishedRun
from veritrain.statistics.intervals import group_bootstrap
from veritrain.tasks.tables import ScoreTables


class InputsExchanged:
    """One input at a time comes from another group: by how much does each claim fall (paired, over groups)?"""

    name = "inputs_exchanged"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        inputs: tuple[str, ...] = run.model.inputs  # type: ignore[assignment]
        own = run.task.tables(run.predictions, run.groups)
        falls: dict[str, Any] = {}
        for name in inputs:
            other = run.task.tables(run.blank(name), run.groups)
            falls[name] = {}
            for claim in run.task.claims:
                fall = group_bootstrap(
                    own.n_groups,
                    partial(_fall, own, other, claim.metric),
                    bounds=(-1.0, 1.0),
                    strata=own.strata(claim.metric),
                )
                ones = np.ones((1, own.n_groups))
                falls[name][claim.metric] = {
                    "fall": float(_fall(own, other, claim.metric, ones)[0]),
                    "ci95": [fall.low, fall.high],
                }
        return {"inputs": list(inputs), "falls": falls}


def _fall(own: ScoreTables, other: ScoreTables, metric: str, weights: NDArray[Any]) -> NDArray[np.float64]:
    return own.under(weights, metric) - other.under(weights, metric)
