"""``veritrain watch``: a run while it goes on."""

from __future__ import annotations

from collections.abc import Callable

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from veritrain.errors import UsageError
from veritrain.monitor.watch import watch as watch_run
from veritrain.record import RunFolder

Parser = Callable[[str, str, str], ArgumentParser]
Parse = Callable[[ArgumentParser, list[str]], Namespace]

EXIT_CODES = """
exit codes: 0 the run finished (with --once also: it is running, or has not begun); 1 it died, failed or was
interrupted (with --once also: it is stalled); 66 no run folder; 130 Ctrl-C. The run itself is never touched."""


def watch(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """watch RUN: losses, scores against chance, pace and findings of a run while it goes on."""
    parser = new_parser("watch", (watch.__doc__ or "") + EXIT_CODES, "veritrain watch runs/mine")
    parser.add_argument("run", type=str, help="a run folder, also one that has not begun or is over")
    parser.add_argument("--once", action="store_true", help="one look, then end")
    parser.add_argument("--every", type=float, default=None, help="seconds between looks (1 on a screen, else 10)")
    parser.add_argument("--plain", action="store_true", help="appended lines, also on a terminal")
    given = parse(parser, words)
    if given.every is not None and not given.every >= 0.1:
        raise UsageError("--every is too short", expected="at least 0.1 seconds", found=str(given.every))
    console = Console(highlight=False)
    return watch_run(RunFolder(given.run), console, once=given.once, every=given.every, plain=given.plain)
