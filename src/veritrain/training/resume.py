"""Where training stands, and what a resumed run may change."""

from __future__ import annotations

import platform
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from veritrain.errors import CheckpointError
from veritrain.losses.options import STATIC, BalanceOptions
from veritrain.training.options import FREE_TO_CHANGE, LoopOptions


@dataclass(kw_only=True)
class Place:
    """Where training stands, between two optimiser steps. JSON, and enough to go on bit for bit.

    Attributes:
        step: optimiser steps done.
        epoch: the epoch being worked on, from 1; ``epochs + 1`` when all are done.
        batch: batches of this epoch already used; all of them when only its validation is missing.
        best_epoch, best_step, best_value: the best selection score so far, None before the first.
        stale: scored epochs since then.
        loss_sum, loss_samples: of this epoch so far.
        seconds: training and validation time over all segments of the run.
        overflows: steps of the run without an update, because gradients overflowed in float16.
    """

    step: int = 0
    epoch: int = 1
    batch: int = 0
    best_epoch: int | None = None
    best_step: int | None = None
    best_value: float | None = None
    stale: int = 0
    loss_sum: float = 0.0
    loss_samples: int = 0
    seconds: float = 0.0
    overflows: int = 0

    def last_epoch(self) -> int:
        """The epoch that the newest step belongs to; 0 before the first step."""
        return self.epoch if self.batch else self.epoch - 1

    def next_epoch(self) -> None:
        self.epoch, self.batch, self.loss_sum, self.loss_samples = self.epoch + 1, 0, 0.0, 0


def surroundings(device: str, world: int) -> dict[str, Any]:
    """What bitwise equality depends on beside the recipe."""
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "device": device,
        "machine": platform.machine(),
        "world": world,
    }


def recipe_of(
    options: LoopOptions,
    recipe: Mapping[str, Any] | None,
    *,
    samples: int,
    world: int,
    balance: BalanceOptions = STATIC,
) -> dict[str, Any]:
    """Flat names to values: everything that decides what is computed."""
    own = {name: value for name, value in asdict(options).items() if name not in FREE_TO_CHANGE}
    # Without a choice nothing is named, so that checkpoints from before there was one can be resumed.
    chosen = {} if balance == STATIC else {"balance": asdict(balance)}
    return _flat({**(recipe or {}), "loop": own, **chosen, "train_samples": samples, "world": world})


def _defaults() -> dict[str, Any]:
    """Flat names of the loop's options to their defaults; every option changes nothing by default."""
    return _flat({"loop": {entry.name: entry.default for entry in fields(LoopOptions)}})


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = _as_json(value)
    return found


def _as_json(value: Any) -> Any:
    return [_as_json(item) for item in value] if isinstance(value, list | tuple) else value


def check_same_recipe(saved: Mapping[str, Any], now: Mapping[str, Any], *, allowed: Collection[str] = ()) -> list[str]:
    """The allowed differences, as "name: before -> now". An option that the checkpoint does not know had its default.

    Args:
        allowed: names that may differ: full ("loop.learning_rate") or their last word ("learning_rate").

    Raises:
        CheckpointError: something else differs; each difference is named.
    """
    saved = {**{name: value for name, value in _defaults().items() if name in now}, **saved}
    changed = [name for name in sorted(saved.keys() | now.keys()) if saved.get(name) != now.get(name)]
    refused = [name for name in changed if name not in allowed and name.rsplit(".", 1)[-1] not in allowed]
    if refused:
        raise CheckpointError(
            "the checkpoint belongs to another recipe",
            expected="the recipe that the run was started with",
            found="; ".join(f"{name}: {saved.get(name)} -> {now.get(name)}" for name in refused),
            fix="resume with the old values, allow the change by name, or start a new run",
        )
    return [f"{name}: {saved.get(name)} -> {now.get(name)}" for name in changed]
