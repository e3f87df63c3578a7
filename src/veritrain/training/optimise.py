"""The optimiser, its learning rate as a pure function of the step, and which parameters train."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from veritrain.errors import ConfigError, did_you_mean
from veritrain.training.options import LoopOptions

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)
NOMINAL_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rates and momentum of one step.

    Attributes:
        weights: of everything that is no bias.
        biases: of biases, which differ from it in YOLOv5's warm-up alone.
        momentum: of sgd, or beta 1 of adam and adamw.
    """

    weights: float
    biases: float
    momentum: float


def build_optimiser(model: nn.Module, options: LoopOptions) -> torch.optim.Optimizer:
    """SGD (with Nesterov's momentum on request), Adam or AdamW (Loshchilov & Hutter 2019) over all parameters.

    Raises:
        ConfigError: the network has no parameters.
    """
    if not any(True for _ in model.parameters()):
        raise ConfigError("the network has no parameters", expected="something to train", found="0 parameters")
    groups = parameter_groups(model, options)
    rate, decay = options.learning_rate, options.weight_decay
    if options.optimiser == "sgd":
        return torch.optim.SGD(
            groups, lr=rate, weight_decay=decay, momentum=options.momentum, nesterov=options.nesterov
        )
    kind = torch.optim.AdamW if options.optimiser == "adamw" else torch.optim.Adam
    # Fused: one call for all tensors, a third of the time of a call for each on a CPU.
    return kind(groups, lr=rate, weight_decay=decay, betas=(options.momentum, 0.999), fused=True)


def parameter_groups(model: nn.Module, options: LoopOptions) -> list[dict[str, Any]]:
    """The optimiser's groups: one, or three where biases have a rate of their own or weights alone decay.

    The three are biases (marked ``biases``), scales of normalisation layers, and weights; empty ones are left out. A
    network may have ``rate_scales()``, what parameter names begin with to a share of the learning rate (a pretrained
    tower's): its parameters are then in groups of their own, marked ``rate_scale``.
    """
    if options.decayed == "all" and options.warmup_bias_rate is None:
        return _at_their_rates(model, [{"params": list(model.parameters())}])
    scales = {id(module.weight) for module in model.modules() if isinstance(module, NORMS)}
    parts: dict[str, list[nn.Parameter]] = {"biases": [], "scales": [], "weights": []}
    for name, parameter in model.named_parameters():
        kind = "scales" if id(parameter) in scales else "weights"
        parts["biases" if name.rpartition(".")[2] == "bias" else kind].append(parameter)
    spared = {} if options.decayed == "all" else {"weight_decay": 0.0}
    groups: list[dict[str, Any]] = [
        {"params": parts["biases"], "biases": True, **spared},
        {"params": parts["scales"], **spared},
        {"params": parts["weights"]},
    ]
    return _at_their_rates(model, [group for group in groups if group["params"]])


