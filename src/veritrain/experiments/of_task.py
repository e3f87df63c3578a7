"""The experiment of each task: the module that turns its recipe into a run folder, and opens one again."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Protocol, cast

from torch import nn

from veritrain.errors import RecordError, did_you_mean
from veritrain.record import RecordWriter, RunFolder, read_run
from veritrain.tasks.task import Predictions

MODULES = {"anomaly": "veritrain.experiments.anomaly", "joint": "veritrain.experiments.joint"}
"""Task to module. A module is imported when it is asked for."""


class Experiment(Protocol):
    """What a task's module offers; ``prepared`` is what its recipe became (data and task)."""

    def run(
        self, recipe: Any, folder: RunFolder, *, resume: bool = False, after_epoch: Callable[[], None] = ...
    ) -> None:
        """Train, evaluate and make the evidence."""
        ...

    def reopen(self, folder: RunFolder) -> tuple[Any, nn.Module]:
        """A finished run: what its recipe became, and the network with the best checkpoint's weights."""
        ...

    def plain_scores(self, prepared: Any, model: nn.Module) -> dict[str, Any]:
        """The test scores alone."""
        ...

    def results_of(self, prepared: Any, model: nn.Module) -> tuple[dict[str, Any], Predictions]:
        """The content of results.json, and the predictions it rests on."""
        ...

    def scored(self, prepared: Any, model: nn.Module) -> tuple[Any, Predictions]:
        """What is prepared as it was scored, and the test predictions: what probes work on."""
        ...

    def make_evidence(
        self,
        prepared: Any,
        model: nn.Module,
        predictions: Predictions,
        folder: RunFolder,
        writer: RecordWriter,
        *,
        names: tuple[str, ...],
    ) -> None:
        """Run the named probes."""
        ...


def experiment_of(task: str) -> Experiment:
    """The module of a task.

    Raises:
        RecordError: there is none for it.
    """
    if task not in MODULES:
        expected = " or ".join(MODULES)
        raise RecordError(
            f"no experiment of task '{task}'", expected=expected, found=task, fix=did_you_mean(task, MODULES)
        )
    return cast(Experiment, importlib.import_module(MODULES[task]))


def experiment_of_run(folder: RunFolder) -> Experiment:
    """The module of the task that a run's record names."""
    return experiment_of(read_run(folder.path).task or "")
