"""Room for checkpoints: asked for before the first step, and named when it runs out."""

from __future__ import annotations

import os
import shutil

import torch
from torch import nn

from veritrain.errors import StorageError
from veritrain.record import RunFolder

MARGIN = 65_536
"""Bytes beside the tensors: headers, state, manifest, one block per file."""


def bytes_needed(model: nn.Module, optimiser: torch.optim.Optimizer, average: nn.Module | None = None) -> int:
    """Bytes of one checkpoint with its optimiser state, also before the optimiser has one, and with its average."""
    networks = [model] if average is None else [model, average]
    weights = sum(tensor.nbytes for network in networks for tensor in network.state_dict().values())
    if optimiser.state:
        state = sum(value.nbytes for values in optimiser.state.values() for value in values.values()
                    if isinstance(value, torch.Tensor))  # fmt: skip
    else:
        copies = {"SGD": 1, "Adam": 2, "AdamW": 2}.get(type(optimiser).__name__, 2)
        state = copies * sum(p.nbytes for group in optimiser.param_groups for p in group["params"])
    return weights + state + MARGIN


def check_room(folder: RunFolder, *, needed: int, keep: int) -> str | None:
    """Before step 1: refuse a disk without room for one checkpoint; a warning when not all kept ones will fit.

    Raises:
        StorageError: too little room, or the folder cannot be written.
    """
    try:
        folder.checkpoints.mkdir(parents=True, exist_ok=True)
        probe = folder.checkpoints / ".part-probe"
        probe.write_bytes(b"0")
        probe.unlink()
    except OSError as error:
        raise storage_error(error, folder, needed) from error
    free = shutil.disk_usage(folder.path).free
    if free < needed:
        raise storage_error(OSError("too little room for one checkpoint"), folder, needed)
    # One is written before the oldest goes, and the best is kept besides the newest.
    missing = (keep + 2 - len(list(folder.checkpoints.glob("step-*")))) * needed
    if free < missing:
        return f"the disk has {free:,} bytes free and the checkpoints will take {missing:,}: it will fill up"
    return None


def storage_error(error: Exception, folder: RunFolder, needed: int) -> StorageError:
    """The same sentence for a full disk, a quota, and a folder that cannot be written."""
    free = shutil.disk_usage(folder.path if folder.path.exists() else folder.path.parent).free
    return StorageError(
        "the checkpoint cannot be written; earlier ones are intact",
        expected=f"{needed:,} bytes free and a folder that this user may write",
        found=f"{free:,} bytes free; {_reason(error)}",
        fix="make room (or give another --run) and run again with --resume",
        file=folder.checkpoints,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno)
    return str(error)
