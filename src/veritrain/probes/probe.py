"""What a probe is, and the finished run it works on."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from veritrain.record import Evidence, RecordWriter, RunFolder, write_evidence
from veritrain.tasks.task import Batch, Dataset, Predictions, Task


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """A trained network with its data, as it stands when training ends.

    Attributes:
        task, model: the model holds the best checkpoint's weights.
        train, val, test: what was trained on, selected on and reported on, labels as that run saw them.
        groups: the group of each test sample. predictions: of ``model`` on ``test``.
        fit_again: trains a fresh network for a number of steps, with labels permuted by a seed (None: as they
            are), and returns it.
        flip_labels: a batch with every known label exchanged.
        blank: a predictions maker with one named input exchanged between groups.
        seed: the training seed. inputs_hash: what the evidence rests on (checkpoint and data).
    """

    task: Task
    model: nn.Module
    train: Dataset
    val: Dataset
    test: Dataset
    groups: Sequence[str]
    predictions: Predictions
    fit_again: Callable[[int | None, int], nn.Module]
    flip_labels: Callable[[Batch], Batch]
    blank: Callable[[str], Predictions]
    label_of: Callable[[str, int], bytes]
    control_steps: int
    permuted_runs: int
    folder: RunFolder
    seed: int
    inputs_hash: str


class Probe(Protocol):
    """Makes one piece of evidence about a finished run.

    ``name`` is the evidence file's name; ``version`` changes when the evidence's meaning does; ``cost`` is "cheap"
    or "training".
    """

    name: str
    version: int
    cost: str

    def values(self, run: FinishedRun) -> Mapping[str, Any]: ...


def run_probe(probe: Probe, run: FinishedRun, writer: RecordWriter) -> Evidence:
    """Run it and store what it found; a probe that breaks leaves evidence with the status crashed."""
    start = time.monotonic()
    values: Mapping[str, Any] = {}
    status, note = "done", ""
    try:
        values = probe.values(run)
    except Exception as error:  # noqa: BLE001 - one broken probe must not hide the others; its check will not count
        status, note = "crashed", f"{type(error).__name__}: {error}"
    evidence = Evidence(
        probe=probe.name,
        version=probe.version,
        inputs_hash=run.inputs_hash,
        values=values,
        seconds=round(time.monotonic() - start, 3),
        status=status,
        note=note,
    )
    write_evidence(run.folder, evidence)
    writer.event("note", name=f"probe {probe.name}", status=status, seconds=evidence.seconds)
    writer.say(f"probe {probe.name}: {status} in {evidence.seconds:.1f} s {note}")
    return evidence


def hash_of(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
