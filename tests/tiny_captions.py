"""A small recipe of contrastive pre-training, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from veritrain.tasks.contrastive_options import ContrastiveRecipe


def tiny_recipe(data: Path, **changes: Any) -> ContrastiveRecipe:
    """One epoch at 32 pixels without controls; its cache lies beside the data."""
    loop = {"epochs": 1, "controls": "none", "threads": 1, "batch_size": 12, "control_steps": 2, "validate_every": 1}
    network = {"imgsz": 32, "width": 8, "embed_dim": 16, "text_width": 16, "text_layers": 1, "heads": 2}
    return ContrastiveRecipe(data=str(data), **{**loop, **network, **changes})
