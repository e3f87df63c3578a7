"""``veritrain train`` and ``veritrain resume``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from veritrain import config
from veritrain.audit.verdict import as_json, judge_all, waivers_of
from veritrain.commands.ended import nothing_left
from veritrain.errors import RecordError, UsageError
from veritrain.record import RunFolder, RunRecord, demand_run, discard_unstarted, missing_folders, read_run
from veritrain.report.figures import draw_curves
from veritrain.report.publish import publish
from veritrain.report.terminal import print_verdict
from veritrain.tasks.options import QUICK, RECIPES, quick_keys

Parser = Callable[[str, str, str], ArgumentParser]
Parse = Callable[[ArgumentParser, list[str]], Namespace]


AFTERWARDS = """After the training the controls are run, which take longer than a short training: with --controls quick
3 trainings of --control_steps steps are among them, with full 20. --controls none leaves them out; nothing is then
shown to be learned. --resume --controls quick makes them later."""


def train(task: str, words: list[str], new_parser: Parser, parse: Parse) -> int:
    """Train, evaluate on held-out groups, run the controls, judge, report."""
    recipe_class: Any = RECIPES[task]
    parser = new_parser(
        f"train {task}",
        f"{train.__doc__}\n\n{AFTERWARDS}",
        f"veritrain train {task} --data data/streets --run runs/mine --seed 0",
    )
    config.add_recipe(parser, recipe_class)
    parser.add_argument("--run", type=str, default="", help="the run's folder; without it, runs/TASK-N")
    parser.add_argument("--quick", action="store_true", help=_quick_in_words(task))
    parser.add_argument("--resume", action="store_true", help="go on from the newest whole checkpoint of --run")
    parser.add_argument("--config", action="config", help="a recipe file")
    words, added = _added_epochs(words)
    if "--quick" in words:
        parser.set_defaults(QUICK[task])
    given = parse(parser, words)
    if given.quick:
        parser.set_defaults(quick_keys(task, vars(given)))
        given = parse(parser, words)
    recipe = config.build(recipe_class, given)
    if added:
        if not given.resume:
            raise UsageError("--epochs +N extends a run", expected="--resume", found="a new run", fix="add --resume")
        stored = config.load(recipe_class, demand_run(given.run).recipe)
        recipe = replace(recipe, epochs=stored.epochs + added)
    made = missing_folders(Path(given.run or "runs"))
    folder = RunFolder(given.run) if given.run else RunFolder.next_free(Path("runs"), task)
    try:
        return _go(task, recipe, folder, resume=given.resume)
    finally:
        discard_unstarted(folder, made if given.run else [folder.path, *made])


def resume(words: list[str], new_parser: Parser, parse: Parse) -> int:
    """resume RUN: go on with the recipe of the run."""
    parser = new_parser("resume", resume.__doc__ or "", "veritrain resume runs/mine")
    parser.add_argument("run", type=str)
    given = parse(parser, words)
    folder = RunFolder(given.run)
    task = read_run(folder.path).task
    if task not in RECIPES:
        raise RecordError("no task to go on with", expected=" or ".join(RECIPES), found=str(task), file=folder.record)
    return _go(task, config.load(RECIPES[task], folder.recipe), folder, resume=True)


def _quick_in_words(task: str) -> str:
    steps = QUICK[task]["control_steps"]
    return (
        f"a short training: sets {_in_words(QUICK[task])}; the controls after it take longer ({steps} control steps a "
        "retraining), --controls none leaves them out"
    )


def _in_words(values: Mapping[str, Any]) -> str:
    """``epochs 8, control_steps 270``: option by option."""
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
    )


def _added_epochs(words: list[str]) -> tuple[list[str], int]:
    """``--epochs +10`` means ten more than the run was asked for."""
    out, added = list(words), 0
    for place, word in enumerate(words[:-1]):
        if word == "--epochs" and re.fullmatch(r"\+\d+", words[place + 1]):
            added = int(words[place + 1])
            del out[place : place + 2]
    return out, added


def _go(task: str, recipe: Any, folder: RunFolder, *, resume: bool) -> int:
    if resume and (told := nothing_left(task, recipe, folder)):
        print(told)
        return 0
    from veritrain.experiments.of_task import experiment_of

    def after_epoch() -> None:
        draw_curves(read_run(folder.path), folder.figures)

    experiment_of(task).run(recipe, folder, resume=resume, after_epoch=after_epoch)
    record = read_run(folder.path)
    verdict = as_json(judge_all(record, waivers_of(folder.recipe)), folder.path)
    publish(folder, verdict)
    print_verdict(verdict)
    for text in _dropped_loggers(record):
        print(text, file=sys.stderr)
    print(f"report: {folder.report}", file=sys.stderr)
    return 0


def _dropped_loggers(record: RunRecord) -> list[str]:
    """What the newest segment of the record notes about loggers that broke."""
    begins = max((place for place, line in enumerate(record.events) if line["event"] == "start"), default=0)
    notes = [line for line in record.events[begins:] if line["event"] == "note" and line.get("kind") == "logger"]
    return [str(note.get("text")) for note in notes]
