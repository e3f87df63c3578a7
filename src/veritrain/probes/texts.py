"""Does a network that reads class names find what they name, or would other words do as well?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from veritrain.probes.paired import paired_difference
from veritrain.probes.probe import FinishedRun
from veritrain.record import Claim
from veritrain.tasks.task import Predictions, Scores

TEXTS = "texts"


class TextsExchanged:
    """Class names shuffled (three ways), and nonsense in their place: by how much does each claim fall?

    Base classes exchange their names with base classes and novel ones with novel ones. Of the shuffles that counts
    which scores best: names that did as well by luck would else be hidden by two that did not.
    """

    name = "texts_exchanged"
    version = 1
    cost = "cheap"
    shuffles = 3

    def values(self, run: FinishedRun) -> Mapping[str, Any]:
        """``arms`` (None where the network reads no texts): arm to the scores of each way; ``falls``: claim to arm to
        the way that scored best, its score, the fall from the true names and its interval."""
        if TEXTS not in run.model.inputs:  # type: ignore[operator]
            return {"arms": None, "falls": {}}
        ways = {"shuffled": [f"{TEXTS}:shuffled:{k}" for k in range(self.shuffles)], "nonsense": [f"{TEXTS}:nonsense"]}
        found = {arm: [run.blank(way) for way in names] for arm, names in ways.items()}
        scores = {arm: [run.task.score(one) for one in each] for arm, each in found.items()}
        falls = {
            claim.metric: {arm: _fall(run, claim, found[arm], scores[arm]) for arm in found}
            for claim in run.task.claims
        }
        return {"arms": scores, "falls": falls}


def _fall(run: FinishedRun, claim: Claim, ways: list[Predictions], scores: list[Scores]) -> dict[str, Any] | None:
    """None where the score is defined for no way."""
    known = {k: value for k, one in enumerate(scores) if (value := one[claim.metric]) is not None}
    if not known:
        return None
    best = (max if claim.higher_is_better else min)(known, key=lambda k: known[k])
    own, other = (run.task.tables(one, run.groups) for one in (run.predictions, ways[best]))
    first, second = (own, other) if claim.higher_is_better else (other, own)
    fall, interval = paired_difference(first, second, claim.metric)
    return {"way": best, "value": known[best], "fall": fall, "ci95": interval}
