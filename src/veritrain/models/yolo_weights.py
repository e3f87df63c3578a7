"""Weights of a YOLOv5 network from a local file: a plain state dict, all or nothing; nothing in it is executed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.state_match import mismatch

PICKLED = (".pt", ".pth")
FOREIGN = re.compile(r"GLOBAL ([\w.]+)")
HOW_TO_CONVERT = (
    "where you trust the file, convert it once in the environment that wrote it: from safetensors.torch import "
    "save_file; save_file(torch.load('FILE.pt', weights_only=False)['model'].float().state_dict(), "
    "'FILE.safetensors')"
)


def load_yolo(network: nn.Module, path: str | Path) -> None:
    """Give a YOLOv5 network the state dict of a file, every tensor of it or none.

    The file is .safetensors, or a .pt or .pth that holds nothing but names and tensors (``torch.load`` with
    ``weights_only=True``). The original's own .pt files pickle the whole model with its classes: they are refused.
    Half precision is widened. The anchors in the file, in cells, become the network's.

    Raises:
        ConfigError: no such file, or neither of these endings.
        CheckpointError: unreadable, not a plain state dict, or of another network (another size, number of classes or
            view head); the keys at fault are named.
    """
    path = Path(path)
    tensors = read_weights(path)
    own = network.state_dict()
    if at_fault := mismatch(own, tensors):
        raise CheckpointError(
            "the weight file is of another network",
            expected=f"the {len(own)} tensors of this {type(network).__name__}",
            found=at_fault,
            fix="choose size, classes and view head as the file has them, or another file",
            file=path,
        )
    network.load_state_dict(tensors)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Name to tensor, as the file has them, on the CPU; nothing in it is executed.

    Raises:
        ConfigError: no such file, or neither .safetensors nor .pt nor .pth.
        CheckpointError: it cannot be read, or holds more than names and tensors.
    """
    demand_weight_file(path)
    if path.suffix.lower() in PICKLED:
        return _plain(_unpickled(path), path)
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


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise CheckpointError(
            "the file holds more than tensors, and what else it holds is not run",
            expected="a plain state dict: names and tensors",
            found=_unplain(str(error)),
            fix=HOW_TO_CONVERT,
            file=path,
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(
            "the weights cannot be read",
            expected="a .pt file as torch.save writes it",
            found=" ".join(str(error).split())[:200],
            file=path,
        ) from error


def _unplain(refusal: str) -> str:
    """What torch refused to make, by its class; its own words advise to load the file as it is."""
    named = FOREIGN.search(refusal)
    return f"an object of {named[1]}" if named else "no plain pickle of tensors"


def _plain(content: Any, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping) and content and all(isinstance(value, Tensor) for value in content.values()):
        return {str(name): value for name, value in content.items()}
    found = f"a mapping with {', '.join(map(str, list(content)[:5]))}" if isinstance(content, Mapping) else ""
    raise CheckpointError(
        "the file is no plain state dict",
        expected="names and tensors",
        found=found or type(content).__name__,
        fix=HOW_TO_CONVERT,
        file=path,
    )
