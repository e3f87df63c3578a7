"""From findings to a verdict: the most that the evidence allows, and never more."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from veritrain import catalog
from veritrain.audit.check import Check, Finding, OnFail
from veritrain.config import read_mapping
from veritrain.errors import ConfigError, did_you_mean
from veritrain.record import Claim, RunRecord

VERDICT_SCHEMA = 1
ORDER = ("refuted", "not_shown", "plausible", "shown")
"""From worst to best; several paths give the worst."""

WORDS = {"shown": "SHOWN", "plausible": "PLAUSIBLE", "not_shown": "NOT SHOWN", "refuted": "REFUTED"}
PLAUSIBLE_BY = "beats_trivial"
"""The check whose pass is "held-out evidence clearly above the trivial level"."""


@dataclass(frozen=True, kw_only=True)
class Waiver:
    """A check that a recipe sets aside, with a reason and a last day. It counts as not run and cannot lift REFUTED."""

    check: str
    reason: str
    until: date


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A finding beside what its check demands."""

    finding: Finding
    on_fail: OnFail
    required: bool


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What may be said about one claim, and why.

    ``word`` is shown, plausible, not_shown or refuted; ``sentence`` is what a person may repeat.
    """

    word: str
    sentence: str
    claim: Claim | None
    judged: tuple[Judged, ...]
    one_run: bool = True


def waivers_of(recipe: Path) -> tuple[Waiver, ...]:
    """The waivers of a recipe file; none when there is no recipe.

    Raises:
        ConfigError: a waiver without check, reason or last day, or of a check that does not exist.
    """
    if not recipe.is_file():
        return ()
    entries = read_mapping(recipe).get("waivers") or []
    return tuple(_waiver(entry, recipe) for entry in (entries if isinstance(entries, list) else [entries]))


def _waiver(entry: Any, recipe: Path) -> Waiver:
    given = entry if isinstance(entry, dict) else {}
    if not all(given.get(key) for key in ("check", "reason", "until")) or given["check"] not in catalog.CHECKS:
        raise ConfigError(
            "not a waiver",
            expected="check (a name of `veritrain list checks`), reason, until (YYYY-MM-DD)",
            found=str(entry),
            fix=did_you_mean(str(given.get("check", "")), catalog.CHECKS),
            file=recipe,
        )
    return Waiver(check=given["check"], reason=str(given["reason"]), until=_day(given["until"], recipe))


def _day(value: Any, recipe: Path) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise ConfigError("not a day", expected="YYYY-MM-DD", found=str(value), file=recipe) from error


def all_checks() -> list[Check]:
    return [catalog.resolve("checks", name)() for name in catalog.CHECKS]


def findings_of(
    record: RunRecord, checks: Iterable[Check], waivers: Sequence[Waiver] = (), today: date | None = None
) -> list[Judged]:
    """Put every check to the record; a missing need is *not run*, a crash is its own status."""
    day = today or date.today()
    active = {waiver.check: waiver for waiver in waivers if waiver.until >= day}
    return [_judge_one(record, check, active.get(check.name)) for check in checks]


def _judge_one(record: RunRecord, check: Check, waiver: Waiver | None) -> Judged:
    missing = [need for need in check.needs if not _has(record, need)]
    if missing:
        finding = Finding(status="not_run", sentence="needs " + ", ".join(map(_spell, missing)))
    else:
        try:
            finding = check.judge(record, record.evidence)
        except Exception as error:  # noqa: BLE001 - a crashed check is a status of its own, told with its error
            finding = Finding(status="crashed", sentence=f"the check itself broke: {type(error).__name__}: {error}")
    if finding.status == "not_run" and _only_for_other_tasks(record, check):
        finding = replace(finding, to_settle="")
    effect: OnFail = finding.on_fail or check.on_fail
    doubt = finding.status == "fail" and effect != "notes"
    set_aside = waiver is not None and not (doubt and effect == "refutes")
    if waiver is not None and set_aside:
        finding = replace(
            finding, status="waived", sentence=f"waived until {waiver.until}: {waiver.reason} ({finding.sentence})"
        )
    named = replace(
        finding,
        id=check.id,
        check=check.name,
        subject=check.subject,
        value=_plain(finding.value),
        bound=_plain(finding.bound),
    )
    # A known doubt that was set aside must not end in SHOWN, whoever demands its check.
    return Judged(finding=named, on_fail=effect, required=_is_required(record, check) or (set_aside and doubt))


def _is_required(record: RunRecord, check: Check) -> bool:
    """What the run's task demands; a run of a task that nobody knows must pass whatever any task demands."""
    if record.kind != "run":
        return False
    if record.task in check.required_for:
        return True
    anyone = not check.required_for or record.task not in catalog.TASKS
    return check.on_not_run == "blocks_shown" and anyone


