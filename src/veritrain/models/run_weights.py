"""Where the weights are that a path means: a weight file, or of a run folder the checkpoint that was scored."""

from __future__ import annotations

import json
from pathlib import Path

from veritrain.errors import CheckpointError
from veritrain.record import RunFolder

WEIGHTS = "model.safetensors"


def weight_file_of(path: str | Path) -> Path:
    """The path itself; of a run folder the weights of its best checkpoint, of a checkpoint's folder its weights.

    Raises:
        CheckpointError: a folder that holds neither.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if (path / WEIGHTS).is_file():
        return path / WEIGHTS
    folder = RunFolder(path)
    pointer = folder.checkpoints / "best.json"
    found = "no checkpoints/best.json"
    if pointer.is_file():
        try:
            name = str(json.loads(pointer.read_text(encoding="utf-8"))["checkpoint"])
        except (ValueError, KeyError, TypeError) as error:
            found = f"best.json cannot be read ({type(error).__name__})"
        else:
            if (folder.checkpoints / name / WEIGHTS).is_file():
                return folder.checkpoints / name / WEIGHTS
            found = f"best.json names {name}, and it has no {WEIGHTS}"
    raise CheckpointError(
        "no weights in this folder",
        expected="a run with a best checkpoint, a checkpoint's folder, or a weight file",
        found=found,
        fix="train it first: veritrain train contrastive --data DATA --run RUN",
        file=path,
    )
