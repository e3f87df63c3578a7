"""Why a verdict is what it is: its three strongest reasons, and what would settle it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veritrain.report.language import Language, say

MOST = 3
EFFECTS = ("refutes", "unproves", "notes")
STRONGEST = ("generalisation", "controls", "leakage", "scores", "modalities", "labels", "loss")
"""Subjects whose passed checks say most, the strongest first."""

Found = Mapping[str, Any]


def headline_of(verdict: Mapping[str, Any], language: Language = "en") -> str:
    """The verdict's word; ``SHOWN`` says that it rests on one run."""
    word = say(verdict["verdict"], language)
    return f"{word} ({say('one_run', language)})" if verdict["verdict"] == "shown" and verdict.get("one_run") else word


def sentence_of(judged: Mapping[str, Any]) -> str:
    """The sentence of a verdict or of one claim, without the verdict's word: that stands before it already."""
    sentence = str(judged.get("sentence", ""))
    head, colon, rest = sentence.partition(":")
    return rest.strip() if colon and head.split(" (")[0] == say(judged["verdict"]) else sentence


def open_checks(verdict: Mapping[str, Any]) -> list[str]:
    """Checks that did not run and are worth a look: required, or with an action that would settle something."""
    idle = verdict.get("not_run", ())
    return [str(item["check"]) for item in idle if item.get("required") or item.get("to_settle")]


def sorted_findings(verdict: Mapping[str, Any]) -> list[Found]:
    """What ran, the worst first: failures by effect, crashes, waivers, passes; stable within each."""
    return sorted(verdict.get("findings", ()), key=_severity)


def _severity(finding: Found) -> tuple[int, int]:
    status = ("fail", "crashed", "waived", "pass").index(finding["status"])
    effect = finding.get("on_fail")
    return status, EFFECTS.index(effect) if status == 0 and effect in EFFECTS else 0


def failures(verdict: Mapping[str, Any]) -> list[Found]:
    return [finding for finding in sorted_findings(verdict) if finding["status"] == "fail"]


def reasons_of(verdict: Mapping[str, Any]) -> list[Found]:
    """At most three findings that carry the verdict: failures that count, else the strongest passes."""
    failed = [finding for finding in failures(verdict) if finding.get("on_fail") != "notes"]
    if failed:
        return failed[:MOST]
    passed = [finding for finding in verdict.get("findings", ()) if finding["status"] == "pass"]
    return sorted(passed, key=_strength)[:MOST]


def _strength(finding: Found) -> tuple[bool, int]:
    subject = finding.get("subject", "")
    place = STRONGEST.index(subject) if subject in STRONGEST else len(STRONGEST)
    return not finding.get("required", True), place


def to_settle(verdict: Mapping[str, Any]) -> list[str]:
    """Up to three actions: of the failures that count, else of what crashed or did not run; none when shown."""
    if verdict.get("verdict") == "shown":
        return []
    counted = [finding for finding in failures(verdict) if finding.get("on_fail") != "notes"]
    asked = counted or [*_crashed(verdict), *verdict.get("not_run", ())]
    actions = [str(item["to_settle"]) for item in asked if item.get("to_settle")]
    return list(dict.fromkeys(actions))[:MOST]


def _crashed(verdict: Mapping[str, Any]) -> Sequence[Found]:
    return [finding for finding in verdict.get("findings", ()) if finding["status"] == "crashed"]
