"""The command line: parse, call, print; no logic."""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from veritrain import __version__, catalog, config
from veritrain.errors import (
    ArtefactError,
    MissingExtraError,
    RecordError,
    StorageError,
    UsageError,
    VeritrainError,
    did_you_mean,
)

# Before torch can be imported: OpenMP's threads then sleep while they wait instead of spinning, which on a shared
# machine takes the processor from everybody else and from our own data workers.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

Command = Callable[[list[str]], int]
DEBUG = "VERITRAIN_DEBUG"
TRAIN_PACKAGES = frozenset(
    ["torch", "torchvision", "lightning_fabric", "open_clip", "torchjd", "safetensors", "webdataset", "PIL"]
)
"""What ``pip install veritrain[train]`` brings."""

OWN_WORDS = frozenset({"help", "config", "print_config", "print_shtab", "run", "quick", "resume"})
"""Options of the command line that no recipe file may hold: it would change nothing there."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code of DESIGN section 3 (0, 1, 2, 4, 5, 64, 65, 66, 69, 70, 74, 130, 143)."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words)
    except VeritrainError as error:
        return _told(error)
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except Exception as error:  # noqa: BLE001 - the last place to turn any error into one clear line and an exit code
        return _told(_explained(error))


def _told(error: VeritrainError) -> int:
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    return error.exit_code


def _explained(error: Exception) -> VeritrainError:
    """An error that nobody expected, as one of ours; its traceback only when it was asked for."""
    if os.environ.get(DEBUG) == "1":
        traceback.print_exception(error)
    missing = (error.name or "").partition(".")[0] if isinstance(error, ImportError) else ""
    if missing in TRAIN_PACKAGES:
        return MissingExtraError(
            f"this needs the package '{missing}'",
            expected="the training packages beside the base install",
            found=str(error),
            fix="pip install 'veritrain[train]'",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return StorageError("the disk cannot be written", found=str(error), fix="make room; whole files are intact")
    return VeritrainError(
        "an internal error: this is our fault",
        found=" ".join(f"{type(error).__name__}: {error}".split()),
        fix=f"{DEBUG}=1 shows where; please report it with the command line",
    )


def entry() -> None:
    """The console script."""
    raise SystemExit(main())


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        print(f"veritrain {__version__}")
        return 0
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise UsageError(f"no command '{name}'", found=name, fix=did_you_mean(name, COMMANDS))
    return COMMANDS[name][0](rest)


def _overview() -> str:
    lines = ["Veritrain: did your model learn, or does it only look that way?", "", "usage: veritrain COMMAND ...", ""]
    lines += [f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join([*lines, "", "veritrain COMMAND --help shows its options and an example."])


class _WithDefaults(argparse.RawDescriptionHelpFormatter):
    """Help in which each option says its default, unless its own words say what it is without."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        told = action.help
        if told is None or not action.option_strings or action.default is argparse.SUPPRESS:
            return told
        if action.default == "" and "without it" in told:
            return told
        return told + (" (required)" if action.required else f" (default: {config.default_in_words(action.default)})")


def _parser(command: str, text: str, example: str) -> ArgumentParser:
    return ArgumentParser(
        prog=f"veritrain {command}",
        description=text,
        epilog=f"example: {example}",
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=_WithDefaults,
    )


def _parse(parser: ArgumentParser, words: list[str]) -> Namespace:
    """Parse, or say what was not understood and what was probably meant."""
    files: list[Path] = []
    if "--config" in parser._option_string_actions:
        words, files = config.config_first(words)
        for file in files:
            config.demand_keys(file, {action.dest for action in parser._actions} - OWN_WORDS)
    try:
        return parser.parse_args(words)
    except argparse.ArgumentError as error:
        text = str(error)
        known = [option for action in parser._actions for option in action.option_strings]
        unknown = re.search(r"unrecognized arguments: (--[\w.-]+)", text)
        if unknown:
            word = unknown.group(1).split("=")[0]
            raise UsageError(f"unknown option '{word}'", found=word, fix=did_you_mean(word, known)) from error
        stored = {key: value for file in files for key, value in config.read_mapping(file).items()}
        meant = config.nearest_choice(parser, {**stored, **config.values_in(parser, words)})
        help_shows = f"{parser.prog} --help shows the options and an example"
        raise UsageError(
            "the command line was not understood",
            found=config.in_plain_words(parser, text),
            fix=help_shows if meant is None else f"{meant} ({help_shows})",
        ) from error


