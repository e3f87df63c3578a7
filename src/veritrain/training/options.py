"""What can be chosen about training. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from veritrain.errors import ConfigError, did_you_mean

Optimiser = Literal["sgd", "adam", "adamw"]
Schedule = Literal["constant", "step", "linear", "cosine"]
Decayed = Literal["all", "weights"]
Precision = Literal["32-true", "16-mixed", "bf16-mixed", "bf16-true", "64-true"]
Compile = Literal["none", "default", "reduce-overhead", "max-autotune"]
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
        epochs: passes over the training split; also the horizon of the cosine and the linear schedule.
        batch_size: samples per forward pass and rank.
        accumulate: forward passes per optimiser step; equals one pass over ``accumulate * batch_size`` samples,
            except for batch statistics.
        optimiser: sgd, adam or adamw.
        learning_rate: the peak, after the warm-up.
        weight_decay: L2 for sgd and adam, decoupled for adamw.
        decayed: all parameters decay, or weights alone: neither biases nor the scales of normalisation layers.
        momentum: of sgd, or beta 1 of adam and adamw.
        nesterov: Nesterov's momentum, of sgd alone.
        schedule: of the learning rate after the warm-up; linear falls by the epoch from the first one on, the warm-up's
            epochs among them.
        warmup_steps: steps in which the rate climbs linearly to ``learning_rate``.
        warmup_epochs: the warm-up lasts as long as these epochs, and at least ``warmup_steps`` steps.
        warmup_bias_rate: YOLOv5's warm-up: biases begin at this rate and all other parameters at exactly 0; all
            reach the schedule in a straight line. None lets all climb alike.
        warmup_momentum: the momentum begins the warm-up here and reaches ``momentum`` at its end; None is constant.
        step_every, step_factor: the step schedule multiplies the rate by the factor every so many epochs.
        final_rate: where the linear schedule would be after its last epoch, as a share of ``learning_rate``.
        clip_norm: largest total gradient norm; None never clips.
        precision: as lightning-fabric names it. With 16-mixed the loss is scaled (``scaling.py``): a step whose scaled
            gradients overflow leaves the weights as they are, halves the scale, is recorded and counts as a step;
            21 of them in a row, or a loss that is not finite, end the run. 16-true is refused.
        channels_last: lay 4-D weights and inputs out with the channels last; equal within rounding.
        compile: mode of ``torch.compile``, for training alone; validation calls the plain network.
        ema_decay: of the moving average of the weights (``average.py``) that is then validated, selected and kept
            as the checkpoint's network; 0 is off.
        ema_ramp: updates in which the average's decay grows to 63 % of ``ema_decay``, as YOLOv5 has it (2,000), and
            statistics of batch normalisation are averaged too; 0 is the warm-up of ``average.py``.
        accelerator: auto takes a GPU when there is one.
        workers: processes that read samples; 0 reads in the training process.
        worker_timeout: seconds to wait for a batch from the workers before the run fails; 0 waits for ever.
        prefetch: batches that each worker reads ahead.
        drop_remainder: leave out the last, smaller batch of an epoch (every epoch draws another order).
        seed: of batch order, augmentation and dropout.
        checkpoint_every_steps: save this often besides the end of each epoch; None does not.
        keep_checkpoints: newest checkpoints kept besides the best, at least 2.
        max_seconds: budget of training time over all segments of the run, the last validation included if it takes
            as long as the one before it (the first of a segment cannot be foreseen, and comes on top). What is computed
            then depends on the machine's speed, so leave it None where resume must be bitwise equal.
        validate_every: score, select and compare with the best after every so many epochs, and after the last.
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
    decayed: Decayed = "all"
    momentum: float = 0.9
    nesterov: bool = False
    schedule: Schedule = "cosine"
    warmup_steps: int = 0
    warmup_epochs: float = 0.0
    warmup_bias_rate: float | None = None
    warmup_momentum: float | None = None
    step_every: int = 10
    step_factor: float = 0.1
    final_rate: float = 0.01
    clip_norm: float | None = None
    precision: Precision = "32-true"
    channels_last: bool = False
    compile: Compile = "none"
    ema_decay: float = 0.0
    ema_ramp: float = 0.0
    accelerator: Accelerator = "auto"
    workers: int = 0
    worker_timeout: float = 600.0
    prefetch: int = 2
    drop_remainder: bool = True
    seed: int = 0
    checkpoint_every_steps: int | None = None
    keep_checkpoints: int = 2
    max_seconds: float | None = None
    validate_every: int = 1
    patience: int | None = None
    unfreeze: tuple[tuple[int, str], ...] = ()
    grad_every_steps: int = 10

    def __post_init__(self) -> None:
        _not_pure_half(self.precision)
        for name, words in (
            ("optimiser", Optimiser),
            ("schedule", Schedule),
            ("decayed", Decayed),
            ("precision", Precision),
            ("compile", Compile),
            ("accelerator", Accelerator),
        ):
            _one_of(name, getattr(self, name), get_args(words))
        for name, least in _AT_LEAST.items():
            _at_least(name, getattr(self, name), least)
        _above_zero("learning_rate", self.learning_rate)
        for name in ("ema_decay", "momentum", "warmup_momentum"):
            _below_one(name, getattr(self, name))
        _means_something(self)
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
    "warmup_epochs": 0,
    "warmup_bias_rate": 0,
    "warmup_momentum": 0,
    "ema_decay": 0,
    "ema_ramp": 0,
    "step_every": 1,
    "step_factor": 0,
    "final_rate": 0,
    "workers": 0,
    "worker_timeout": 0,
    "prefetch": 1,
    "seed": 0,
    "checkpoint_every_steps": 1,
    "keep_checkpoints": 2,
    "validate_every": 1,
    "patience": 1,
    "grad_every_steps": 1,
}


def _not_pure_half(precision: str) -> None:
    if precision == "16-true":
        raise ConfigError(
            "precision '16-true' cannot train",
            expected="weights in a type that keeps small updates",
            found="weights in float16, where an update below 1/2048 of a weight is rounded away and Adam's 1e-8 is 0",
            fix="use 16-mixed: float16 arithmetic, float32 weights",
        )


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(
            f"no {name} '{value}'", expected=", ".join(known), found=str(value), fix=did_you_mean(str(value), known)
        )


def _at_least(name: str, value: float | None, least: float) -> None:
    if value is not None and not value >= least:
        raise ConfigError(f"{name} is too small", expected=f"at least {least:g}", found=str(value))


def _means_something(options: LoopOptions) -> None:
    """Refuse an option that would change nothing beside the others."""
    warms_up = options.warmup_steps > 0 or options.warmup_epochs > 0
    for name, idle, needs in (
        ("nesterov", options.nesterov and not (options.optimiser == "sgd" and options.momentum), "sgd with momentum"),
        ("warmup_bias_rate", options.warmup_bias_rate is not None and not warms_up, "warmup_steps or warmup_epochs"),
        ("warmup_momentum", options.warmup_momentum is not None and not warms_up, "warmup_steps or warmup_epochs"),
        ("ema_ramp", options.ema_ramp and not options.ema_decay, "an ema_decay above 0"),
    ):
        if idle:
            raise ConfigError(f"{name} changes nothing here", expected=needs, found=f"{name} {getattr(options, name)}")


def _below_one(name: str, value: float | None) -> None:
    if value is not None and not value < 1:
        raise ConfigError(f"{name} must be below 1", expected="0, or a number such as 0.999", found=str(value))


def _above_zero(name: str, value: float) -> None:
    if not value > 0:
        raise ConfigError(f"{name} must be above 0", expected="a number above 0", found=str(value))
