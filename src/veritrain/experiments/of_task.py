"""The experiment of each task: what turns its recipe into a run folder, and opens one again."""

from __future__ import annotations

import importlib
from typing import Any

from veritrain.errors import RecordError, did_you_mean
from veritrain.experiments.experiment import Experiment
from veritrain.record import RunFolder, read_run

MODULES = {
    "anomaly": "veritrain.experiments.anomaly",
    "joint": "veritrain.experiments.joint",
    "contrastive": "veritrain.experiments.contrastive",
}
"""Task to the module whose ``EXPERIMENT`` is its. A module is imported when it is asked for."""


def experiment_of(task: str) -> Experiment[Any, Any, Any]:
    """The experiment of a task.

    Raises:
        RecordError: there is none for it.
    """
    if task not in MODULES:
        expected = " or ".join(MODULES)
        raise RecordError(
            f"no experiment of task '{task}'", expected=expected, found=task, fix=did_you_mean(task, MODULES)
        )
    experiment: Experiment[Any, Any, Any] = importlib.import_module(MODULES[task]).EXPERIMENT
    return experiment


def experiment_of_run(folder: RunFolder) -> Experiment[Any, Any, Any]:
    """The experiment of the task that a run's record names."""
    return experiment_of(read_run(folder.path).task or "")