# --- audit and report: no torch ------------------------------------------------------------------------------


def audit(words: list[str]) -> int:
    """Judge training artefacts, ours or anybody's."""
    from veritrain.audit.verdict import ORDER
    from veritrain.readers.recognise import artefacts_at
    from veritrain.report.terminal import print_verdict

    parser = _parser("audit", audit.__doc__ or "", "veritrain audit runs/mine results.csv train.log report.md --json")
    parser.add_argument("paths", nargs="+", type=str, help="runs or folders of runs, CSV histories, text logs, reports")
    parser.add_argument("--json", action="store_true", help="one JSON object (a list for several paths)")
    parser.add_argument("--fail-on", choices=("refuted", "not_shown", "plausible"), default="refuted")
    given = _parse(parser, words)
    verdicts: list[dict[str, Any]] = []
    for path in [artefact for place in given.paths for artefact in artefacts_at(place)]:
        try:
            verdicts.append(_verdict_of(path))
        except (ArtefactError, RecordError) as error:
            verdicts.append(_unread(path, error))
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
    judged = [verdict for verdict in verdicts if verdict["verdict"] is not None]
    if given.json:
        content = verdicts[0] if len(verdicts) == 1 else verdicts
        print(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False))
    else:
        for verdict in judged:
            print_verdict(verdict, Console())
    if len(judged) < len(verdicts):
        return ArtefactError.exit_code
    return int(min(ORDER.index(verdict["verdict"]) for verdict in judged) <= ORDER.index(given.fail_on))


def _unread(path: Path, error: VeritrainError) -> dict[str, Any]:
    """What stands in the JSON for a path that cannot be read: no verdict, and why."""
    from veritrain.audit.verdict import VERDICT_SCHEMA

    told = {key: getattr(error, key) for key in ("message", "expected", "found", "fix", "file", "line")}
    return {
        "schema": VERDICT_SCHEMA,
        "path": str(path),
        "verdict": None,
        "error": {"type": type(error).__name__, **told},
        "findings": [],
        "not_run": [],
    }


def _verdict_of(path: Path) -> dict[str, Any]:
    from veritrain.audit.verdict import as_json, judge_all, waivers_of
    from veritrain.readers.recognise import read_artefact
    from veritrain.record import RunFolder

    record = read_artefact(path)
    waivers = waivers_of(RunFolder(path).recipe) if record.kind == "run" else ()
    return as_json(judge_all(record, waivers), path)


def report(words: list[str]) -> int:
    """Write the report of a run (finished or not), or of somebody's artefact, judging it again."""
    from veritrain.record import RunFolder, demand_run
    from veritrain.report.page import write_foreign_report
    from veritrain.report.publish import publish

    parser = _parser("report", report.__doc__ or "", "veritrain report runs/mine; veritrain report train.log")
    parser.add_argument("path", type=str, help="a run folder, or a file that audit reads")
    parser.add_argument("--language", choices=("en", "zh"), default="en")
    parser.add_argument(
        "--out",
        type=str,
        default="",
        help="for a file: where to write; ./FILE.report.html without it, in the folder you are in (FILE: its name)",
    )
    given = _parse(parser, words)
    folder = demand_run(given.path) if Path(given.path).is_dir() else RunFolder(given.path)
    verdict = _verdict_of(folder.path)
    if folder.is_run():
        publish(folder, verdict, language=given.language)
        print(folder.report)
    else:
        out = Path(given.out or f"{Path(given.path).name}.report.html")
        print(write_foreign_report(verdict, out, language=given.language))
    return 0


def list_kind(words: list[str]) -> int:
    """List what there is: tasks, formats, worlds, models (with their parameters), probes, checks, readers."""
    from veritrain.commands.listing import as_lines, rows_of

    parser = _parser("list", list_kind.__doc__ or "", "veritrain list checks --json")
    parser.add_argument("kind", type=str, help=", ".join(catalog.KINDS))
    parser.add_argument("--json", action="store_true")
    given = _parse(parser, words)
    if given.kind not in catalog.KINDS:
        raise UsageError(f"no kind '{given.kind}'", found=given.kind, fix=did_you_mean(given.kind, catalog.KINDS))
    if given.kind == "models":
        from veritrain.commands.models import models_told

        print(models_told(as_json=given.json))
        return 0
    rows = rows_of(given.kind)
    print(json.dumps(rows, ensure_ascii=False, indent=1) if given.json else "\n".join(as_lines(rows)))
    return 0


