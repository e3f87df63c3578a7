"""Towers of a file: which they are, the file tells."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from models.tiny_clip import tiny_clip, tiny_net
from veritrain.errors import CheckpointError
from veritrain.models import clip_weights
from veritrain.models.clip import Clip
from veritrain.models.small_clip import SmallClip, small_clip
from veritrain.models.towers import load_towers


def test_a_small_clip_is_known_by_its_card(tmp_path):
    source = small_clip()
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    found, report = load_towers(tmp_path / "model.safetensors")
    assert isinstance(found, SmallClip) and report.taken == report.tensors == len(source.state_dict())
    assert "small CLIP" in report.told()


def test_a_clip_is_known_by_its_first_weights_and_keeps_its_activation(tmp_path, monkeypatch):
    tiny_clip(monkeypatch)
    monkeypatch.setitem(clip_weights.LOOKS, (64, 3, 32, 32), "ViT-B-32")
    torch.save(tiny_net(3).state_dict(), tmp_path / "tiny.pt")
    found, report = load_towers(tmp_path / "tiny.pt", activation="gelu")
    assert isinstance(found, Clip) and found.options.activation == "gelu" and not report.missing
    assert found.image.strides == (32,)


def test_anything_else_is_refused(tmp_path):
    save_file({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "resnet.safetensors")
    with pytest.raises(CheckpointError, match="no towers that are known"):
        load_towers(tmp_path / "resnet.safetensors")
