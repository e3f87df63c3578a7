"""Checkpoints that survive a kill, a full disk and a flipped bit.

One checkpoint is a folder ``checkpoints/step-00000123/``: ``model.safetensors``, ``optimiser.safetensors``,
``state.json`` and ``manifest.json`` with the SHA-256 of the others. ``model.safetensors`` is the network that is
scored; where that is a moving average, ``raw.safetensors`` holds the weights that training goes on from. It is
written as ``.part-...`` beside its target, each file and the folder are flushed to the disk, and one rename makes it
appear. ``last.json`` and ``best.json`` name checkpoints. Nothing in it is executed when it is read: tensors are
safetensors, the rest JSON.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from veritrain.errors import CheckpointError
from veritrain.models.weight_file import read_safetensors
from veritrain.record import RunFolder, sha256_of, write_json
from veritrain.training.layout import lay_out_state
from veritrain.training.storage import bytes_needed, storage_error

VERSION = 1
RAW = "raw.safetensors"
MODEL, OPTIMISER, STATE, MANIFEST = "model.safetensors", "optimiser.safetensors", "state.json", "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """One checkpoint whose files were found to match its manifest.

    Attributes:
        path: its folder.
        state: the JSON that was saved with it (see :func:`save`).
        weights_sha256: of ``model.safetensors``; equal files mean bitwise equal weights.
    """

    path: Path
    state: Mapping[str, Any]
    weights_sha256: str

    def weights(self) -> dict[str, Tensor]:
        return load_file(self.path / MODEL)


def save(
    folder: RunFolder,
    *,
    step: int,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    state: Mapping[str, Any],
    average: nn.Module | None = None,
) -> Checkpoint:
    """Write the checkpoint of ``step`` and point ``last.json`` at it; older ones are untouched until it stands.

    Args:
        state: JSON content: where training stands and whatever a reader needs beside the tensors.
        average: the moving average of ``model``, if that is what gets scored.

    Raises:
        StorageError: no room, or a folder that cannot be written; names needed and free bytes.
        CheckpointError: a state of the network or of the optimiser is neither tensor nor JSON.
    """
    target = folder.checkpoints / f"step-{step:08d}"
    part = target.with_name(f".part-{target.name}")
    tensors, scalars = _optimiser_state(optimiser)
    full = {**state, "v": VERSION, "optimiser": scalars}
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        save_file(_storable((average or model).state_dict()), part / MODEL)
        if average is not None:
            save_file(_storable(model.state_dict()), part / RAW)
        save_file(tensors, part / OPTIMISER)
        write_json(part / STATE, full)
        content = {path.name: sha256_of(path) for path in sorted(part.iterdir())}
        write_json(part / MANIFEST, {"v": VERSION, "sha256": content})
        _flush(part)
        _put_in_place(part, target)
        write_json(folder.checkpoints / "last.json", {"checkpoint": target.name, "step": step})
    except (OSError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise storage_error(error, folder, bytes_needed(model, optimiser, average)) from error
    return Checkpoint(path=target, state=full, weights_sha256=content[MODEL])


def _put_in_place(part: Path, target: Path) -> None:
    """Rename; a checkpoint of the same step steps aside first and returns if we are killed in between."""
    aside = target.with_name(f".old-{target.name}")
    if target.exists():
        target.rename(aside)
    part.rename(target)
    _flush_folder(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _flush(part: Path) -> None:
    for path in part.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    _flush_folder(part)


def _flush_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def clean(folder: RunFolder) -> list[str]:
    """Remove what a killed save left behind; put back what it had moved aside. Names of the removed folders."""
    removed = []
    for aside in sorted(folder.checkpoints.glob(".old-*")):
        target = aside.with_name(aside.name.removeprefix(".old-"))
        if not target.exists():
            aside.rename(target)
        else:
            shutil.rmtree(aside)
    for part in sorted(folder.checkpoints.glob(".part-*")):
        shutil.rmtree(part)
        removed.append(part.name)
    for part in folder.checkpoints.glob("*.json.part"):
        part.unlink()
    return removed


def steps(folder: RunFolder) -> list[Path]:
    """Checkpoint folders, newest first, whether they verify or not."""
    return sorted(folder.checkpoints.glob("step-*"), reverse=True)


def verify(path: Path) -> str | None:
    """Why this checkpoint cannot be trusted, or None when every file matches its manifest."""
    try:
        content = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        expected = dict(content["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{MANIFEST} cannot be read ({error})"
    for name in (MODEL, OPTIMISER, STATE, *((RAW,) if RAW in expected else ())):
        if not (path / name).is_file():
            return f"{name} is missing"
        if sha256_of(path / name) != expected.get(name):
            return f"{name} does not match its sha256"
    return None


def read(path: Path) -> Checkpoint:
    """Open one checkpoint.

    Raises:
        CheckpointError: it does not verify.
    """
    reason = verify(path)
    if reason is not None:
        raise CheckpointError(
            "the checkpoint does not verify",
            expected="files that match manifest.json",
            found=reason,
            fix="use another checkpoint of this run; `--resume` takes the newest whole one by itself",
            file=path,
        )
    return _open(path)


def _open(path: Path) -> Checkpoint:
    state = json.loads((path / STATE).read_text(encoding="utf-8"))
    manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    return Checkpoint(path=path, state=state, weights_sha256=manifest["sha256"][MODEL])


def newest(folder: RunFolder, *, warn: Callable[[Path, str], None] | None = None) -> Checkpoint | None:
    """The newest checkpoint that verifies; None when the run has none yet.

    Args:
        warn: told the folder and the reason of each newer one that was passed over.

    Raises:
        CheckpointError: there are checkpoints and none verifies.
    """
    reasons = []
    for path in steps(folder):
        reason = verify(path)
        if reason is None:
            return _open(path)
        reasons.append(f"{path.name}: {reason}")
        if warn is not None:
            warn(path, reason)
    if reasons:
        raise CheckpointError(
            "no checkpoint of this run verifies",
            expected="at least one whole checkpoint",
            found="; ".join(reasons),
            fix="restore the folder from a copy, or start a new run",
            file=folder.checkpoints,
        )
    return None


def best(folder: RunFolder) -> Checkpoint:
    """The checkpoint with the best selection score.

    Raises:
        CheckpointError: no epoch has had a defined score yet, or the checkpoint does not verify.
    """
    pointer = folder.checkpoints / "best.json"
    try:
        name = json.loads(pointer.read_text(encoding="utf-8"))["checkpoint"]
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            "the run has no best checkpoint",
            expected="best.json, written after the first epoch with a defined selection score",
            found=str(error),
            fix="go on with the run: veritrain resume RUN",
            file=pointer,
        ) from error
    return read(folder.checkpoints / name)


def point_at_best(folder: RunFolder, *, step: int, epoch: int, metric: str, value: float) -> None:
    """Make ``best.json`` name the checkpoint of ``step``."""
    name = f"step-{step:08d}"
    write_json(
        folder.checkpoints / "best.json",
        {"checkpoint": name, "step": step, "epoch": epoch, "metric": metric, "value": value},
    )


def prune(folder: RunFolder, *, keep: int) -> None:
    """Remove all but the ``keep`` newest and the ones that any of those calls the best."""
    kept = steps(folder)[:keep]
    wanted = {path.name for path in kept} | {_best_of(path) for path in kept}
    for path in steps(folder)[keep:]:
        if path.name not in wanted:
            shutil.rmtree(path)


def _best_of(path: Path) -> str | None:
    try:
        step = json.loads((path / STATE).read_text(encoding="utf-8"))["place"]["best_step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if step is None else f"step-{step:08d}"


def load_weights(source: Checkpoint | Path | str, model: nn.Module, *, strict: bool = True) -> None:
    """Load weights from a checkpoint, its folder (verified first) or a ``.safetensors`` file.

    Args:
        strict: every tensor of the network must be in the file and the other way round.

    Raises:
        CheckpointError: it does not verify, or names or shapes differ; the first few are listed.
    """
    path = source.path if isinstance(source, Checkpoint) else Path(source)
    if isinstance(source, Checkpoint):
        tensors = source.weights()
    else:
        tensors = read(path).weights() if path.is_dir() else read_safetensors(path)
    own = model.state_dict()
    faults = [f"{name}: {_shape(own[name])} here, {_shape(tensors[name])} there" for name in own.keys() & tensors.keys()
              if own[name].shape != tensors[name].shape]  # fmt: skip
    if strict:
        faults += [f"{name} is missing" for name in own.keys() - tensors.keys()]
        faults += [f"{name} is unknown to the network" for name in tensors.keys() - own.keys()]
    if faults:
        raise CheckpointError(
            "the checkpoint belongs to another network",
            expected=f"{len(own)} tensors of this network",
            found="; ".join(sorted(faults)[:5]) + (f"; {len(faults) - 5} more" if len(faults) > 5 else ""),
            fix="use the recipe that the checkpoint was trained with",
            file=path,
        )
    model.load_state_dict(tensors, strict=strict)


def load_raw(checkpoint: Checkpoint, model: nn.Module) -> None:
    """Load the weights that training goes on from: not those of the moving average, where there is one.

    Raises:
        CheckpointError: names or shapes differ.
    """
    raw = checkpoint.path / RAW
    load_weights(raw if raw.is_file() else checkpoint, model)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def load_optimiser(checkpoint: Checkpoint, optimiser: torch.optim.Optimizer) -> None:
    """Give the optimiser the state it had, bit for bit; rates and decays stay those of ``optimiser``.

    Raises:
        CheckpointError: the state belongs to other parameters.
    """
    content: dict[int, dict[str, Any]] = {}
    for name, tensor in load_file(checkpoint.path / OPTIMISER).items():
        number, _, key = name.partition(".")
        content.setdefault(int(number), {})[key] = tensor
    for number, scalars in checkpoint.state["optimiser"]["scalars"].items():
        content.setdefault(int(number), {}).update(scalars)
    groups = optimiser.state_dict()["param_groups"]
    saved = [len(group["params"]) for group in checkpoint.state["optimiser"]["groups"]]
    if saved != [len(group["params"]) for group in groups]:
        raise CheckpointError(
            "the optimiser state belongs to another network",
            expected=f"{[len(group['params']) for group in groups]} parameters per group",
            found=f"{saved}",
            file=checkpoint.path,
        )
    optimiser.load_state_dict({"state": content, "param_groups": groups})
    lay_out_state(optimiser)


def _optimiser_state(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors as "<parameter>.<name>", and the rest as JSON."""
    content = optimiser.state_dict()
    tensors: dict[str, Any] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for number, values in content["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{number}.{key}"] = value
            else:
                scalars.setdefault(str(number), {})[key] = value
    return _storable(tensors), {"scalars": scalars, "groups": content["param_groups"]}


def _storable(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Contiguous CPU tensors that share no memory (tied weights are stored twice)."""
    stored: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"'{name}' cannot be saved", expected="a tensor", found=type(value).__name__)
        tensor = value.detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        stored[name] = tensor.clone() if place in seen else tensor
        seen.add(place)
    return stored
