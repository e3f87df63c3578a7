"""Names and tensors of a local weight file; nothing in the file is ever executed, and nothing is downloaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from veritrain.errors import CheckpointError, ConfigError

PICKLED = (".pt", ".pth")
FOREIGN = re.compile(r"GLOBAL ([\w.]+)")


def read_tensors(path: Path, *, convert: str) -> dict[str, Tensor]:
    """Name to tensor, as the file has them, on the CPU.

    Args:
        path: .safetensors, or a .pt or .pth that holds nothing but names and tensors (``weights_only=True``).
        convert: what a person can do about a file that holds more, for the error.

    Raises:
        ConfigError: no such file, or neither of these endings.
        CheckpointError: it cannot be read, or holds more than names and tensors.
    """
    demand_weight_file(path)
    if path.suffix.lower() in PICKLED:
        return _plain(_unpickled(path, convert), path, convert)
    return read_safetensors(path)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors file, on the CPU. Raises CheckpointError where it cannot be read."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            "the weights cannot be read", expected="a .safetensors file", found=str(error), file=path
        ) from error


def demand_weight_file(path: Path) -> None:
    """Raises ConfigError unless there is a file of a kind that is read."""
    if not path.is_file() or path.suffix.lower() not in (".safetensors", *PICKLED):
        raise ConfigError(
            "weights: no file that can be read",
            expected="a local .safetensors file, or a .pt with a plain state dict",
            found=path.name if path.is_file() else "nothing",
            fix="give the path of the file; nothing is downloaded",
            file=path,
        )


def _unpickled(path: Path, convert: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            "the file holds more than tensors, and what else it holds is not run",
            expected="a plain state dict: names and tensors",
            found=_unplain(str(error)),
            fix=convert,
            file=path,
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(
            "the weights cannot be read",
            expected="a .pt file as torch.save writes it",
            found=" ".join(str(error).split())[:200],
            fix=convert if "TorchScript" in str(error) else None,
            file=path,
        ) from error


def _unplain(refusal: str) -> str:
    """What torch refused to make, by its class; its own words advise to load the file as it is."""
    named = FOREIGN.search(refusal)
    return f"an object of {named[1]}" if named else "no plain pickle of tensors"


def _plain(content: Any, path: Path, convert: str) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and content and all(isinstance(value, Tensor) for value in content.values()):
        return {str(name): value for name, value in content.items()}
    found = f"a mapping with {', '.join(map(str, list(content)[:5]))}" if isinstance(content, Mapping) else ""
    raise CheckpointError(
        "the file is no plain state dict",
        expected="names and tensors",
        found=found or type(content).__name__,
        fix=convert,
        file=path,
    )
