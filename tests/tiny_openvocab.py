"""A small aerial world and a small recipe of open-vocabulary detection, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from veritrain.data.caption_tokens import CaptionTokens
from veritrain.models.language import AERIAL_WORDS, Vocabulary
from veritrain.models.options import SmallClipOptions
from veritrain.models.small_clip import SmallClip
from veritrain.tasks.openvocab_options import OpenVocabRecipe
from veritrain.worlds.aerial import AerialWorld
from veritrain.worlds.options import AerialOptions

TINY = AerialOptions(images=24, per_scene=1, height=96, width=96, seed=5, train_share=0.5, val_share=0.2)
NOVEL = ("groundtrackfield", "storagetank")


def tiny_aerial(out: Path) -> Path:
    """24 scenes, an image of 96 x 96 each."""
    AerialWorld(TINY).write(out)
    return out


def tiny_recipe(data: Path, **changes: Any) -> OpenVocabRecipe:
    """One epoch at 64 pixels without controls; its cache lies beside the data."""
    plain = {"epochs": 1, "controls": "none", "threads": 1, "imgsz": 64, "batch_size": 6, "control_steps": 2,
             "validate_every": 1, "novel": list(NOVEL)}  # fmt: skip
    small = {} if changes.get("network") == "origin002" else {"width": 16, "heads": 2, "encoder_layers": 0}
    return OpenVocabRecipe(data=str(data), **{**plain, **small, **changes})


def tiny_towers(path: Path) -> Path:
    """A file of a small CLIP with random numbers that knows the words of the prompts."""
    torch.manual_seed(3)
    said = Vocabulary(names=tuple(AERIAL_WORDS), words=AERIAL_WORDS)
    prompts = [prompt for name in said.names for prompt in said.prompts(name)]
    shape = SmallClipOptions(width=8, embed_dim=32, text_width=32, text_layers=1, heads=2)
    save_file(SmallClip(shape, CaptionTokens.learn(prompts)).state_dict(), path)
    return path
