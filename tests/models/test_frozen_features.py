"""Frozen extractors: seeded, never trained, in evaluation mode; what file they take."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.frozen_features import FrozenImageFeatures, FrozenViewFeatures
from veritrain.models.resnet import ResNetEncoder


def test_equal_seeds_give_equal_features_and_leave_the_random_state_alone():
    state = torch.random.get_rng_state()
    image = torch.linspace(-1, 1, 3 * 64 * 96).reshape(1, 3, 64, 96)
    first, again, other = (FrozenImageFeatures(seed=seed)(image) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first.shape == (1, 384, 28, 42)


def test_nothing_trains():
    for one in (FrozenImageFeatures(seed=0), FrozenViewFeatures(seed=0)):
        assert not any(p.requires_grad for p in one.parameters()) and not any(m.training for m in one.modules())
        assert "random" in one.source


def test_an_image_of_full_size_is_not_enlarged():
    assert FrozenImageFeatures(seed=0)(torch.zeros(1, 3, 240, 256)).shape == (1, 384, 30, 32)


def test_the_range_view_has_features_of_half_its_rows_and_knows_where_returns_are():
    view = torch.rand(2, 6, 16, 72)
    view[:, 5] = 0
    view[0, 5, 4, 7] = view[0, 5, 5, 7] = view[1, 5, 15, 0] = 1
    features, there = FrozenViewFeatures(seed=0)(view)
    assert features.shape == (2, 96, 8, 72)
    assert there.nonzero().tolist() == [[0, 2, 7], [1, 7, 0]]


def test_weights_of_torchvision_are_taken(tmp_path):
    torch.manual_seed(7)
    net = resnet18(weights=None)
    save_file(net.state_dict(), tmp_path / "resnet18.safetensors")
    found = FrozenImageFeatures(seed=0, weights=str(tmp_path / "resnet18.safetensors"))
    assert torch.equal(found.tower.layer3[0].conv1.weight, net.layer3[0].conv1.weight)
    assert found.source == "the weights of resnet18.safetensors"


def test_weights_that_were_trained_on_labels_are_refused(tmp_path):
    tower = ResNetEncoder("resnet18").state_dict()
    save_file({f"image_encoder.{name}": value for name, value in tower.items()}, tmp_path / "model.safetensors")
    with pytest.raises(ConfigError, match="trained on labels"):
        FrozenImageFeatures(seed=0, weights=str(tmp_path / "model.safetensors"))


def test_weights_of_another_network_are_refused(tmp_path):
    save_file({"layer1.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="another architecture"):
        FrozenImageFeatures(seed=0, weights=str(tmp_path / "other.safetensors"))
    with pytest.raises(ConfigError, match="no such file"):
        FrozenImageFeatures(seed=0, weights=str(tmp_path / "nothing.safetensors"))
