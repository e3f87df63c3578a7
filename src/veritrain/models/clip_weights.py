"""Weights of a CLIP from a local file: what is taken, what is missing, what nobody asked for; nothing is executed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from veritrain.errors import CheckpointError
from veritrain.models.options import ClipName, ClipOptions
from veritrain.models.state_match import demand_usable, listed, mismatch
from veritrain.models.weight_file import read_tensors
from veritrain.record import sha256_of

HOW_TO_CONVERT = (
    "where you trust the file, convert it once: from safetensors.torch import save_file; "
    "save_file({name: one.contiguous() for name, one in STATE.items()}, 'FILE.safetensors'), with STATE = "
    "torch.jit.load('FILE.pt', map_location='cpu').state_dict() for OpenAI's own archives, or "
    "torch.load('FILE.pt', weights_only=False)['state_dict'] for a training checkpoint of open_clip"
)
OUTER = ("module.", "image.", "text.")
"""What may stand before a name: of data parallel training, of our own checkpoints, of open_clip's newer text towers."""
RENAMED = {"temperature.log_scale": "logit_scale"}
"""Our own checkpoints' names -> those of open_clip and OpenAI."""
FACTS = ("input_resolution", "context_length", "vocab_size", "attn_mask")
"""Numbers in OpenAI's own files that follow from the architecture and are no weights."""
COUNTER = "num_batches_tracked"
LOOKS: Mapping[tuple[int, ...], ClipName] = {
    (32, 3, 3, 3): "RN50",
    (768, 3, 32, 32): "ViT-B-32",
    (1024, 3, 14, 14): "ViT-L-14",
}
"""The shape of an image tower's first weights -> the network."""
FIRST = "visual.conv1.weight"


@dataclass(frozen=True, kw_only=True)
class KeyReport:
    """What a network took from a file.

    Attributes:
        file: its name without folders. sha256: of its bytes.
        about: the network, with its activation, which stands in no file.
        taken: how many tensors of the network were in the file, of how many (``tensors``).
        missing: in the network, not in the file: they start from random numbers.
        unexpected: in the file, not in the network: they are left out.
        misshapen: in both, of other shapes: they start from random numbers too.
    """

    file: str
    sha256: str
    about: str
    taken: int
    tensors: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()

    def told(self) -> str:
        """A sentence for the log."""
        parts = [f"{self.about} takes {self.taken} of its {self.tensors} tensors from {self.file}"]
        parts.append(f"sha256 {self.sha256[:12]}")
        for word in ("missing", "unexpected", "misshapen"):
            names = getattr(self, word)
            parts.append(f"{word}: {len(names)} ({listed(names)})" if names else f"{word}: none")
        return "; ".join(parts)

    def as_json(self) -> dict[str, Any]:
        counts = {"file": self.file, "sha256": self.sha256, "about": self.about}
        names = {word: list(getattr(self, word)) for word in ("missing", "unexpected", "misshapen")}
        return {**counts, "taken": self.taken, "tensors": self.tensors, **names}


def load_clip_file(network: nn.Module, options: ClipOptions) -> KeyReport:
    """Give a CLIP the weights of ``options.weights``: all of them, or, when not strict, those that fit.

    The file holds names and tensors as open_clip, OpenAI and RemoteCLIP name them, or as our own checkpoints do. Half
    precision is widened.

    Raises:
        ConfigError: no such file.
        CheckpointError: unreadable, no plain state dict, of another network (the keys at fault and, where it shows, the
            network that the file is of are named), nothing in it that fits, or numbers that are no weights.
    """
    path = Path(options.weights)
    given = _plainly_named(read_tensors(path, convert=HOW_TO_CONVERT), path)
    names = {plain_name(name): name for name in network.state_dict()}
    own = {plain: network.state_dict()[name] for plain, name in names.items()}
    # Counters may be missing: older files lack them, and nothing reads them under a momentum.
    known = {name: value for name, value in own.items() if name in given or not name.endswith(COUNTER)}
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    _demand_fit(options, known, given, fitting, path)
    demand_usable({name: value for name, value in fitting.items() if own[name].is_floating_point()}, path)
    network.load_state_dict({names[name]: value for name, value in fitting.items()}, strict=False)
    return KeyReport(
        file=path.name,
        sha256=sha256_of(path),
        about=f"CLIP {options.name}, {options.activation}",
        taken=len(fitting),
        tensors=len(known),
        missing=tuple(name for name in known if name not in given),
        unexpected=tuple(name for name in given if name not in own),
        misshapen=tuple(name for name in known if name in given and name not in fitting),
    )


def plain_name(name: str) -> str:
    """A tensor's name as open_clip has it: ``visual.conv1.weight``, ``token_embedding.weight``, ``logit_scale``."""
    for outer in OUTER:
        name = name.removeprefix(outer)
    return RENAMED.get(name, name)


def _plainly_named(tensors: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The file's tensors under their plain names, without what is no weight."""
    given = {plain_name(name): value for name, value in tensors.items()}
    if len(given) < len(tensors):
        raise CheckpointError(
            "the weight file holds several networks",
            expected="each tensor once",
            found=f"{len(tensors)} tensors with {len(given)} names",
            fix="give the state dict of one network",
            file=path,
        )
    return {name: value for name, value in given.items() if name not in FACTS}


def _demand_fit(
    options: ClipOptions,
    known: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    fitting: Mapping[str, Tensor],
    path: Path,
) -> None:
    at_fault = mismatch(known, given)
    if not at_fault or (fitting and not options.strict):
        return
    looks = network_of(given)
    fix = "choose another file, or take what fits (not strict) and read what is missing"
    raise CheckpointError(
        "the weight file is of another network",
        expected=f"the {len(known)} tensors of CLIP {options.name}",
        found=at_fault,
        fix=f"the file looks like {looks}: choose that" if looks not in (None, options.name) else fix,
        file=path,
    )


def network_of(tensors: Mapping[str, Tensor]) -> ClipName | None:
    """RN50, ViT-B-32 or ViT-L-14 by the image tower's first weights; None where they are those of none."""
    first = next((value for name, value in tensors.items() if plain_name(name) == FIRST), None)
    return None if first is None else LOOKS.get(tuple(first.shape))
