"""What the benches of whole steps share: the device, a clock that waits for it, and a median with its range."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

import torch


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def settled() -> float:
    """The clock, once a GPU has done what was asked of it."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def spread(values: Sequence[float], *, digits: int = 2) -> str:
    """Median (least to most)."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
