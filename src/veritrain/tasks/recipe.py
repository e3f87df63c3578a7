"""What the recipe of every task has. Torch-free, so that ``--help`` loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Controls = Literal["full", "quick", "none"]


@dataclass(frozen=True, kw_only=True)
class WaiverOption:
    """A check set aside: its name, why, and the last day (YYYY-MM-DD). It counts as not run."""

    check: str
    reason: str
    until: str


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The keys that all tasks share: what is trained on, how the loop trains, what is kept, which controls are run.

    A task's recipe inherits from it, gives a default to what has none here (``data`` has none anywhere), and adds its
    own keys. The help of a key is its line in the docstring of the class that has it, or of a task that says more.

    Attributes:
        data: the data set's folder; its format is recognised by content.
        seed: the training seed; the split is fixed by the data.
        labels: given; permuted (groups exchange their labels) or redrawn (random at every read): spoilt on purpose.
        epochs: passes over the training split.
        batch_size: samples per forward pass.
        accumulate: batches per optimiser step.
        optimiser: adamw, adam or sgd.
        learning_rate: its peak.
        weight_decay: decoupled for adamw.
        momentum: of sgd, or beta 1 of adam and adamw.
        schedule: constant, step, linear or cosine (``training.options``).
        warmup_steps: optimiser steps of linear warm-up.
        clip_norm: largest gradient norm; 0 is off.
        precision: 32-true, bf16-mixed, 16-mixed (float16 with a scaled loss), or auto: bf16-mixed where the device
            computes in bfloat16, else 32-true. With auto the numbers depend on the machine.
        channels_last: lay images and features out with the channels last; equal within rounding.
        compile: none, or a mode of torch.compile: default, reduce-overhead, max-autotune.
        ema_decay: of the moving average of the weights that is validated, selected and reported; 0 is off.
        workers: processes that prepare batches; 0 is this one.
        prefetch: batches that each of them prepares ahead.
        hold: memory keeps decoded samples and what is made of them, disk reads them from the cache at every use; auto
            takes memory where memory_mb suffices. The results are the same.
        memory_mb: megabytes that hold auto may take, all splits and workers together.
        max_seconds: stop training in time for the last validation to end after this long; 0 is off.
        validate_every: epochs between validations; the last epoch is always scored.
        patience: stop after this many scored epochs without a better validation score; 0 is off.
        checkpoint_every: optimiser steps between checkpoints; 0 is once an epoch.
        keep_checkpoints: how many are kept, at least 2.
        controls: full (19 permuted retrainings), quick (all that SHOWN needs) or none.
        control_steps: optimiser steps of each permuted retraining and of the true run it is held against.
        cache: folder for decoded samples; empty is beside the data set.
        threads: CPU threads; 0 leaves it to torch.
        loggers: tensorboard, mlflow: what mirrors the record into RUN/loggers (needs the extra veritrain[trackers]).
        waivers: checks set aside, shown in the report, never counted as passed.
    """

    data: str
    seed: int = 0
    labels: Literal["given", "permuted", "redrawn"] = "given"
    epochs: int
    batch_size: int
    accumulate: int = 1
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float
    weight_decay: float = 0.01
    momentum: float = 0.9
    schedule: Literal["constant", "step", "linear", "cosine"] = "cosine"
    warmup_steps: int = 30
    clip_norm: float
    precision: Literal["32-true", "bf16-mixed", "16-mixed", "auto"] = "32-true"
    channels_last: bool = False
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    ema_decay: float = 0.0
    workers: int = 0
    prefetch: int = 2
    hold: Literal["auto", "memory", "disk"] = "auto"
    memory_mb: int = 4000
    max_seconds: float = 0.0
    validate_every: int = 1
    patience: int = 0
    checkpoint_every: int = 0
    keep_checkpoints: int = 2
    controls: Controls = "quick"
    control_steps: int
    cache: str = ""
    threads: int = 0
    loggers: list[Literal["tensorboard", "mlflow"]] = field(default_factory=list)
    waivers: list[WaiverOption] = field(default_factory=list)
