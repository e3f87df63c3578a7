"""Randomness as a pure function of where training stands: nothing to save, nothing to restore.

A saved generator state repeats a run only if every draw before it is repeated too; a seed derived from
(seed, step, micro-batch, rank) before each forward pass makes any step repeatable on its own, in a fresh process.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def derive(seed: int, *place: int | str) -> int:
    """A seed in [0, 2**63) for one place in training; other places give unrelated seeds."""
    words = "/".join(map(str, (seed, *place)))
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "little") >> 1


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch on every device of this process.

    ``torch.manual_seed`` is not used: it formats a stack trace for the GPU that is not there, which costs
    90 microseconds a step.
    """
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)  # noqa: NPY002 - code that draws globally must repeat too
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)


def seed_step(seed: int, step: int, *, micro: int = 0, rank: int = 0) -> None:
    """Before each forward pass: dropout and other draws depend on nothing but this place."""
    seed_everything(derive(seed, "step", step, micro, rank))
