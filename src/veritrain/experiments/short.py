"""A short training without a run folder: the same network, loss, optimiser and order, for a number of steps."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from veritrain.data.loader import EpochLoader
from veritrain.losses.options import STATIC, BalanceOptions
from veritrain.tasks.task import Dataset, Task
from veritrain.training.engine import start_engine
from veritrain.training.optimise import freeze, rates_at
from veritrain.training.options import LoopOptions
from veritrain.training.step import Stepper


def short_training(
    task: Task, train: Dataset, options: LoopOptions, steps: int, *, balance: BalanceOptions = STATIC
) -> nn.Module:
    """A fresh network after ``steps`` optimiser steps, its last weights; the schedule's horizon is these steps.

    Device, precision (with its loss scaling), memory layout and ``balance`` are those of the run. Left out, alike for
    the true and for the permuted labels: the moving average (after so few steps it says more about its decay than about
    what was learned), compilation (each of the retrainings would be compiled anew) and accumulation.

    Raises:
        NotFinite: a loss or gradient of a step is not finite. Unconnected: a task's loss does not reach the network.
    """
    torch.manual_seed(options.seed)
    model = task.model()
    loader = EpochLoader(train, batch_size=options.batch_size, seed=options.seed)
    warm = min(10, steps // 4)
    options = replace(
        options,
        epochs=max(1, -(-steps // loader.batches())),
        warmup_steps=warm,
        warmup_epochs=0.0,
        warmup_bias_rate=options.warmup_bias_rate if warm else None,
        warmup_momentum=options.warmup_momentum if warm else None,
        compile="none",
        ema_decay=0.0,
        ema_ramp=0.0,
    )
    stepper = Stepper(start_engine(options), task, model, options, balance=balance)
    step, epoch = 0, 0
    while step < steps:
        epoch += 1
        freeze(model, options.unfreeze, epoch)
        for number, batch in enumerate(loader.epoch(epoch)):
            rate = rates_at(step, options, loader.batches())
            stepper.make([batch], step=step, batch=number, rate=rate)
            step += 1
            if step == steps:
                break
        else:
            stepper.balance.end_epoch()
    loader.close()
    stepper.close()
    return model.cpu()