def _only_for_other_tasks(record: RunRecord, check: Check) -> bool:
    """A check that other tasks demand and the run's own does not: not run, it leaves nothing to settle here."""
    return record.task in catalog.TASKS and bool(check.required_for) and record.task not in check.required_for


def _has(record: RunRecord, need: str) -> bool:
    kind, _, probe = need.partition(":")
    if kind == "evidence":
        found, basis = record.evidence.get(probe), record.basis()
        return found is not None and found.status == "done" and basis in (None, found.inputs_hash)
    present: Mapping[str, object] = {
        "run": record.kind == "run",
        "rows": record.rows,
        "statements": record.statements,
        "remarks": record.remarks,
        "events": record.events,
        "data": record.data,
        "results": record.results,
        "score": record.score(),
    }
    return bool(present[kind])


def _spell(need: str) -> str:
    kind, _, probe = need.partition(":")
    if kind == "evidence":
        return f"the probe {probe}, done on the checkpoint and the split of results.json"
    return need.replace("score", "a score of the claim in results.json")


def _plain(value: Any) -> Any:
    """JSON-ready: NaN and infinity are undefined, and undefined is null."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def decide(judged: Sequence[Judged], *, own_run: bool, demanded: Collection[str] = ()) -> str:
    """The table of DESIGN section 3, row by row.

    Args:
        judged: what the checks found.
        own_run: a run folder of ours; a foreign artefact is PLAUSIBLE at best.
        demanded: names of checks that must be among those that passed before SHOWN, also when nobody put them.
    """
    failed = {item.on_fail for item in judged if item.finding.status == "fail"}
    if "refutes" in failed:
        return "refuted"
    if "unproves" in failed:
        return "not_shown"
    passed = {item.finding.check for item in judged if item.finding.status == "pass"}
    required = {item.finding.check for item in judged if item.required} | set(demanded)
    if own_run and required and required <= passed:
        return "shown"
    return "plausible" if PLAUSIBLE_BY in passed else "not_shown"


def judge(record: RunRecord, *, checks: Sequence[Check] | None = None, waivers: Sequence[Waiver] = ()) -> Verdict:
    """The verdict on the record's claim in focus."""
    every = all_checks()
    judged = findings_of(record, every if checks is None else checks, waivers)
    demanded = {check.name for check in every if _is_required(record, check)}
    word = decide(judged, own_run=record.kind == "run", demanded=demanded)
    return Verdict(word=word, sentence=_sentence(word, record, judged), claim=record.claim, judged=tuple(judged))


def judge_all(record: RunRecord, waivers: Sequence[Waiver] = ()) -> list[Verdict]:
    """One verdict per claim, the headline first; a foreign artefact has one."""
    checks = all_checks()
    if not record.claims:
        return [judge(record, checks=checks, waivers=waivers)]
    return [judge(record.about(claim), checks=checks, waivers=waivers) for claim in record.claims]


def _sentence(word: str, record: RunRecord, judged: Sequence[Judged]) -> str:
    head = WORDS[word] + (" (one run)" if word == "shown" else "")
    about = "" if record.claim is None else f" {record.claim.metric} on {record.claim.split}"
    score = record.score()
    if score is not None and score.get("value") is not None:
        about += f" = {score['value']:.3f}"
        if score.get("ci95") and None not in score["ci95"]:
            about += f" [{score['ci95'][0]:.3f}, {score['ci95'][1]:.3f}]"
        if score.get("chance") is not None:
            about += f", chance {score['chance']:.3f}"
    reasons = _reasons(word, judged)
    return f"{head}:{about}. {_capital(reasons)}" if about else f"{head}: {reasons}"


