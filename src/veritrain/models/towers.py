"""The towers of a file, whichever they are: a small CLIP of ours, CLIP or RemoteCLIP."""

from __future__ import annotations

from pathlib import Path

from veritrain.errors import CheckpointError
from veritrain.models.clip_weights import HOW_TO_CONVERT, LOOKS, KeyReport, network_of
from veritrain.models.options import Activation, ClipOptions
from veritrain.models.run_weights import weight_file_of
from veritrain.models.small_clip import holds_small_clip, load_small_clip
from veritrain.models.tower_pair import TowerPair
from veritrain.models.weight_file import read_tensors
from veritrain.record import sha256_of


def load_towers(
    path: str | Path, *, activation: Activation = "quick_gelu", strict: bool = True
) -> tuple[TowerPair, KeyReport]:
    """Both towers of a local file, and what was taken of it; which network it is, its tensors tell.

    Args:
        path: a weight file, or the folder of a run of ``veritrain train contrastive``.
        activation: of a CLIP (``ClipOptions``); a small CLIP has its own.

    Raises:
        ConfigError: no such file.
        CheckpointError: it cannot be read, or holds no towers that are known.
    """
    path = weight_file_of(path)
    tensors = read_tensors(path, convert=HOW_TO_CONVERT)
    if holds_small_clip(tensors):
        small = load_small_clip(path)
        count = len(small.state_dict())
        about = small.image.about
        return small, KeyReport(file=path.name, sha256=sha256_of(path), about=about, taken=count, tensors=count)
    name = network_of(tensors)
    if name is None:
        raise CheckpointError(
            "the file holds no towers that are known",
            expected=f"{', '.join(LOOKS.values())}, or a small CLIP",
            found=f"{len(tensors)} tensors, first {next(iter(tensors))}",
            fix="give the file of a CLIP, a RemoteCLIP, or a run of `veritrain train contrastive`",
            file=path,
        )
    del tensors
    # open_clip takes seconds to import, which a small CLIP need not wait for.
    from veritrain.models.clip import load_clip

    network, report = load_clip(ClipOptions(name=name, activation=activation, weights=str(path), strict=strict))
    assert report is not None
    return network, report
