"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from veritrain.record import Evidence, RunRecord

Status = Literal["pass", "fail", "not_run", "crashed", "waived"]
OnFail = Literal["refutes", "unproves", "notes"]
OnNotRun = Literal["blocks_shown", "nothing"]


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A line of a file that a person can open. ``line`` is 1-based; None cites the whole file."""

    file: str
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check says about one record.

    Attributes:
        status: pass, fail, not_run (a need is missing), crashed (the check itself broke), waived.
        value, bound: the statistic and the limit it was held against, in the same unit; None when undefined.
        sentence: one sentence a person can repeat; it asserts no cause that was not tested.
        evidence: the lines that prove it.
        to_settle: a command or an action that would settle what is open.
        on_fail: what this failure does; None means the check's own.
    """

    status: Status
    sentence: str
    value: Any = None
    bound: Any = None
    evidence: tuple[Citation, ...] = ()
    to_settle: str = ""
    on_fail: OnFail | None = None
    id: str = ""
    check: str = ""
    subject: str = ""


@runtime_checkable
class Check(Protocol):
    """One question put to a record. The check's ``name`` is a claim that is true when it passes.

    Attributes:
        id: stable (D4, S2, T5, J1, ...). subject: the file it lives in.
        needs: what must be there, else the check is *not run*: "rows", "statements", "remarks", "events", "data",
            "results", "score" (the claim's entry in results.json), "run" (one of our own run folders) or
            "evidence:<probe>" (done).
        on_fail: refutes, unproves or notes. on_not_run: blocks_shown or nothing.
        required_for: tasks that need it to have run and passed before SHOWN.
        per_claim: judged once for each claim of the run (else once for the run).
    """

    id: str
    name: str
    subject: str
    needs: tuple[str, ...]
    on_fail: OnFail
    on_not_run: OnNotRun
    required_for: tuple[str, ...]
    per_claim: bool

    def judge(self, record: RunRecord, evidence: Mapping[str, Evidence]) -> Finding: ...


def passed(sentence: str, **fields: Any) -> Finding:
    return Finding(status="pass", sentence=sentence, **fields)


def failed(sentence: str, **fields: Any) -> Finding:
    return Finding(status="fail", sentence=sentence, **fields)


def not_run(reason: str, **fields: Any) -> Finding:
    return Finding(status="not_run", sentence=reason, **fields)


def cite_evidence(record: RunRecord, probe: str) -> tuple[Citation, ...]:
    """The file that holds what a probe found."""
    return (Citation(file=str(record.path / "evidence" / f"{probe}.json")),)
