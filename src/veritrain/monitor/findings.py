"""The audit's checks, put to a record that is still growing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from veritrain.audit.check import Check
from veritrain.audit.verdict import all_checks, findings_of
from veritrain.record import RunFolder, record_of_lines

ROWS_AND_EVENTS = frozenset({"rows", "events", "run"})
ONLY_AT_THE_END = frozenset({"record_whole"})
"""Checks that ask whether a run has ended: no question for one that goes on."""
SHARE_OF_TIME = 0.1


@dataclass(frozen=True, kw_only=True)
class Arisen:
    """What one check says about the record so far.

    Attributes:
        status: fail, crashed, or cleared (it failed before and does not any more).
        effect: refutes, unproves or notes: what the failure would do to the verdict.
    """

    id: str
    check: str
    status: str
    effect: str
    sentence: str
    step: int | None = None


def checks_while_running() -> list[Check]:
    """The checks of the catalogue that need nothing but rows and events."""
    return [
        check for check in all_checks() if set(check.needs) <= ROWS_AND_EVENTS and check.name not in ONLY_AT_THE_END
    ]


class Watchdog:
    """Tells each finding once, when it arises, and once when it goes away again.

    Attributes:
        standing: the findings that stand now, by check. seen: how many lines the last look saw.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._checks = checks_while_running()
        self.standing: dict[str, Arisen] = {}
        self._next, self.seen = 0.0, 0

    def due(self, lines: Sequence[Mapping[str, Any]]) -> bool:
        """Whether to look again: something new came, and looking takes at most a tenth of the time."""
        return len(lines) != self.seen and time.monotonic() >= self._next

    def look(self, lines: Sequence[dict[str, Any]], step: int | None) -> list[Arisen]:
        """What arose or went away since the last look."""
        started = time.monotonic()
        self.seen = len(lines)
        now = self._judged(lines, step)
        new = [found for check, found in now.items() if self._is_news(check, found)]
        gone = [
            Arisen(id=was.id, check=check, status="cleared", effect=was.effect, sentence="no longer", step=step)
            for check, was in self.standing.items()
            if check not in now
        ]
        self.standing = now
        self._next = time.monotonic() + (time.monotonic() - started) / SHARE_OF_TIME
        return [*new, *gone]

    def _judged(self, lines: Sequence[dict[str, Any]], step: int | None) -> dict[str, Arisen]:
        judged = findings_of(record_of_lines(self._folder, lines), self._checks)
        return {
            item.finding.check: Arisen(
                id=item.finding.id,
                check=item.finding.check,
                status=item.finding.status,
                effect=item.on_fail,
                sentence=item.finding.sentence,
                step=step,
            )
            for item in judged
            if item.finding.status in ("fail", "crashed")
        }

    def _is_news(self, check: str, found: Arisen) -> bool:
        was = self.standing.get(check)
        return was is None or (was.status, was.effect) != (found.status, found.effect)
