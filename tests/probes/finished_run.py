"""A finished run on the tiny street, with real data sets, network, losses and retraining, and with planted faults."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tiny_street import tiny_set, tiny_task
from veritrain.data.frames import ExchangedInput
from veritrain.experiments.short import short_training
from veritrain.probes.probe import FinishedRun
from veritrain.record import RunFolder
from veritrain.tasks.anomaly import flip_labels
from veritrain.training.evaluate import predict_set
from veritrain.training.options import LoopOptions

OPTIONS = LoopOptions(batch_size=8, learning_rate=1e-2, warmup_steps=4, schedule="constant", accelerator="cpu")
STEPS = 40


@cache
def trained_network(fusion: str = "attention", loss: str = "bce") -> nn.Module:
    """After 40 steps on the tiny street; do not change its weights."""
    return short_training(tiny_task(fusion, loss=loss), tiny_set(12), OPTIONS, STEPS).eval()


def finished_run(
    folder: Path, *, labels: str = "given", loss: str = "bce", fusion: str = "attention", trained: bool = True
) -> FinishedRun:
    """12 training groups and 10 held-out ones of 3 frames; test labels are always the given ones."""
    task = tiny_task(fusion, loss=loss)
    train, val = tiny_set(12, labels=labels), tiny_set(6, seed=1, labels=labels)
    test = tiny_set(10, seed=2)
    torch.manual_seed(0)
    model = trained_network(fusion, loss) if trained else task.model().eval()
    sets = {"train": train, "val": val, "test": test}

    def fit_again(label_seed: int | None, steps: int) -> nn.Module:
        chosen = train if label_seed is None else train.with_permuted_labels(label_seed)
        return short_training(task, chosen, OPTIONS, steps)

    return FinishedRun(
        task=task,
        model=model,
        train=train,
        val=val,
        test=test,
        groups=[frame.group for frame in test.frames],
        predictions=predict_set(task, model, test),
        fit_again=fit_again,
        flip_labels=flip_labels,
        blank=lambda name: predict_set(task, model, ExchangedInput(test, name)),
        label_of=lambda split, index: sets[split].label_of(index),
        control_steps=STEPS,
        permuted_runs=2,
        folder=RunFolder(folder),
        seed=0,
        inputs_hash="0" * 64,
    )


def with_scores(run: FinishedRun, **scores: Any) -> FinishedRun:
    """The same run with other predictions."""
    return replace(run, predictions={**run.predictions, **scores})
