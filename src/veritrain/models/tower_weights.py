"""Weights of an image tower from a local file; nothing in the file is ever executed."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.state_match import demand_usable, mismatch
from veritrain.models.weight_file import read_safetensors

PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
PICKLE_HEADS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""A zip archive, as torch.save writes it, and bare pickles."""
OUR_PREFIX = "image_encoder."
CLASSIFIER = ("fc.weight", "fc.bias")
"""torchvision's ImageNet classifier: in its files, not in our towers."""
COUNTER = "num_batches_tracked"


def load_tower(tower: nn.Module, path: str | Path) -> None:
    """Give an image tower the weights of a safetensors file, all of them or none.

    The file is torchvision's state dict of the same network (its classifier is left out) or a checkpoint of ours
    (``model.safetensors``), of which the image tower is taken.

    Raises:
        ConfigError: no such file, or a pickle.
        CheckpointError: no safetensors file, of another architecture, whole numbers where weights belong (a quantised
            file), or NaN or infinity; the keys at fault are named.
    """
    path = Path(path)
    tensors = _read(path)
    if any(name.startswith(OUR_PREFIX) for name in tensors):
        tensors = {name[len(OUR_PREFIX) :]: value for name, value in tensors.items() if name.startswith(OUR_PREFIX)}
    tensors = {name: value for name, value in tensors.items() if name not in CLASSIFIER}
    own = tower.state_dict()
    # Counters may be missing: older torchvision files lack them, and nothing reads them under a momentum.
    known = {name: value for name, value in own.items() if name in tensors or not name.endswith(COUNTER)}
    if at_fault := mismatch(known, tensors):
        raise CheckpointError(
            "the weight file is of another architecture",
            expected=f"the {len(own)} tensors of this {type(tower).__name__}",
            found=at_fault,
            fix="choose the image_tower that the file was made with, or another file",
            file=path,
        )
    demand_usable({name: value for name, value in tensors.items() if own[name].is_floating_point()}, path)
    tower.load_state_dict(tensors, strict=False)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ConfigError(
            "image_weights: no such file",
            expected="a local .safetensors file",
            found="nothing",
            fix="give the path of the file; nothing is downloaded",
            file=path,
        )
    with path.open("rb") as file:
        head = file.read(4)
    if path.suffix.lower() in PICKLED or head.startswith(PICKLE_HEADS):
        raise ConfigError(
            "image_weights: a pickle is not read, because reading one can run what is written in it",
            expected="a .safetensors file",
            found=path.name,
            fix="convert it once, where you trust it: safetensors.torch.save_file("
            "torch.load('weights.pth', weights_only=True), 'weights.safetensors')",
            file=path,
        )
    return read_safetensors(path)
