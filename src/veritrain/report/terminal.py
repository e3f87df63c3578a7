"""The verdict on a terminal: the word, its sentence, what failed with file and line, and what would settle it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from veritrain.report.language import Language, say
from veritrain.report.numbers import shown
from veritrain.report.quotes import Quotes
from veritrain.report.reasons import headline_of, open_checks, sentence_of, sorted_findings, to_settle

COLOURS = {
    "shown": "bold green",
    "plausible": "bold blue",
    "not_shown": "bold yellow",
    "refuted": "bold red",
    "unjudged": "bold",
}
MARKS = {"fail": ("x", "red"), "crashed": ("!", "red"), "waived": ("-", "yellow"), "pass": ("+", "green")}
MOST_CITATIONS = 4
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that could move the cursor or change colours; foreign lines may hold them."""


def print_verdict(verdict: Mapping[str, Any], console: Console | None = None, *, language: Language = "en") -> None:
    """Print one verdict; colours only on a terminal, one line per fact elsewhere.

    Args:
        verdict: as ``verdict.json`` or ``veritrain audit --json`` has it.
        console: where to print; standard output without it.
        language: of the fixed words; sentences stay as the checks said them.
    """
    console = console or Console()
    _line(console, Text(plain(verdict.get("path", "")), "dim"))
    word = verdict["verdict"]
    head = (f"{headline_of(verdict, language)}  ", COLOURS.get(word, "bold"))
    _line(console, Text.assemble(head, plain(sentence_of(verdict))))
    quotes = Quotes(Path.cwd())
    for finding in sorted_findings(verdict):
        if finding["status"] != "pass":
            _print_finding(finding, console, quotes, language)
    _print_names(console, "pass", [f["check"] for f in verdict.get("findings", ()) if f["status"] == "pass"], language)
    _print_idle(console, verdict, language)
    for claim in verdict.get("claims", ())[1:]:
        _line(console, Text("  ").append(plain(claim["sentence"])))
    actions = to_settle(verdict)
    if actions:
        _line(console, Text(f"{say('settle', language)}:", "bold"))
        for action in actions:
            _line(console, Text(f"  -> {plain(action)}"))


def plain(text: object) -> str:
    """Text on one line, without control characters."""
    return CONTROL.sub("", str(text).replace("\n", " ").replace("\t", " "))


def _line(console: Console, text: Text) -> None:
    """One line; a terminal wraps it, a file or a pipe keeps it whole."""
    console.print(text, soft_wrap=not console.is_terminal, highlight=False)


def _print_finding(finding: Mapping[str, Any], console: Console, quotes: Quotes, language: Language) -> None:
    mark, colour = MARKS[finding["status"]]
    text = Text.assemble((f"  {mark} ", colour), (f"{plain(finding['id'])} {plain(finding['check'])}", "bold"))
    text.append(f" {say(finding['status'], language)}: {plain(finding['sentence'])}")
    if finding.get("value") is not None and finding.get("bound") is not None:
        text.append(f" ({shown(finding['value'])} / {shown(finding['bound'])})", "dim")
    _line(console, text)
    citations = finding.get("evidence") or ()
    for citation in citations[:MOST_CITATIONS]:
        quoted = plain(quotes.text(citation))
        place = (f"      {plain(quotes.name(citation))}", "cyan")
        _line(console, Text.assemble(place, (f"  {quoted}" if quoted else "", "dim")))
    if len(citations) > MOST_CITATIONS:
        _line(console, Text(f"      + {len(citations) - MOST_CITATIONS}", "dim"))


def _print_names(console: Console, key: str, names: list[str], language: Language) -> None:
    """How many, and which, on one line."""
    if names:
        listed = ", ".join(plain(name) for name in names)
        _line(console, Text(f"  {len(names)} {say(key, language)}: ", "dim").append(listed, "dim"))


def _print_idle(console: Console, verdict: Mapping[str, Any], language: Language) -> None:
    """How many checks did not run; by name only those that matter here, since a bare log leaves dozens idle."""
    count, named = len(verdict.get("not_run", ())), [plain(name) for name in open_checks(verdict)]
    if not count:
        return
    text = Text(f"  {count} {say('did_not_run', language)}", "dim")
    if named:
        text.append(": " + ", ".join(named), "dim")
    if len(named) < count:
        text.append(f" ({say('see_all', language)})", "dim")
    _line(console, text)
