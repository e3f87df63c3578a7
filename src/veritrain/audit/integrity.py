"""Checks of the run folder: the weights are those that were scored, the record is whole, the numbers agree."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from veritrain.audit.check import Citation, Finding, OnFail, OnNotRun, failed, passed
from veritrain.record import Evidence, RunRecord

EXACT = ("frame_", "map", "view_", "text_to_image_", "image_to_text_")
"""Beginnings of metrics whose permutation test computes the very score; those of dense labels use histograms."""


class CheckpointUnchanged:
    """The checkpoint on disk is the one that results.json says it scored."""

    id = "S14"
    name = "checkpoint_unchanged"
    subject = "integrity"
    needs: tuple[str, ...] = ("run", "results")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        told = ((record.results or {}).get("checkpoint") or {}).get("sha256")
        found = record.checkpoint_sha256
        cite = (Citation(file=str(record.path / "results.json")),)
        if told is not None and told == found and record.basis() is not None:
            return passed("The weights on disk are those that were scored", value=found, bound=told, evidence=cite)
        return failed(
            "The scored weights are not there: results.json "
            + ("names no checkpoint" if told is None else f"names {told[:12]}, on disk is {str(found)[:12]}"),
            value=found,
            bound=told,
            evidence=cite,
            to_settle="evaluate the checkpoint again (veritrain evaluate RUN, veritrain probe RUN)",
        )


class RecordWhole:
    """The record holds a training that ended as asked: loss terms with values, no non-finite stop, end done.

    Of a run that goes on, because another process holds its lock, it says so.
    """

    id = "S15"
    name = "record_whole"
    subject = "integrity"
    needs: tuple[str, ...] = ("run", "events")
    on_fail: OnFail = "unproves"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = False

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        file = str(record.path / "record.jsonl")
        terms = record.of("term")
        stops = [str(stop.get("reason")) for stop in record.of("stop")]
        ends = record.of("end")
        wrong = []
        if not any(term.get("value") is not None for term in terms):
            wrong.append("it holds no loss term with a value")
        if stops and stops[-1] == "nonfinite":
            wrong.append("the last stop is 'nonfinite'")
        if not ends or ends[-1].get("status") != "done":
            wrong.append("it does not end with 'done'")
        cite = (Citation(file=file, line=ends[-1]["line"] if ends else None),)
        by = _written_by(record)
        if wrong and by is not None:
            return failed(
                f"The run is going on: {by} holds its lock, and its record does not end with 'done' yet",
                value=len(wrong),
                bound=0,
                evidence=cite,
                to_settle="wait until the run has ended (veritrain watch RUN shows how far it is)",
            )
        if wrong:
            return failed(
                f"The record is not that of a finished training: {'; '.join(wrong)}",
                value=len(wrong),
                bound=0,
                evidence=cite,
                to_settle="finish the run: veritrain resume RUN",
            )
        return passed(f"{len(terms)} loss terms, ended with 'done'", value=0, bound=0, evidence=cite)


def _written_by(record: RunRecord) -> str | None:
    """The process that writes the run; None when none does, or this one, which may judge its own run."""
    if record.holder is None or record.holder.state != "held" or record.holder.pid == os.getpid():
        return None
    return "another process" if record.holder.pid is None else f"process {record.holder.pid}"


class NumbersAgree:
    """The claim's value lies in its own interval, and the evidence saw the same value."""

    id = "S16"
    name = "numbers_agree"
    subject = "integrity"
    needs: tuple[str, ...] = ("run", "score")
    on_fail: OnFail = "refutes"
    on_not_run: OnNotRun = "blocks_shown"
    required_for: tuple[str, ...] = ("anomaly", "joint", "contrastive", "openvocab")
    per_claim = True
    tolerance = 1e-6

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding:
        assert record.claim is not None
        score = record.score() or {}
        value, (low, high) = score.get("value"), score.get("ci95") or (None, None)
        cite = (Citation(file=str(record.path / "results.json")),)
        wrong = []
        wrong += _outside(value, low, high, self.tolerance)
        wrong += _turned_round(score)
        wrong += _more_groups_than_there_are(record, score)
        wrong += _permutation_contradicts(record, evidence, value, self.tolerance)
        if wrong:
            return failed(
                f"{record.claim.metric}: {'; '.join(wrong)}",
                value=value,
                bound=[low, high],
                evidence=cite,
                to_settle="evaluate the checkpoint again (veritrain evaluate RUN, veritrain probe RUN)",
            )
        return passed("The claim's numbers agree with each other", value=value, bound=[low, high], evidence=cite)


def _turned_round(score: Mapping[str, Any]) -> list[str]:
    """Intervals whose lower end is above their upper end."""
    known = {name: score[name] for name in ("ci95", "gain_ci95") if score.get(name) and None not in score[name]}
    return [f"{name} [{low:.4f}, {high:.4f}] is turned round" for name, (low, high) in known.items() if low > high]


def _more_groups_than_there_are(record: RunRecord, score: Mapping[str, Any]) -> list[str]:
    """A score cannot rest on more groups than the split holds."""
    assert record.claim is not None
    part = ((record.data or {}).get("splits") or {}).get(record.claim.split) or {}
    told, there = score.get("groups"), part.get("groups")
    if not isinstance(told, int) or not isinstance(there, list) or told <= len(there):
        return []
    return [f"it says {told} groups, and the {record.claim.split} split has {len(there)}"]


def _outside(value: float | None, low: float | None, high: float | None, tolerance: float) -> list[str]:
    if value is None or low is None or high is None or low - tolerance <= value <= high + tolerance:
        return []
    return [f"{value:.4f} lies outside its interval [{low:.4f}, {high:.4f}]"]


def _permutation_contradicts(
    record: RunRecord, evidence: Mapping[str, Evidence], value: float | None, tolerance: float
) -> list[str]:
    """The permutation test of a claim on frames, boxes or views starts from the exact score; no p is 0."""
    assert record.claim is not None
    found = evidence.get("between_group_permutation")
    part = found.values.get(record.claim.metric) if found is not None and found.status == "done" else None
    if part is None or value is None:
        return []
    wrong = []
    observed = part.get("observed")
    if record.claim.metric.startswith(EXACT) and observed is not None and abs(observed - value) > tolerance:
        wrong.append(f"the permutation test observed {observed:.6f}, the results say {value:.6f}")
    if part.get("p_value") is not None and part["p_value"] <= 0:
        wrong.append("a permutation test cannot give p = 0")
    return wrong
