"""Checks of the held-out score: enough groups behind it, and found again by a fresh process."""

from __future__ import annotations

from collections.abc import Mapping

from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, not_run, passed
from veritrain.record import Evidence, RunRecord


class EnoughGroups:
    """The claim's interval rests on at least ten groups."""

    id = "J7"
    name = "enough_groups"
    subject = "generalisation"
    needs: tuple[str, ...] = ("run", "score")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive")
    per_claim = True
    least = 10

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        score = record.score() or {}
        groups, interval = score.get("groups"), score.get("ci95")
        cite = (Citation(file=str(record.path / "results.json")),)
        if not groups or not interval or None in interval:
            return failed(
                "The score has no interval over groups", value=groups, bound=self.least, evidence=cite,
                to_settle="evaluate on more groups",
            )  # fmt: skip
        if groups < self.least:
            return failed(
                f"The interval rests on {groups} groups; below {self.least} it is unreliable",
                value=groups,
                bound=self.least,
                evidence=cite,
                to_settle=f"evaluate on at least {self.least} groups",
            )
        return passed(f"The interval rests on {groups} groups", value=groups, bound=self.least, evidence=cite)


class ReevaluationAgrees:
    """A fresh process finds the scores of results.json again from the saved weights."""

    id = "J10"
    name = "reevaluation_agrees"
    subject = "generalisation"
    needs: tuple[str, ...] = ("run", "evidence:fresh_process_evaluation")
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive")
    per_claim = True
    tolerance = 1e-6

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        assert record.claim is not None
        metric = record.claim.metric
        found = evidence["fresh_process_evaluation"].values.get(metric)
        told = (record.score() or {}).get("value", (found or {}).get("here"))
        if found is None or None in (found["fresh"], found["here"], told):
            return not_run(f"{metric} is undefined here or in the fresh process")
        gap = max(abs(value - found["fresh"]) for value in (told, found["here"]))
        cite = (Citation(file=str(record.path / "evidence" / "fresh_process_evaluation.json")),)
        if gap > self.tolerance:
            return failed(
                f"A fresh process finds {metric} = {found['fresh']:.6f}, the run says {told:.6f}",
                value=gap,
                bound=self.tolerance,
                evidence=cite,
                to_settle="find what the process carries that the checkpoint does not",
            )
        return passed(f"A fresh process finds {metric} again (difference {gap:.1g})", value=gap, bound=self.tolerance,
                      evidence=cite)  # fmt: skip
