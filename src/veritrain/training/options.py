"""What can be chosen about training. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from veritrain.errors import ConfigError, did_you_mean

Optimiser = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "step", "cosine"]
Precision = Literal["32-true", "bf16-mixed", "bf16-true", "64-true"]
Accelerator = Literal["auto", "cpu", "cuda"]

FREE_TO_CHANGE = frozenset(
    {
        "epochs",
        "workers",
        "worker_timeout",
        "prefetch",
        "checkpoint_every_steps",
        "keep_checkpoints",
        "max_seconds",
        "patience",
        "grad_every_steps",
    }
)
"""Options that a resumed run may change without asking: they decide how long and how, not what is computed."""


@dataclass(frozen=True, kw_only=True)
class LoopOptions:
    """How the loop trains. Epochs are counted from 1, steps are optimiser steps.

    Attributes:
        epochs: passes over the training split; also the horizon of the cosine schedule.
        batch_size: samples per forward pass and rank.
        accumulate: forward passes per optimiser step; equals one pass over ``accumulate * batch_size`` samples,
            except for batch statistics.
        optimiser: sgd, adam or adamw.
        learning_rate: the peak, after the warm-up.
        weight_decay: L2 for sgd and adam, decoupled for adamw.
        momentum: of sgd, or beta 1 of adam and adamw.
        schedule: of the learning rate after the warm-up.
        warmup_steps: steps in which the rate climbs linearly to ``learning_rate``.
        step_every, step_factor: the step schedule multiplies the rate by the factor every so many epochs.
        clip_norm: largest total gradient norm; None never clips.
        precision: as lightning-fabric names it. 16-bit floats with loss scaling are not offered, because a
            scaled loss overflows as a matter of routine and here an overflow ends the run.
        accelerator: auto takes a GPU when there is one.
        workers: processes that read samples; 0 reads in the training process.
        worker_timeout: seconds to wait for a batch from the workers before the run fails; 0 waits for ever.
        prefetch: batches that each worker reads ahead.
        drop_remainder: leave out the last, smaller batch of an epoch (every epoch draws another order).
        seed: of batch order, augmentation and dropout.
        checkpoint_every_steps: save this often besides the end of each epoch; None does not.
        keep_checkpoints: newest checkpoints kept besides the best, at least 2.
        max_seconds: budget of training time over all segments of the run. What is computed then depends on the
            machine's speed, so leave it None where resume must be bitwise equal.
        patience: stop after so many scored epochs without a better one; None never does.
        unfreeze: (epoch, prefix) pairs: parameters whose name starts with the prefix train from that epoch on.
        grad_every_steps: record the total gradient norm this often.

    Raises:
        ConfigError: a value is out of its range.
    """

    epochs: int = 10
    batch_size: int = 8
    accumulate: int = 1
    optimiser: Optimiser = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    momentum: float = 0.9
    schedule: Schedule = "cosine"
    warmup_steps: int = 0
    step_every: int = 10
    step_factor: float = 0.1
    clip_norm: float | None = None
    precision: Precision = "32-true"
    accelerator: Accelerator = "auto"
    workers: int = 0
    worker_timeout: float = 600.0
    prefetch: int = 2
    drop_remainder: bool = True
    seed: int = 0
    checkpoint_every_steps: int | None = None
    keep_checkpoints: int = 2
    max_seconds: float | None = None
    patience: int | None = None
    unfreeze: tuple[tuple[int, str], ...] = ()
    grad_every_steps: int = 10

    def __post_init__(self) -> None:
        for name, words in (
            ("optimiser", Optimiser),
            ("schedule", Schedule),
            ("precision", Precision),
            ("accelerator", Accelerator),
        ):
            _one_of(name, getattr(self, name), get_args(words))
        for name, least in _AT_LEAST.items():
            _at_least(name, getattr(self, name), least)
        _above_zero("learning_rate", self.learning_rate)
        for name in ("clip_norm", "max_seconds"):
            if getattr(self, name) is not None:
                _above_zero(name, getattr(self, name))


_AT_LEAST: dict[str, float] = {
    "epochs": 1,
    "batch_size": 1,
    "accumulate": 1,
    "weight_decay": 0,
    "momentum": 0,
    "warmup_steps": 0,
    "step_every": 1,
    "step_factor": 0,
    "workers": 0,
    "worker_timeout": 0,
    "prefetch": 1,
    "seed": 0,
    "checkpoint_every_steps": 1,
    "keep_checkpoints": 2,
    "patience": 1,
    "grad_every_steps": 1,
}


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"no {name} '{value}'", expected=", ".join(known), found=str(value), fix=did_you_mean(str(value), known)
        )


def _at_least(name: str, value: float | None, least: float) -> None:
    if value is not None and not value >= least:
        raise ConfigError(f"{name} is too small", expected=f"at least {least:g}", found=str(value))


def _above_zero(name: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{name} must be above 0", expected="a number above 0", found=str(value))
