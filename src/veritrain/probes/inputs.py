"""Does each declared input matter?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.probes.paired import paired_difference
from veritrain.probes.probe import FinishedRun


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
                fall, interval = paired_difference(own, other, claim.metric)
                falls[name][claim.metric] = {"fall": fall, "ci95": interval}
        return {"inputs": list(inputs), "falls": falls}
