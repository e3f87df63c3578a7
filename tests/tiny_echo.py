"""A small echo world, and data sets and tasks on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veritrain.tasks.options import JointRecipe
from veritrain.worlds.echo import EchoWorld
from veritrain.worlds.options import EchoWorldOptions

TINY = EchoWorldOptions(patients=12, videos=1, frames=3, height=96, width=128, seed=5)


def tiny_echo(out: Path) -> Path:
    """12 patients, a video of 3 frames each."""
    EchoWorld(TINY).write(out, workers=1)
    return out


def tiny_recipe(data: Path, **changes: Any) -> JointRecipe:
    """One epoch of yolov5n at 64 pixels without controls; its cache lies beside the data."""
    plain = {"epochs": 1, "controls": "none", "threads": 1, "imgsz": 64, "batch_size": 6, "control_steps": 2,
             "validate_every": 1}  # fmt: skip
    return JointRecipe(data=str(data), **{**plain, **changes})
