"""Are the held-out predictions better than the same predictions under labels of other groups?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from veritrain.probes.probe import FinishedRun


class BetweenGroupPermutation:
    """Whole groups exchange their label sequences (frames) or their label maps (returns), predictions stay."""

    name = "between_group_permutation"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        tables = run.task.tables(run.predictions, run.groups)
        return {claim.metric: asdict(tables.permuted(claim.metric)) for claim in run.task.claims}
