"""The model card of a run folder: ``README.md`` with the verdict on top."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from veritrain.record import RunFolder, RunRecord, read_run
from veritrain.report.language import say
from veritrain.report.numbers import shown
from veritrain.report.reasons import headline_of, open_checks, reasons_of, sentence_of, to_settle
from veritrain.report.recipe_facts import also_needed, cautions, commands, data_facts, network_of, recipe_of

SPECIAL = re.compile(r"([\\`*<>|~&]|^[#+-]|(?<=\])\()")
"""What could start markup, a table cell or a link."""


def write_card(folder: RunFolder) -> Path:
    """Write the model card of a run, finished or not.

    Raises:
        RecordError: no record in the folder.
    """
    record = read_run(folder.path)
    verdict = json.loads(folder.verdict.read_text(encoding="utf-8")) if folder.verdict.is_file() else None
    text = card_text(folder.path.resolve().name, record, verdict, recipe_of(folder.recipe))
    folder.card.write_text(text, encoding="utf-8")
    return folder.card


def card_text(name: str, record: RunRecord, verdict: Mapping[str, Any] | None, recipe: Mapping[str, Any]) -> str:
    """The card as Markdown; foreign words are escaped."""
    parts = [
        [f"# {plain(name)}", ""],
        _verdict_part(verdict),
        _made_part(record),
        _results_part(record),
        _data_part(record),
        _model_part(record, recipe),
        _again_part(name, record, recipe),
        ["`report.html` shows the curves, the checks and the worst errors.", ""],
    ]
    return "\n".join(line for part in parts for line in part)


def plain(text: object) -> str:
    """A text that Markdown shows as it is, on one line."""
    return SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _verdict_part(verdict: Mapping[str, Any] | None) -> list[str]:
    if verdict is None:
        return [f"**{say('unjudged')}.** {say('unjudged_means')}", ""]
    word = verdict["verdict"]
    lines = [f"**{headline_of(verdict)}.** {plain(sentence_of(verdict))}", "", f"> {say(f'{word}_means')}", ""]
    lines += [f"- `{one['check']}` {say(one['status'])}: {plain(one['sentence'])}" for one in reasons_of(verdict)]
    actions = to_settle(verdict)
    if actions:
        lines += ["", f"{say('settle')}:", "", *(f"- {plain(action)}" for action in actions)]
    lines += _idle_part(verdict)
    waived = [f"`{one['check']}` ({plain(one['reason'])})" for one in verdict.get("waived", ())]
    return [*lines, "", *([f"Waived: {', '.join(waived)}.", ""] if waived else [])]


def _idle_part(verdict: Mapping[str, Any]) -> list[str]:
    """How many checks did not run, and those that matter by name."""
    count, named = len(verdict.get("not_run", ())), [f"`{name}`" for name in open_checks(verdict)]
    if not count:
        return []
    listed = f": {', '.join(named)}" if named else ""
    return ["", f"Did not run ({count}){listed}" + (". The report lists all." if len(named) < count else ".")]


def _made_part(record: RunRecord) -> list[str]:
    results, data = record.results or {}, record.data or {}
    lines = []
    if results.get("medical") or data.get("medical"):
        lines += [f"**{say('not_medical')}.** {say('medical_means')}", ""]
    if results.get("leaky_split"):
        lines += [f"**{say('leaky_split')}.** {say('leaky_means')}", ""]
    if results.get("made_data") or data.get("made_data"):
        lines += [f"**{say('made_data')}.** {say('made_means')}", ""]
    return lines


def _results_part(record: RunRecord) -> list[str]:
    metrics = (record.results or {}).get("metrics") or {}
    if not metrics:
        return ["## Test results", "", say("no_results"), ""]
    claimed = {claim.metric for claim in record.claims}
    head = [say(key) for key in ("metric", "value", "interval", "chance", "baseline", "samples", "groups")]
    rows = [
        [
            plain(name),
            shown(one.get("value")),
            _interval(one.get("ci95")),
            shown(one.get("chance")),
            shown(one.get("baseline")),
            shown(one.get("n")),
            shown(one.get("groups")),
        ]
        for name, one in sorted(metrics.items(), key=lambda pair: pair[0] not in claimed)
    ]
    return ["## Test results", "", *_table(head, rows), ""]


def _interval(ends: Sequence[float | None] | None) -> str:
    return shown(None) if not ends or None in ends else shown(ends)


def _data_part(record: RunRecord) -> list[str]:
    data = record.data
    if data is None:
        return []
    captioned = any("captions" in one for one in (data.get("splits") or {}).values())
    head = ["split", "groups", "frames", *(["captions"] if captioned else ["positives", "negatives", "unknown"])]
    rows = [
        [plain(split), shown(len(one.get("groups", ()))), *(shown(one.get(key)) for key in head[2:])]
        for split, one in (data.get("splits") or {}).items()
    ]
    facts = [
        f"Format {plain(data.get('format'))}; licence {plain(data.get('licence'))}; "
        f"commercial use: {plain(shown(data.get('commercial_use')))}.",
        f"Skipped files: {len(data.get('dropped') or ())}.",
    ]
    return ["## Data", "", *facts, "", *_table(head, rows), ""]


def _model_part(record: RunRecord, recipe: Mapping[str, Any]) -> list[str]:
    results = record.results or {}
    facts = [f"{key.replace('_', ' ').capitalize()}: {plain(value)}" for key, value in network_of(recipe)]
    facts += [f"{say(key)}: {shown(results.get(key))}" for key in ("parameters", "size_mb", "latency_ms") if results]
    checkpoint = results.get("checkpoint") or {}
    if checkpoint:
        facts.append(f"{say('checkpoint')}: `{checkpoint.get('file')}` (SHA-256 `{checkpoint.get('sha256')}`)")
    facts += _start_of(results.get("weights") or {})
    listed = [f"- {fact}" for fact in facts]
    use = [f"**{say('intended_use')}.** {say('intended_words')}", "", f"**{say('limits')}.** {say('limits_words')}", ""]
    return ["## Model", "", *listed, *([""] if listed else []), *use]


def _start_of(weights: Mapping[str, Any]) -> list[str]:
    """Which file training started from and what was taken of it; nothing where it started from scratch."""
    if not weights:
        return []
    parts = [f"{say(key)}: {plain(', '.join(weights[key]))}" for key in ("taken", "from_scratch") if weights.get(key)]
    told = f"{say('started_from')}: `{weights.get('file')}` (SHA-256 `{weights.get('sha256')}`); {'; '.join(parts)}"
    return [f"{told}. {say('started_means')}"]


def _again_part(name: str, record: RunRecord, recipe: Mapping[str, Any]) -> list[str]:
    """Commands that work beside the run folder, which data they need, and when the numbers are not the same again."""
    lines = ["## How to reproduce", "", say("from_parent"), "", "```", *commands(name, record.task or ""), "```", ""]
    facts = ", ".join(f"{say(key)} `{plain(value)}`" for key, value in data_facts(recipe, record.data or {}))
    lines += [f"{facts}. {say('hash_means')}", ""] if facts else []
    needed = also_needed(recipe)
    lines += [f"{say('also_needed')}: {plain(', '.join(needed))}.", ""] if needed else []
    return lines + [line for key in cautions(recipe) for line in (say(key), "")]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]]
