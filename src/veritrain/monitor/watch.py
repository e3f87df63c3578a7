"""Looking at a run again and again until it is over. Nothing is written into its folder."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console, Group
from rich.live import Live

from veritrain.config import read_mapping
from veritrain.errors import ConfigError, RecordError
from veritrain.monitor import lines as plain_lines
from veritrain.monitor import words
from veritrain.monitor.findings import Arisen, Watchdog
from veritrain.monitor.screen import ASCII_BLOCKS, BLOCKS, screen_lines
from veritrain.monitor.state import State, state_of
from veritrain.monitor.story import Story, utc_seconds
from veritrain.monitor.tail import RecordTail
from veritrain.monitor.view import View, balance_rows, pace_of, score_rows, term_rows
from veritrain.record import Holder, RunFolder, holder_of

SCREEN_SECONDS = 1.0
PLAIN_SECONDS = 10.0
TOLD_NOTES = ("storage", "bad_checkpoint", "changed", "surroundings", "logger")
"""Kinds of notes in the record that a watcher should know of."""
VERDICT_SECONDS = 20.0
"""The verdict is written shortly after the run's last line: wait this long for it."""


class Watcher:
    """One run, looked at again and again.

    Raises:
        RecordError: the folder does not exist, or is no run (an empty one is a run that has not begun).
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        _demand_run(folder)
        self._tail = RecordTail(folder.record)
        self._dog = Watchdog(folder)
        self._story, self._fed, self._replaced = Story(), 0, 0
        self._grew: float | None = None
        self._mirrored = False
        self._deaths = 0
        self.news: list[Arisen] = []

    def look(self) -> View:
        """Read what is new; ``news`` then holds the findings that arose or went away."""
        holder = holder_of(self.folder.lock)  # before the record: a run that ends in between is not called dead
        first = self._grew is None and not self._tail.lines
        changed = self._tail.read()
        self._retell()
        if changed and not first:
            self._grew = time.monotonic()
            # A copy of a run that another machine writes: its lock tells nothing here.
            self._mirrored = self._mirrored or (holder.state == "free" and self._story.end is None)
        if self._mirrored and holder.state == "free":
            holder = Holder(state="unknown")
        silence = self._silence()
        state = state_of(self._story, holder, silence=silence)
        self.news = self._found(state)
        return self._view(state, silence)

    def settled(self, state: State) -> bool:
        """Whether the run is over. A death is believed when a second look finds it too."""
        self._deaths = self._deaths + 1 if state.word == "died" else 0
        return state.over and self._deaths != 1

    # ---- gathering --------------------------------------------------------------------------------------------

    def _retell(self) -> None:
        """Feed the new lines; all of them again when the record was replaced."""
        if self._tail.replaced != self._replaced:
            self._story, self._fed, self._replaced = Story(), 0, self._tail.replaced
        for line in self._tail.lines[self._fed :]:
            self._story.feed(line)
        self._fed = len(self._tail.lines)

    def _silence(self) -> float | None:
        """Seconds since the newest line, by its own time or since we saw it come, whichever is less: clocks of two
        machines may differ. Without a line, since the lock was made."""
        told = self._story.last_utc()
        if self._story.last is None:
            told = self.folder.lock.stat().st_mtime if self.folder.lock.exists() else None
        spans = [] if told is None else [max(0.0, time.time() - told)]
        if self._grew is not None:
            spans.append(time.monotonic() - self._grew)
        return min(spans, default=None)

    def _found(self, state: State) -> list[Arisen]:
        wanted = self._dog.due(self._tail.lines) or (state.over and self._dog.seen != len(self._tail.lines))
        return self._dog.look(self._tail.lines, self._story.step) if wanted else []

    def _view(self, state: State, silence: float | None) -> View:
        story, recipe = self._story, _mapping_of(self.folder.recipe)
        epochs = story.epochs or recipe.get("epochs")
        results = _json_of(self.folder.results) if story.phase in ("judging", "over") else None
        return View(
            name=self.folder.path.resolve().name,
            path=str(self.folder.path),
            task=story.task,
            segments=story.segments,
            state=state,
            step=story.step,
            total_steps=story.planned_steps(epochs),
            epoch=story.epoch,
            epochs=epochs,
            learning_rate=story.learning_rate,
            gradient_norm=story.gradient_norm,
            pace=pace_of(story, recipe, silence=None if state.over else silence),
            terms=term_rows(story),
            balance=balance_rows(story),
            scores=score_rows(story, results),
            findings=tuple(self._dog.standing.values()),
            warnings=self._warnings(),
            verdict=self._verdict() if state.word == "finished" else None,
        )

    def _warnings(self) -> tuple[str, ...]:
        out = []
        if self._tail.broken:
            out.append(f"{len(self._tail.broken)} lines of the record are no events, the first is line "
                       f"{self._tail.broken[0]}; an audit will refuse it")  # fmt: skip
        if self._tail.replaced:
            out.append(f"the record was replaced or cut {self._tail.replaced} times while watching; read again")
        return (*out, *(str(note["text"]) for note in self._story.notes[-3:] if note.get("kind") in TOLD_NOTES))

    def _verdict(self) -> Mapping[str, Any] | None:
        """``verdict.json``, unless it is of before this end: a resumed run leaves an older one for a moment."""
        ended = utc_seconds((self._story.end or {}).get("t_utc"))
        path = self.folder.verdict
        if not path.is_file() or (ended is not None and path.stat().st_mtime < ended - 1.0):
            return None
        return _json_of(path)


def _demand_run(folder: RunFolder) -> None:
    path = folder.path
    if path.is_dir() and (folder.is_run() or folder.lock.exists() or not any(path.iterdir())):
        return
    raise RecordError(
        "not a run folder",
        expected="a folder with record.jsonl, or an empty one that a run is about to use",
        found="a folder without a record" if path.is_dir() else "a file" if path.exists() else "no such folder",
        fix="give the folder that `veritrain train --run` writes",
        file=path,
    )


def _mapping_of(recipe: Path) -> Mapping[str, Any]:
    """The recipe; empty while it is missing or half-written."""
    try:
        return read_mapping(recipe) if recipe.is_file() else {}
    except ConfigError:
        return {}


def _json_of(path: Path) -> Mapping[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


# ---- showing ----------------------------------------------------------------------------------------------------


def watch(folder: RunFolder, console: Console, *, once: bool, every: float | None, plain: bool) -> int:
    """Show a run until it is over.

    Args:
        once: one look, then end.
        every: seconds between looks; None is 1 on a screen and 10 for plain lines.
        plain: lines instead of a screen, also on a terminal.

    Returns:
        0: finished; with ``once`` also running or not begun. 1: died, failed or interrupted; with ``once`` also
        stalled.

    Raises:
        RecordError: no run folder, or a record of another version.
    """
    watcher = Watcher(folder)
    lively = console.is_terminal and not console.is_dumb_terminal and not plain
    if once:
        view = watcher.look()
    elif lively:
        view = _on_screen(watcher, console, SCREEN_SECONDS if every is None else every)
    else:
        return _in_lines(watcher, console, PLAIN_SECONDS if every is None else every)
    if lively:
        _print_screen(view, console)
    else:
        _print(console, plain_lines.snapshot(view))
    return view.state.exit_code


def _on_screen(watcher: Watcher, console: Console, every: float) -> View:
    """The whole screen, drawn anew in place; what was on the terminal before comes back at the end."""
    blocks = BLOCKS if console.encoding.lower().startswith("utf") else ASCII_BLOCKS
    view = watcher.look()
    waited = 0.0
    with _terminable(), Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            size = console.size
            lines = screen_lines(view, width=size.width, height=size.height, blocks=blocks)
            live.update(Group(*lines), refresh=True)
            if watcher.settled(view.state) and (_complete(view) or waited >= VERDICT_SECONDS):
                return view
            waited = waited + every if view.state.over else 0.0
            time.sleep(every)
            view = watcher.look()


def _in_lines(watcher: Watcher, console: Console, every: float) -> int:
    """A snapshot, then a line for whatever is new: progress, findings, another state, the verdict."""
    view = watcher.look()
    _print(console, plain_lines.snapshot(view))
    waited, complete = 0.0, _complete(view)
    while not (watcher.settled(view.state) and (complete or waited >= VERDICT_SECONDS)):
        waited = waited + every if view.state.over else 0.0
        time.sleep(every)
        before, view = view, watcher.look()
        complete = _complete(view)
        new = [] if view.step == before.step else [plain_lines.progress(view)]
        new += [f"finding {words.finding(found)}" for found in watcher.news]
        new += [f"warning: {text}" for text in view.warnings if text not in before.warnings]
        if view.state.word != before.state.word:
            new.append(plain_lines.state(view))
        if complete and view.state.word == "finished":
            new += plain_lines.verdict(view)
        _print(console, new)
    if not complete:
        _print(console, plain_lines.verdict(view))
    return view.state.exit_code


def _complete(view: View) -> bool:
    """Whether there is nothing more to wait for: the verdict of a finished run comes a little later."""
    return view.state.word != "finished" or view.verdict is not None


def _print(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.out(line, highlight=False)


def _print_screen(view: View, console: Console) -> None:
    """One look, left on the terminal: as many lines as it needs, none wider than the terminal."""
    blocks = BLOCKS if console.encoding.lower().startswith("utf") else ASCII_BLOCKS
    lines = screen_lines(view, width=console.size.width, height=1000, blocks=blocks)[:-1]
    while lines and not lines[-1].plain:
        lines.pop()
    for line in lines:
        console.print(line, highlight=False, no_wrap=True)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM leaves the terminal as it was, like Ctrl-C."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
