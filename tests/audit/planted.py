"""Planted runs: a record of one of our own runs with one thing in it that a check looks for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from veritrain import catalog
from veritrain.audit.check import Finding
from veritrain.audit.verdict import findings_of
from veritrain.record import Claim, Evidence, RunRecord

FRAME = Claim(metric="frame_auroc", split="test", higher_is_better=True, minimal_effect=0.02)
POINT = Claim(metric="point_ap", split="test", higher_is_better=True, minimal_effect=0.01)
PATH = Path("runs") / "planted"


def evidence(probe: str, values: dict[str, Any], **more: Any) -> Evidence:
    return Evidence(**{"probe": probe, "version": 1, "inputs_hash": "00", "values": values, "seconds": 1.0, **more})


def planted(*found: Evidence, **more: Any) -> RunRecord:
    """A finished run of the anomaly task that claims frame_auroc first."""
    whole = {"task": "anomaly", "claims": (FRAME, POINT), "claim": FRAME, **more}
    return RunRecord(path=PATH, kind="run", evidence={one.probe: one for one in found}, **whole)


def finding(check: str, record: RunRecord) -> Finding:
    """What one check of the catalogue says, as the verdict sees it."""
    (judged,) = findings_of(record, [catalog.resolve("checks", check)()])
    return judged.finding


def probed(check: str, probe: str, values: dict[str, Any], **more: Any) -> Finding:
    """The finding of a check on a run whose one piece of evidence is given."""
    return finding(check, planted(evidence(probe, values), **more))


def assert_needs(check: str, probe: str, values: dict[str, Any], **more: Any) -> None:
    """Without its evidence, with a crashed probe, or on a foreign file the check does not run."""
    whole = planted(evidence(probe, values), **more)
    assert finding(check, whole).status != "not_run", "the full record must be judged"
    lame = {probe: replace(whole.evidence[probe], status="crashed")}
    for lacking in (replace(whole, evidence={}), replace(whole, evidence=lame), replace(whole, kind="csv_history")):
        found = finding(check, lacking)
        assert found.status == "not_run" and found.sentence.startswith("needs ")


def cites(found: Finding) -> set[str]:
    return {Path(citation.file).relative_to(PATH).as_posix() for citation in found.evidence}


def score(**more: Any) -> dict[str, Any]:
    entry = {"value": 0.9, "ci95": [0.8, 0.95], "gain_ci95": [0.2, 0.4], "n": 288, "groups": 24, "chance": 0.5}
    return {**entry, **more}


def results(**more: Any) -> dict[str, Any]:
    return {"schema": 1, "metrics": {"frame_auroc": score(**more)}}
