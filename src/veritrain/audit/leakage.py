"""Checks of the splits: nothing that is in one is in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.record import Evidence, RunRecord

REPORTING = frozenset({"final evaluation", "controls", "evaluation again", "pictures of single samples"})
"""Purposes of a look that cannot change the model; any other one counts as choosing."""


def _shared(splits: Mapping[str, Mapping[str, Any]], key: str) -> dict[str, int]:
    """How many entries each pair of splits has in common."""
    return {f"{a} and {b}": len(set(splits[a][key]) & set(splits[b][key])) for a, b in combinations(sorted(splits), 2)}


def _worst(shared: Mapping[str, int]) -> tuple[str, int]:
    pair = max(shared, key=lambda name: shared[name])
    return pair, shared[pair]


def _judge(record: RunRecord, key: str, noun: str, to_settle: str) -> Finding:
    splits: Mapping[str, Mapping[str, Sequence[str]]] = (record.data or {}).get("splits", {})
    if len(splits) < 2 or not all(part.get(key) for part in splits.values()):
        return not_run(f"data.json does not list the {noun} of each split")
    shared = _shared(splits, key)
    pair, count = _worst(shared)
    cite = (Citation(file=str(record.path / "data.json")),)
    if count:
        return failed(f"{pair} share {count} {noun}", value=shared, bound=0, evidence=cite, to_settle=to_settle)
    return passed(f"No two splits share any of their {noun}", value=shared, bound=0, evidence=cite)


class SplitsDisjoint:
    """No group (scenario, patient, scene) is on two sides of a split."""

    id = "D8"
    name = "splits_disjoint"
    subject = "leakage"
    needs: tuple[str, ...] = ("run", "data")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive")
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        return _judge(record, "groups", "groups", "split by group, so that no group is on two sides, and train again")


class ContentsDisjoint:
    """No decoded sample is in two splits."""

    id = "D6"
    name = "contents_disjoint"
    subject = "leakage"
    needs: tuple[str, ...] = ("run", "data")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive")
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        return _judge(record, "contents", "sample contents (hashes)", "remove the duplicates and train again")


class SelectionLeavesTestAlone:
    """The test split was looked at to report, never to choose."""

    id = "J9"
    name = "selection_leaves_test_alone"
    subject = "leakage"
    needs: tuple[str, ...] = ("run", "events")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive")
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        looks = record.of("look")
        choosing = [look for look in looks if look["split"] == "test" and look["purpose"] not in REPORTING]
        file = str(record.path / "record.jsonl")
        if not any(look["split"] == "test" for look in looks):
            return not_run("the record holds no look at the test split")
        if choosing:
            cites = tuple(Citation(file=file, line=look["line"]) for look in choosing[:5])
            return failed(
                f"The test split was looked at {len(choosing)} times for other purposes than reporting: "
                + ", ".join(sorted({str(look["purpose"]) for look in choosing})),
                value=len(choosing),
                bound=0,
                evidence=cites,
                to_settle="select on validation and report on test groups that were never looked at",
            )
        count = sum(look["split"] == "test" for look in looks)
        return passed(f"{count} looks at the test split, none of them to choose", value=0, bound=0)
