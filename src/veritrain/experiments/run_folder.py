"""What every task's run does alike around its training: guards, surroundings, evidence."""

from __future__ import annotations

import itertools
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import metadata
from typing import Any

import torch
from torch import nn

from veritrain import __version__, catalog, config
from veritrain.errors import CheckpointError, RecordError, UsageError
from veritrain.probes.probe import FinishedRun, Probe, run_probe
from veritrain.record import RecordWriter, RunFolder
from veritrain.tasks.task import Dataset, Task
from veritrain.training import checkpoint as checkpoints
from veritrain.training.checkpoint import Checkpoint
from veritrain.training.evaluate import latency_ms
from veritrain.training.progress import PlainProgress, clock

EXCUSED = frozenset({"waivers", "control_steps"})
"""Keys that others read (the verdict), or that only some values of another key need (``controls``)."""
CHEAP_PROBES = tuple(catalog.PROBES)
PERMUTED_RUNS = {"quick": 2, "full": 19, "none": 0}
FREE_ON_RESUME = ("epochs", "controls", "control_steps", "workers", "prefetch", "hold", "memory_mb", "threads", "cache",
                  "keep_checkpoints", "checkpoint_every", "max_seconds", "patience", "waivers", "data",
                  "loggers")  # fmt: skip
"""Recipe keys that every task's run may change when it goes on."""
ENVIRONMENT_PACKAGES = ("numpy", "scipy", "torch", "lightning-fabric", "safetensors", "pillow")

DigestOf = Callable[[Mapping[str, Any]], str]


def refuse_existing(folder: RunFolder) -> None:
    """Raises UsageError where the folder holds checkpoints of a run."""
    if folder.checkpoints.exists() and any(folder.checkpoints.iterdir()):
        raise UsageError(
            "this run exists",
            expected="a new folder, or --resume",
            found=str(folder.path),
            fix="add --resume to go on, or choose another --run",
        )


def refuse_changes(
    folder: RunFolder, recipe: Any, card: Mapping[str, Any], *, free: tuple[str, ...], digest_of: DigestOf
) -> None:
    """Before anything is written: a resumed run keeps its recipe (but for what may change) and its data.

    Raises:
        CheckpointError: a key of the recipe changed. RecordError: the data did.
    """
    if not folder.recipe.is_file() or not folder.data.is_file():
        return
    before = config.plain(config.load(type(recipe), folder.recipe))
    now = config.plain(recipe)
    changed = [key for key in now if key not in free and now[key] != before.get(key)]
    if changed:
        raise CheckpointError(
            "the recipe changed",
            expected=", ".join(f"{key} = {before.get(key)}" for key in changed),
            found=", ".join(f"{key} = {now[key]}" for key in changed),
            fix="resume with the recipe of the run (`veritrain resume RUN`), or train a new run",
            file=folder.recipe,
        )
    _demand_todays_keys(folder, recipe, free)
    demand_same_data(folder, card, digest_of)


def _demand_todays_keys(folder: RunFolder, recipe: Any, free: tuple[str, ...]) -> None:
    """A checkpoint holds a hash over the keys that its version had; with more keys it cannot be told what changed."""
    lacking = sorted(config.names_of(type(recipe)) - set(config.read_mapping(folder.recipe)))
    checkpoint = checkpoints.newest(folder) if lacking and folder.checkpoints.is_dir() else None
    if checkpoint is None or checkpoint.state["recipe"].get("fingerprint") == fingerprint_of(recipe, free):
        return
    raise CheckpointError(
        "the run was begun by an earlier version and cannot go on",
        expected="a recipe with the keys of today",
        found="no " + ", ".join(lacking),
        fix="evaluate, predict and report open it as it was made; to train on, begin a new run",
        file=folder.recipe,
    )


def demand_same_data(folder: RunFolder, card: Mapping[str, Any], digest_of: DigestOf) -> None:
    """Raises RecordError unless the data are those of ``data.json``, by what ``digest_of`` reads of a card."""
    before, now = digest_of(json.loads(folder.data.read_text(encoding="utf-8"))), digest_of(card)
    if before != now:
        raise RecordError(
            "the data set changed since this run",
            expected=f"split, contents and labels {before[:12]}",
            found=f"{now[:12]}",
            fix="point the recipe's data key at the data of this run",
            file=folder.data,
        )


