"""Weights of a YOLOv5 network from a local file: a plain state dict, all or nothing; nothing in it is executed."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from veritrain.errors import CheckpointError
from veritrain.models.state_match import mismatch
from veritrain.models.weight_file import read_tensors

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
    """Name to tensor, as the file has them; errors as ``models.weight_file.read_tensors``."""
    return read_tensors(path, convert=HOW_TO_CONVERT)
