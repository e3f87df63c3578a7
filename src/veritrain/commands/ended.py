"""Whether a run that is to go on has anything left to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from veritrain import config
from veritrain.record import RunFolder, read_run
from veritrain.tasks.recipe import Recipe

WITHOUT_EFFECT = frozenset(
    ["epochs", "patience", "max_seconds", "workers", "prefetch", "hold", "memory_mb", "threads", "cache",
     "keep_checkpoints", "checkpoint_every", "loggers"]
)  # fmt: skip
"""Keys that change nothing once training has ended: how far it goes is asked apart, the others say how it is done."""


def nothing_left(task: str, recipe: Recipe, folder: RunFolder) -> str | None:
    """What to say of a run that has ended and that ``recipe`` would not train on; None where there is work to do.

    A run has ended when its newest segment went through to the end (controls included) and its checkpoints, results
    and verdict are there. Where a key changed that results, controls or verdict depend on, there is work to do (or a
    refusal to be made, which is not made here).

    Raises:
        RecordError: the folder's record cannot be read. ConfigError: its recipe cannot.
    """
    whole = folder.is_run() and folder.recipe.is_file() and folder.results.is_file() and folder.verdict.is_file()
    if not whole or not folder.checkpoints.is_dir() or not any(folder.checkpoints.iterdir()):
        return None
    newest = _newest_segment(read_run(folder.path).events)
    stops = [line for line in newest if line["event"] == "stop"]
    if (
        not stops
        or not stops[-1].get("summary")
        or not any(line["event"] == "end" and line.get("status") == "done" for line in newest)
    ):
        return None
    stored = config.load(type(recipe), folder.recipe)
    before, now = config.plain(stored), config.plain(recipe)
    if any(before[key] != now[key] for key in now if key not in WITHOUT_EFFECT):
        return None
    further = _further(stops[-1], stored, recipe)
    if further is None:
        return None
    done = stops[-1]["summary"]["epochs_done"]
    return (
        f"this run has ended ({done} whole epochs; its results and verdict are in {folder.path}), and nothing was made "
        f"again\nto train on: veritrain train {task} --config {folder.recipe} --run {folder.path} --resume {further}\n"
        f"to make single parts again: veritrain evaluate, probe or report {folder.path}"
    )


def _newest_segment(events: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The lines from the last start on; those that an evaluation or a probe added later are among them."""
    begins = max((place for place, line in enumerate(events) if line["event"] == "start"), default=0)
    return list(events[begins:])


def _further(stop: Mapping[str, Any], stored: Recipe, recipe: Recipe) -> str | None:
    """The option that would make training go on; None where ``recipe`` does so already."""
    reason, done = stop["reason"], stop["summary"]["epochs_done"]
    if reason == "time" and 0 < recipe.max_seconds <= stored.max_seconds:
        seconds = f"--max_seconds S with S above {stored.max_seconds:g} (0 is without limit)"
        more = f", and --epochs N with N above {done}" if recipe.epochs <= done else ""
        return seconds + more
    if reason == "patience" and 0 < recipe.patience <= stored.patience:
        return f"--patience P with P above {stored.patience} (0 is without end)"
    return f"--epochs N with N above {recipe.epochs}" if recipe.epochs <= done else None
