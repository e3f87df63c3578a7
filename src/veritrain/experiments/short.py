"""A short training without a run folder: the same network, loss, optimiser and order, for a number of steps."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from veritrain.data.loader import EpochLoader
from veritrain.tasks.task import Dataset, Task
from veritrain.training.optimise import build_optimiser, clip, freeze, learning_rate_at, set_learning_rate, total_norm
from veritrain.training.options import LoopOptions
from veritrain.training.seeding import seed_step
from veritrain.training.terms import count_samples, weighted_total


def short_training(task: Task, train: Dataset, options: LoopOptions, steps: int) -> nn.Module:
    """A fresh network after ``steps`` optimiser steps, its last weights; the schedule's horizon is these steps."""
    torch.manual_seed(options.seed)
    model = task.model()
    loader = EpochLoader(train, batch_size=options.batch_size, seed=options.seed)
    options = replace(options, epochs=max(1, -(-steps // loader.batches())), warmup_steps=min(10, steps // 4))
    optimiser = build_optimiser(model, options)
    step, epoch = 0, 0
    while step < steps:
        epoch += 1
        freeze(model, options.unfreeze, epoch)
        for batch in loader.epoch(epoch):
            seed_step(options.seed, step)
            optimiser.zero_grad(set_to_none=True)
            samples, counts = count_samples(task, [batch])
            terms = task.losses(model(batch), batch)
            known = {name: counts.get(name, samples) for name in terms}
            weighted_total(terms, known, task.term_weights, 1).backward()
            norm = total_norm(model.parameters())
            if options.clip_norm is not None:
                clip(model.parameters(), norm, options.clip_norm)
            set_learning_rate(optimiser, learning_rate_at(step, options, loader.batches()))
            optimiser.step()
            step += 1
            if step == steps:
                break
    loader.close()
    return model
