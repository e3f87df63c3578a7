"""Whether a state dict fits a network, which of its keys do not, and whether its numbers are weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from veritrain.errors import CheckpointError

MOST_NAMED = 12


def mismatch(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str:
    """Tensors that are missing, unexpected or of another shape in ``given``, counted and named; empty when all fit."""
    parts = {
        "missing": [name for name in own if name not in given],
        "unexpected": [name for name in given if name not in own],
        "of another shape": [
            f"{name} ({_shape(own[name])} here, {_shape(given[name])} there)"
            for name in own
            if name in given and own[name].shape != given[name].shape
        ],
    }
    return "; ".join(f"{len(names)} {word}: {listed(names)}" for word, names in parts.items() if names)


def unusable(weights: Mapping[str, Tensor]) -> str:
    """Weights that are whole numbers (a quantised file), NaN or infinite, counted and named; empty when none is."""
    parts = {
        "of whole numbers": [f"{name} ({one.dtype})" for name, one in weights.items() if not one.is_floating_point()],
        "with NaN or infinity": [name for name, one in weights.items() if not one.float().isfinite().all()],
    }
    return "; ".join(f"{len(names)} {word}: {listed(names)}" for word, names in parts.items() if names)


def demand_usable(weights: Mapping[str, Tensor], file: Path) -> None:
    """Raises CheckpointError where a file holds whole numbers, NaN or infinity instead of weights."""
    if at_fault := unusable(weights):
        raise CheckpointError(
            "the weight file holds no usable weights",
            expected="finite floating-point numbers",
            found=at_fault,
            fix="take the file of the unquantised, finished training",
            file=file,
        )


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
