"""Weight files of YOLOv5: strict, all or nothing, and nothing in them is executed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.options import YoloOptions
from veritrain.models.yolo import Yolo
from veritrain.models.yolo_weights import load_yolo


def network(seed: int = 0, **chosen) -> Yolo:
    torch.manual_seed(seed)
    return Yolo(YoloOptions(**{"size": "n", "classes": 4, **chosen}))


def same(one: Yolo, two: Yolo) -> bool:
    other = two.state_dict()
    return all(torch.equal(value, other[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_a_plain_state_dict_goes_round(tmp_path, suffix):
    source, target = network(1, anchors=(((9, 9),) * 3, ((40, 40),) * 3, ((160, 160),) * 3)), network(2)
    source.model[0].bn.num_batches_tracked.fill_(7)
    path = tmp_path / f"weights.{suffix}"
    (torch.save if suffix == "pt" else save_file)(source.state_dict(), path)
    assert not same(target, source)
    load_yolo(target, path)
    assert same(target, source)
    assert target.detect.anchors[1, 0].tolist() == [2.5, 2.5], "anchors come with the weights"


def test_half_precision_is_widened(tmp_path):
    source, target = network(1).half(), network(2)
    save_file(source.state_dict(), tmp_path / "half.safetensors")
    load_yolo(target, tmp_path / "half.safetensors")
    assert target.model[0].conv.weight.dtype == torch.float32
    assert torch.equal(target.model[0].conv.weight, source.model[0].conv.weight.float())


def test_another_number_of_classes_lists_the_keys_at_fault_and_loads_nothing(tmp_path):
    save_file(network(1, classes=80).state_dict(), tmp_path / "coco.safetensors")
    target = network(2)
    with pytest.raises(CheckpointError) as caught:
        load_yolo(target, tmp_path / "coco.safetensors")
    text = str(caught.value)
    assert "6 of another shape" in text and "model.24.m.0.weight (27x64x1x1 here, 255x64x1x1 there)" in text
    assert "missing" not in text and "unexpected" not in text
    assert same(target, network(2))


def test_a_view_head_a_lost_counter_and_another_size_are_told_apart(tmp_path):
    tensors = network(1, views=3, view_head="p3").state_dict()
    save_file(tensors, tmp_path / "joint.safetensors")
    with pytest.raises(CheckpointError, match=r"7 missing: model\.24\.anchors.*9 unexpected: model\.24\.fc\.bias"):
        load_yolo(network(), tmp_path / "joint.safetensors")
    tensors = network(1).state_dict()
    del tensors["model.0.bn.num_batches_tracked"]
    save_file(tensors, tmp_path / "short.safetensors")
    with pytest.raises(CheckpointError, match=r"1 missing: model\.0\.bn\.num_batches_tracked"):
        load_yolo(network(), tmp_path / "short.safetensors")
    save_file(network(1, size="s").state_dict(), tmp_path / "s.safetensors")
    with pytest.raises(CheckpointError, match="of another shape"):
        load_yolo(network(), tmp_path / "s.safetensors")


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("content", [lambda path: {"model": Bomb(path)}, lambda path: network(1)])
def test_a_pickled_model_is_refused_and_never_run(tmp_path, content):
    trace, path = tmp_path / "executed", tmp_path / "model.pt"
    torch.save(content(trace), path)
    with pytest.raises(CheckpointError, match="state_dict") as caught:
        load_yolo(network(), path)
    assert not trace.exists()
    assert caught.value.found in ("an object of getattr", "an object of veritrain.models.yolo.Yolo")


@pytest.mark.parametrize("content", [{"epoch": 3, "model": {}}, [torch.zeros(2)], {}])
def test_what_is_no_plain_state_dict_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no plain state dict"):
        load_yolo(network(), tmp_path / "other.pt")


def test_no_file_another_ending_and_a_torn_file(tmp_path):
    with pytest.raises(ConfigError, match="nothing is downloaded"):
        load_yolo(network(), tmp_path / "none.pt")
    (tmp_path / "weights.ckpt").write_bytes(b"x")
    with pytest.raises(ConfigError, match=r"weights\.ckpt"):
        load_yolo(network(), tmp_path / "weights.ckpt")
    for name in ("torn.pt", "torn.safetensors"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 torn")
        with pytest.raises(CheckpointError, match="cannot be read"):
            load_yolo(network(), tmp_path / name)