# --- data, training, looking: torch is loaded inside -----------------------------------------------------------


def data(words: list[str]) -> int:
    """data make WORLD OUT: write a made data set. data check PATH: what a data set holds, and what is wrong with it.
    data subset PATH OUT: a part of a data set as a data set of its own.
    data export PATH OUT: the labels of a data set for other programs."""
    from veritrain.commands import data as commands

    if not words or words[0] in ("-h", "--help"):
        print(data.__doc__)
        return 0
    actions = {"make": commands.make, "check": commands.check, "subset": commands.subset, "export": commands.export}
    if words[0] not in actions:
        raise UsageError(f"no action 'data {words[0]}'", found=words[0], fix=did_you_mean(words[0], actions))
    return actions[words[0]](words[1:], _parser, _parse)


def train(words: list[str]) -> int:
    """train TASK: train, evaluate on held-out groups, run the controls, judge, report."""
    from veritrain.commands import train as commands

    if not words or words[0] in ("-h", "--help"):
        print(f"{train.__doc__}\ntasks: {', '.join(catalog.TASKS)}\nveritrain train TASK --help shows its options.")
        return 0
    if words[0] not in catalog.TASKS:
        raise UsageError(f"no task '{words[0]}'", found=words[0], fix=did_you_mean(words[0], catalog.TASKS))
    return commands.train(words[0], words[1:], _parser, _parse)


def baseline(words: list[str]) -> int:
    """baseline METHOD: what a method scores that was shown no label (memory-bank), without a network beside it."""
    from veritrain.commands import baseline as commands

    if not words or words[0] in ("-h", "--help"):
        print(f"{baseline.__doc__}\nveritrain baseline METHOD --help shows its options.")
        return 0
    if words[0] not in commands.METHODS:
        raise UsageError(f"no method '{words[0]}'", found=words[0], fix=did_you_mean(words[0], commands.METHODS))
    return commands.METHODS[words[0]](words[1:], _parser, _parse)


def resume(words: list[str]) -> int:
    """resume RUN: go on where a run stopped (the recipe in its folder is used)."""
    from veritrain.commands import train as commands

    return commands.resume(words, _parser, _parse)


def evaluate(words: list[str]) -> int:
    """evaluate RUN: score the best checkpoint on the test split again."""
    from veritrain.commands import look

    return look.evaluate(words, _parser, _parse)


def predict(words: list[str]) -> int:
    """predict RUN INPUT... | predict RUN --samples N: scores and pictures of single frames."""
    from veritrain.commands import look

    return look.predict(words, _parser, _parse)


def probe(words: list[str]) -> int:
    """probe RUN [NAME...]: make the evidence again (or what was left out), then judge and report."""
    from veritrain.commands import look

    return look.probe(words, _parser, _parse)


def watch(words: list[str]) -> int:
    """watch RUN: look at a run while it goes on."""
    from veritrain.commands import watch as commands

    return commands.watch(words, _parser, _parse)


def fetch(words: list[str]) -> int:
    """fetch NAME: what is known of a published weight file; --download brings it here."""
    from veritrain.commands import fetch as commands

    return commands.fetch(words, _parser, _parse)


def study(words: list[str]) -> int:
    """study FILE: many runs, one question; cells that are finished are not made again."""
    from veritrain.commands import study as commands

    return commands.study(words, _parser, _parse)


COMMANDS: dict[str, tuple[Command, str]] = {
    "audit": (audit, "judge a run, a log, a table or a report"),
    "train": (train, "train, evaluate, control, judge and report"),
    "baseline": (baseline, "score a method that was shown no label"),
    "resume": (resume, "go on where a run stopped"),
    "evaluate": (evaluate, "score a run's best checkpoint again"),
    "predict": (predict, "scores and pictures of single frames"),
    "probe": (probe, "make a run's evidence again"),
    "watch": (watch, "look at a run while it goes on"),
    "study": (study, "make the runs of a study file, and its tables"),
    "report": (report, "write a run's report"),
    "data": (data, "make a data set, check one, take a part of one, or its labels"),
    "fetch": (fetch, "tell where published weights are; --download brings them here"),
    "list": (list_kind, "list tasks, formats, worlds, models, probes, checks, readers"),
}
