"""A CLIP of open_clip's form that is built and saved in a moment."""

from __future__ import annotations

import copy
from typing import Any

import open_clip
import torch

from veritrain.models.clip import Clip
from veritrain.models.options import ClipOptions

FULL = open_clip.get_model_config("ViT-B-32")


def tiny_config(*, embed_dim: int = 16, patch: int = 32) -> dict[str, Any]:
    """ViT-B-32 with two narrow layers and a short vocabulary table."""
    shape = copy.deepcopy(FULL)
    shape["embed_dim"] = embed_dim
    shape["vision_cfg"] |= {"layers": 2, "width": 64, "image_size": 64, "patch_size": patch}
    shape["text_cfg"] |= {"layers": 2, "width": 32, "heads": 2}
    return shape


def tiny_net(seed: int = 0, **chosen: Any) -> Any:
    """open_clip's own network of that shape."""
    torch.manual_seed(seed)
    return open_clip.CLIP(**tiny_config(**chosen), quick_gelu=True)


def tiny_clip(monkeypatch, seed: int = 0, **chosen: Any) -> Clip:
    """Ours, under the name of ViT-B-32."""
    monkeypatch.setattr(open_clip, "get_model_config", lambda name: tiny_config(**chosen))
    torch.manual_seed(seed)
    return Clip(ClipOptions(name="ViT-B-32"))