def tell_start(writer: RecordWriter, task: Task, *, resume: bool) -> None:
    """The first line of the record: the task, its claims, and the loss terms that it declares, with their weights."""
    claims, terms = [asdict(claim) for claim in task.claims], dict(task.term_weights)
    writer.event("start", task=task.name, claims=claims, terms=terms, resumed=resume, version=__version__)


def fingerprint_of(recipe: Any, free: tuple[str, ...]) -> str:
    """What must not change between a checkpoint and its resumption."""
    inner = recipe._recipe if isinstance(recipe, config.Tracked) else recipe
    return config.fingerprint(inner, without=free)


def probes_of(controls: str) -> tuple[str, ...]:
    """The probes that a recipe's ``controls`` ask for."""
    return () if controls == "none" else CHEAP_PROBES


def scored_checkpoint(folder: RunFolder, best: Checkpoint) -> dict[str, Any]:
    """The ``checkpoint`` of results.json: which weights were scored."""
    return {
        "file": str(best.path.relative_to(folder.path)),
        "sha256": best.weights_sha256,
        "epoch": best.state["place"]["best_epoch"],
    }


def valued(scores: Mapping[str, float | None]) -> dict[str, dict[str, float | None]]:
    """Scores as entries of results.json that hold nothing but the value."""
    return {name: {"value": value} for name, value in scores.items()}


def network_facts(model: nn.Module, test: Dataset) -> dict[str, Any]:
    """latency_ms, parameters, trainable and size_mb of results.json."""
    return {
        "latency_ms": latency_ms(model, test),
        "parameters": sum(p.numel() for p in model.parameters()),
        "trainable": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "size_mb": sum(p.numel() * p.element_size() for p in model.parameters()) / 1e6,
    }


def make_evidence_of(run: FinishedRun, writer: RecordWriter, names: tuple[str, ...]) -> None:
    """Run the named probes, and tell on stderr where it stands; the look at test is recorded with its purpose."""
    writer.event("look", split="test", purpose="controls")
    probes = [catalog.resolve("probes", name)() for name in names]
    tell = PlainProgress(sys.stderr).say
    tell(_before_controls(probes, run))
    run = replace(run, fit_again=_told_training(run, tell))
    for number, probe in enumerate(probes, 1):
        place = f"control {number} of {len(probes)}, {probe.name}"
        tell(f"{place}: begins")
        evidence = run_probe(probe, run, writer)
        tell(f"{place}: {evidence.status} in {clock(evidence.seconds)} {evidence.note}".rstrip())


def _before_controls(probes: Sequence[Probe], run: FinishedRun) -> str:
    """How many there are, and how much of it is training."""
    trainings = 1 + run.permuted_runs if any(probe.cost == "training" for probe in probes) else 0
    last = f"; among them {trainings} trainings of {run.control_steps} steps" if trainings else ""
    return f"running the controls, {len(probes)} of them{last}"


def _told_training(run: FinishedRun, tell: Callable[[str], None]) -> Callable[[int | None, int], nn.Module]:
    """``run.fit_again``, with a line before and after each training."""
    count = itertools.count(1)

    def fit_again(label_seed: int | None, steps: int) -> nn.Module:
        labels = "as they are" if label_seed is None else "permuted"
        place = f"  training {next(count)} of {1 + run.permuted_runs}, {steps} steps, labels {labels}"
        tell(f"{place}: begins")
        started = time.monotonic()
        model = run.fit_again(label_seed, steps)
        tell(f"{place}: done in {clock(time.monotonic() - started)}")
        return model

    return fit_again


def environment() -> dict[str, Any]:
    """Packages, machine and command line; no user or host name."""
    packages: dict[str, str | None] = {}
    for name in ENVIRONMENT_PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            packages[name] = None
    return {
        "veritrain": __version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": packages,
        "command": " ".join(["veritrain", *sys.argv[1:]]),
    }
