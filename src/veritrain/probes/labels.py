"""Are the labels there, and are they the same when read again?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from veritrain.probes.probe import FinishedRun

MOST = 500


class LabelsReadTwice:
    """Reads up to 500 samples' labels twice, the second time in another order."""

    name = "labels_read_twice"
    version = 1
    cost = "cheap"

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        checked, differing, examples = 0, 0, []
        for split, dataset in (("train", run.train), ("val", run.val), ("test", run.test)):
            order = np.random.default_rng(0).permutation(len(dataset))[:MOST]
            first = {int(index): _digest(run.label_of(split, int(index))) for index in order}
            for index in reversed(order.tolist()):
                checked += 1
                if _digest(run.label_of(split, index)) != first[index]:
                    differing += 1
                    examples.append(f"{split}[{index}]")
        return {"checked": checked, "differing": differing, "examples": examples[:5]}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
