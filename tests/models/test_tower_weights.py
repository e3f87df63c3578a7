"""Weight files of an image tower: all or nothing, and nothing in them is executed."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.image import SmallImageEncoder
from veritrain.models.resnet import ResNetEncoder
from veritrain.models.tower_weights import load_tower


def same(tower: torch.nn.Module, tensors: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, tensors[name]) for name, value in tower.state_dict().items() if name in tensors)


def test_torchvisions_file_fits_without_its_classifier(tmp_path):
    given = torchvision.models.resnet18(weights=None).state_dict()
    given = {name: value for name, value in given.items() if not name.endswith("num_batches_tracked")}
    save_file(given, tmp_path / "resnet18.safetensors")
    tower = ResNetEncoder("resnet18")
    assert not same(tower, given)
    load_tower(tower, tmp_path / "resnet18.safetensors")
    assert same(tower, given)


def test_of_our_own_checkpoint_the_image_tower_is_taken(tmp_path):
    source, target = SmallImageEncoder(8), SmallImageEncoder(8)
    tensors = {f"image_encoder.{name}": value for name, value in source.state_dict().items()}
    save_file({**tensors, "point_head.layers.0.weight": torch.zeros(3)}, tmp_path / "model.safetensors")
    load_tower(target, tmp_path / "model.safetensors")
    assert same(target, source.state_dict())


def test_another_architecture_is_refused_with_its_keys_and_nothing_is_loaded(tmp_path):
    tower = SmallImageEncoder(8)
    tensors = {name: value.clone() for name, value in SmallImageEncoder(8).state_dict().items()}
    tensors["stem.0.0.weight"] = torch.zeros(8, 3, 5, 5)
    del tensors["blocks.1.first.weight"]
    tensors["layer9.weight"] = torch.zeros(2)
    save_file(tensors, tmp_path / "other.safetensors")
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_tower(tower, tmp_path / "other.safetensors")
    text = str(caught.value)
    assert "1 missing: blocks.1.first.weight" in text and "1 unexpected: layer9.weight" in text
    assert "stem.0.0.weight (8x3x3x3 here, 8x3x5x5 there)" in text
    assert same(tower, before)


@pytest.mark.parametrize("change", ["missing", "unexpected"])
def test_one_key_too_few_or_too_many_is_enough(tmp_path, change):
    tensors = SmallImageEncoder(8).state_dict()
    if change == "missing":
        del tensors["blocks.1.first_norm.running_mean"]
    else:
        tensors["more"] = torch.zeros(1)
    save_file(tensors, tmp_path / "one.safetensors")
    with pytest.raises(CheckpointError, match=f"1 {change}"):
        load_tower(SmallImageEncoder(8), tmp_path / "one.safetensors")


def test_a_resnet_of_another_depth_is_refused(tmp_path):
    save_file(SmallImageEncoder(8).state_dict(), tmp_path / "small.safetensors")
    with pytest.raises(CheckpointError, match=r"missing: conv1\.weight"):
        load_tower(ResNetEncoder("resnet18"), tmp_path / "small.safetensors")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda weight: weight.to(torch.int8), r"1 of whole numbers: stem\.0\.0\.weight \(torch\.int8\)"),
        (lambda weight: torch.full_like(weight, float("nan")), r"1 with NaN or infinity: stem\.0\.0\.weight"),
        (lambda weight: weight.index_fill(0, torch.tensor([1]), float("inf")), "1 with NaN or infinity"),
    ],
    ids=["quantised", "nan", "infinite"],
)
def test_numbers_that_are_no_weights_are_refused_and_nothing_is_loaded(tmp_path, change, told):
    tower, tensors = SmallImageEncoder(8), SmallImageEncoder(8).state_dict()
    tensors["stem.0.0.weight"] = change(tensors["stem.0.0.weight"])
    save_file(tensors, tmp_path / "odd.safetensors")
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    with pytest.raises(CheckpointError, match=told):
        load_tower(tower, tmp_path / "odd.safetensors")
    assert same(tower, before)


def test_half_precision_weights_are_weights(tmp_path):
    tower, tensors = SmallImageEncoder(8), SmallImageEncoder(8).half().state_dict()
    save_file(tensors, tmp_path / "half.safetensors")
    load_tower(tower, tmp_path / "half.safetensors")
    assert same(tower, {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()})


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["weights.pth", "weights.pt", "weights.safetensors"])
@pytest.mark.parametrize("bare", [True, False])
def test_a_pickle_is_refused_unread_whatever_its_name(tmp_path, name, bare):
    bomb = Bomb(tmp_path / "exploded")
    if bare:
        (tmp_path / name).write_bytes(pickle.dumps(bomb))
    else:
        torch.save({"x": bomb}, tmp_path / name)
    with pytest.raises(ConfigError, match=r"can run what is written[\s\S]*save_file"):
        load_tower(SmallImageEncoder(8), tmp_path / name)
    assert not (tmp_path / "exploded").exists()


def test_no_file_and_a_torn_file_say_so(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        load_tower(SmallImageEncoder(8), tmp_path / "none.safetensors")
    save_file(SmallImageEncoder(8).state_dict(), tmp_path / "torn.safetensors")
    whole = (tmp_path / "torn.safetensors").read_bytes()
    (tmp_path / "torn.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_tower(SmallImageEncoder(8), tmp_path / "torn.safetensors")