def _at_their_rates(model: nn.Module, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The groups, each parted by the shares of the learning rate that the network's parameters train at."""
    told: dict[str, float] = getattr(model, "rate_scales", dict)()
    shares = {
        id(parameter): next((share for prefix, share in told.items() if name.startswith(prefix)), 1.0)
        for name, parameter in model.named_parameters()
    }
    found = []
    for group in groups:
        for share in sorted({shares[id(one)] for one in group["params"]}, reverse=True):
            own = [one for one in group["params"] if shares[id(one)] == share]
            found.append({**group, "params": own, **({} if share == 1.0 else {"rate_scale": share})})
    return found


def learning_rate_at(step: int, options: LoopOptions, steps_per_epoch: int) -> float:
    """The rate of optimiser step ``step``, counted from 0; of weights, where biases have their own.

    Linear warm-up to the peak; then constant, times ``step_factor`` every ``step_every`` epochs, half a cosine from the
    peak at the end of the warm-up to 0 at the end of epoch ``epochs`` (Loshchilov & Hutter 2017, one cycle), or linear:
    epoch e of E, from 0, has 1 - (1 - final_rate) e / E of the peak, and the warm-up climbs to that. A resumed run with
    more epochs gets the cosine or the line of the new horizon: the rate jumps up where it resumes, and the loop records
    both values.
    """
    warm = warmup_length(options, steps_per_epoch)
    if step < warm:
        peak = _linear(step, options, steps_per_epoch) if options.schedule == "linear" else options.learning_rate
        return peak * (step + (options.warmup_bias_rate is None)) / warm
    if options.schedule == "step":
        epoch = step // max(steps_per_epoch, 1)
        return options.learning_rate * options.step_factor ** (epoch // options.step_every)
    if options.schedule == "linear":
        return _linear(step, options, steps_per_epoch)
    if options.schedule == "cosine":
        span = max(options.epochs * steps_per_epoch - warm, 1)
        share = min((step - warm) / span, 1.0)
        return options.learning_rate * 0.5 * (1 + math.cos(math.pi * share))
    return options.learning_rate


def rates_at(step: int, options: LoopOptions, steps_per_epoch: int) -> Rates:
    """What the optimiser is told for step ``step``, counted from 0: a pure function, so that resume needs no state.

    In YOLOv5's warm-up of n steps (``warmup_bias_rate``, ``warmup_momentum``) step k is k / n of the way: weights from
    0 and biases from ``warmup_bias_rate`` to the rate of the schedule, the momentum from ``warmup_momentum`` to its
    own.
    """
    rate = learning_rate_at(step, options, steps_per_epoch)
    warm = warmup_length(options, steps_per_epoch)
    biases, momentum = rate, options.momentum
    if step < warm:
        share = step / warm
        if options.warmup_bias_rate is not None:
            biases = rate + (1 - share) * options.warmup_bias_rate
        if options.warmup_momentum is not None:
            momentum = options.warmup_momentum + share * (options.momentum - options.warmup_momentum)
    return Rates(weights=rate, biases=biases, momentum=momentum)


def warmup_length(options: LoopOptions, steps_per_epoch: int) -> int:
    """Optimiser steps of the warm-up."""
    return max(options.warmup_steps, round(options.warmup_epochs * steps_per_epoch))


def _linear(step: int, options: LoopOptions, steps_per_epoch: int) -> float:
    share = min(step // max(steps_per_epoch, 1) / options.epochs, 1.0)
    return options.learning_rate * (1 - (1 - options.final_rate) * share)


def set_rates(optimiser: Any, rates: Rates | float) -> None:
    """Tell the optimiser its rates; a number is the rate of everything and leaves the momentum alone.

    Groups that are marked ``rate_scale`` get that share of their rate.
    """
    for group in optimiser.param_groups:
        share = group.get("rate_scale", 1.0)
        if not isinstance(rates, Rates):
            group["lr"] = rates * share
            continue
        group["lr"] = (rates.biases if group.get("biases") else rates.weights) * share
        if "momentum" in group:
            group["momentum"] = rates.momentum
        else:
            group["betas"] = (rates.momentum, group["betas"][1])


def accumulation_for(batch_size: int, *, nominal: int = NOMINAL_BATCH) -> int:
    """Forward passes per update that come nearest to ``nominal`` samples an update (YOLOv5: 64)."""
    return max(round(nominal / batch_size), 1)


def scaled_decay(weight_decay: float, batch_size: int, accumulate: int, *, nominal: int = NOMINAL_BATCH) -> float:
    """Weight decay in proportion to the samples of an update, ``weight_decay`` being meant for ``nominal`` of them."""
    return weight_decay * batch_size * accumulate / nominal


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
    if any(one.device != gradients[0].device or one.dtype != gradients[0].dtype for one in gradients):
        return torch.nn.utils.get_total_norm(gradients).float()
    # What get_total_norm does for gradients of one kind, without sorting them by kind first (0.05 ms a step).
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients))).float()


def clip(parameters: Iterable[nn.Parameter], norm: Tensor, limit: float) -> None:
    """Scale all gradients so that their total norm, known to be ``norm``, is at most ``limit``."""
    torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
