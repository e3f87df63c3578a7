"""The optimiser, its learning rate as a pure function of the step, and which parameters train."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.errors import ConfigError, did_you_mean
from veritrain.training.options import LoopOptions


def build_optimiser(model: nn.Module, options: LoopOptions) -> torch.optim.Optimizer:
    """SGD (Nesterov off), Adam or AdamW (Loshchilov & Hutter 2019) over all parameters.

    Raises:
        ConfigError: the network has no parameters.
    """
    parameters = list(model.parameters())
    if not parameters:
        raise ConfigError("the network has no parameters", expected="something to train", found="0 parameters")
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimiser == "sgd":
        return torch.optim.SGD(parameters, lr=rate, weight_decay=decay, momentum=options.momentum)
    kind = torch.optim.AdamW if options.optimiser == "adamw" else torch.optim.Adam
    return kind(parameters, lr=rate, weight_decay=decay, betas=(options.momentum, 0.999))


def learning_rate_at(step: int, options: LoopOptions, steps_per_epoch: int) -> float:
    """The rate of optimiser step ``step``, counted from 0.

    Linear warm-up to the peak over ``warmup_steps``; then constant, times ``step_factor`` every ``step_every``
    epochs, or half a cosine from the peak at the end of the warm-up to 0 at the end of epoch ``epochs``
    (Loshchilov & Hutter 2017, one cycle). A resumed run with more epochs gets the cosine of the new horizon:
    the rate jumps up where it resumes, and the loop records both values.
    """
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    if options.schedule == "step":
        epoch = step // max(steps_per_epoch, 1)
        return options.learning_rate * options.step_factor ** (epoch // options.step_every)
    if options.schedule == "cosine":
        span = max(options.epochs * steps_per_epoch - options.warmup_steps, 1)
        share = min((step - options.warmup_steps) / span, 1.0)
        return options.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
    return options.learning_rate


def set_learning_rate(optimiser: Any, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def freeze(model: nn.Module, unfreeze: Sequence[tuple[int, str]], epoch: int) -> None:
    """Put the network in training mode, except what ``unfreeze`` keeps frozen in this epoch.

    Frozen means unchanged: no gradient, and evaluation mode, so that batch statistics stay as they are.

    Raises:
        ConfigError: a prefix names no parameter.
    """
    demand_prefixes(model, unfreeze)
    frozen = tuple(prefix for since, prefix in unfreeze if epoch < since)
    staged = tuple(prefix for _, prefix in unfreeze)
    for name, parameter in model.named_parameters():
        if name.startswith(staged):
            parameter.requires_grad_(not name.startswith(frozen))
    # After the gradients: a network with frozen towers of its own goes by them (models.fusion).
    model.train()
    if frozen:
        for name, module in model.named_modules():
            if (name + ".").startswith(tuple(prefix.rstrip(".") + "." for prefix in frozen)):
                module.train(False)


def will_train(model: nn.Module, unfreeze: Sequence[tuple[int, str]]) -> None:
    """Let everything that ``unfreeze`` names take gradients now.

    DDP leaves out of its exchange what takes none when it is set up; :func:`freeze` then goes by the epoch.
    """
    staged = tuple(prefix for _, prefix in unfreeze)
    for name, parameter in model.named_parameters():
        if name.startswith(staged):
            parameter.requires_grad_(True)


def demand_prefixes(model: nn.Module, unfreeze: Sequence[tuple[int, str]]) -> None:
    """Each prefix names a parameter.

    Raises:
        ConfigError: one does not.
    """
    names = [name for name, _ in model.named_parameters()]
    for _, prefix in unfreeze:
        if not any(name.startswith(prefix) for name in names):
            tops = {name.split(".")[0] for name in names}
            raise ConfigError(
                f"unfreeze: no parameter starts with '{prefix}'", found=prefix, fix=did_you_mean(prefix, tops)
            )


def total_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Euclidean norm of all gradients together, a float32 scalar on their device; 0 without gradients."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return torch.zeros(())
    return torch.nn.utils.get_total_norm(gradients).float()


def clip(parameters: Iterable[nn.Parameter], norm: Tensor, limit: float) -> None:
    """Scale all gradients so that their total norm, known to be ``norm``, is at most ``limit``."""
    torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