def _capital(sentence: str) -> str:
    """A capital letter after a full stop; a name such as ``point_ap``, a quotation or a number stays as it is."""
    first = sentence.partition(" ")[0].rstrip(",:;")
    return sentence[:1].upper() + sentence[1:] if first.isascii() and first.isalpha() else sentence


def _joined(sentences: Sequence[str]) -> str:
    """One after the other, each with its full stop."""
    first, *others = [f"{sentence.rstrip('.')}." for sentence in sentences]
    return " ".join([first, *map(_capital, others)])


def _reasons(word: str, judged: Sequence[Judged]) -> str:
    wanted: OnFail = "refutes" if word == "refuted" else "unproves"
    found = [item.finding for item in judged if item.finding.status == "fail" and item.on_fail == wanted]
    if found:
        return _joined([finding.sentence for finding in found[:3]])
    if word == "shown":
        count = sum(item.required for item in judged)
        return f"All {count} required checks ran and passed."
    open_ones = [item.finding.check for item in judged if item.required and item.finding.status != "pass"]
    if open_ones:
        more = f" and {len(open_ones) - 6} more" if len(open_ones) > 6 else ""
        return (
            f"Nothing contradicts it, but {len(open_ones)} required checks did not run or did not pass: "
            f"{', '.join(open_ones[:6])}{more}."
        )
    if word == "plausible":
        return _joined([_ground(judged), "nothing here contradicts it; the file alone cannot show more"])
    return "Nothing here shows held-out performance clearly above the trivial level."


def _ground(judged: Sequence[Judged]) -> str:
    """What PLAUSIBLE rests on: the score above the trivial level, and the lines that hold it."""
    above = next(item.finding for item in judged if item.finding.check == PLAUSIBLE_BY)
    lines = [str(citation.line) for citation in above.evidence if citation.line is not None]
    where = f" (line{'s' if len(lines) > 1 else ''} {' and '.join(lines)})" if lines else ""
    return above.sentence.rstrip(".") + where


def as_json(verdicts: Sequence[Verdict], path: Path | str) -> dict[str, Any]:
    """The headline's verdict in full, the other claims in a line each (the words of the interface)."""
    head = verdicts[0]
    ran = [item for item in head.judged if item.finding.status != "not_run"]
    idle = [item for item in head.judged if item.finding.status == "not_run"]
    return {
        "schema": VERDICT_SCHEMA,
        "path": os.fspath(path),
        "verdict": head.word,
        "sentence": head.sentence,
        "one_run": head.one_run,
        "claim": None if head.claim is None else asdict(head.claim),
        "claims": [
            {"metric": item.claim.metric, "split": item.claim.split, "verdict": item.word, "sentence": item.sentence}
            for item in verdicts
            if item.claim is not None
        ],
        "findings": [_finding_json(item) for item in ran],
        "not_run": [
            {
                "id": item.finding.id,
                "check": item.finding.check,
                "reason": item.finding.sentence,
                "to_settle": item.finding.to_settle,
                "required": item.required,
            }
            for item in idle
        ],
        "waived": [
            {"id": item.finding.id, "check": item.finding.check, "reason": item.finding.sentence}
            for item in ran
            if item.finding.status == "waived"
        ],
    }


def _finding_json(item: Judged) -> dict[str, Any]:
    finding = item.finding
    return {
        "id": finding.id,
        "check": finding.check,
        "subject": finding.subject,
        "status": finding.status,
        "sentence": finding.sentence,
        "value": finding.value,
        "bound": finding.bound,
        "evidence": [asdict(citation) for citation in finding.evidence],
        "to_settle": finding.to_settle,
        "on_fail": item.on_fail,
        "required": item.required,
    }
