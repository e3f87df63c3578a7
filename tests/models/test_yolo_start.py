"""Starting from a weight file: backbone and neck whole or not at all, heads where they fit, and all of it told."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from veritrain.errors import CheckpointError, ConfigError
from veritrain.models.options import YoloOptions
from veritrain.models.yolo_start import DETECTOR, TRUNK, VIEWER, Start, WeightFile
from veritrain.models.yolo_view import yolo_of

JOINT = {"classes": 4, "views": 3, "view_head": "pooled"}
VIEW_P3 = {"classes": 0, "views": 3, "view_head": "p3"}
TRUNK_TENSORS = 57 * 6
"""57 convolutions of YOLOv5n's backbone and neck, each with a kernel and five tensors of its normalisation."""


def network(seed: int = 0, **chosen) -> nn.Module:
    torch.manual_seed(seed)
    return yolo_of(YoloOptions(**{"size": "n", "classes": 4, **chosen}))


def stored(model: nn.Module, path: Path, **renamed) -> Path:
    save_file(model.state_dict(), path)
    return path


def started(target: nn.Module, path: Path) -> tuple[Start, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """What was taken, and the target's tensors before and after."""
    before = {name: value.clone() for name, value in target.state_dict().items()}
    return WeightFile.of(path).start(target), before, target.state_dict()


def same(tensors, others, names) -> bool:
    return all(torch.equal(tensors[name], others[name]) for name in names)


def layers_of(model: nn.Module, first: int, last: int) -> list[str]:
    return [name for name in model.state_dict() if first <= int(name.split("model.")[1].split(".")[0]) <= last]


def test_a_detector_of_other_classes_gives_backbone_and_neck_alone(tmp_path):
    source, target = network(1, classes=80), network(2, **JOINT)
    start, before, after = started(target, stored(source, tmp_path / "coco.safetensors"))
    trunk, heads = layers_of(target, 0, 23), layers_of(target, 24, 25)
    assert same(after, source.state_dict(), trunk) and not same(before, after, trunk)
    assert same(after, before, heads)
    assert start.taken == {TRUNK: TRUNK_TENSORS} == {TRUNK: len(trunk)}
    assert start.from_scratch == {
        DETECTOR: "80 classes with 3 anchors a cell in the file, 4 classes with 3 anchors a cell here",
        VIEWER: "the file has none",
    }
    assert start.left_out == {DETECTOR: "does not fit"} and start.file == "coco.safetensors"


def test_a_detection_head_of_as_many_classes_moves_to_its_number_here(tmp_path):
    source, target = network(1), network(2, **JOINT)
    start, before, after = started(target, stored(source, tmp_path / "detector.safetensors"))
    for level in range(3):
        name = f"m.{level}.weight"
        assert torch.equal(after[f"model.25.{name}"], source.state_dict()[f"model.24.{name}"])
    assert same(after, before, ["model.24.fc.weight", "model.24.fc.bias"])
    assert start.taken == {TRUNK: TRUNK_TENSORS, DETECTOR: 6} and list(start.from_scratch) == [VIEWER]
    assert start.left_out == {}


def test_a_joint_network_goes_round_and_keeps_its_own_anchors(tmp_path):
    anchors = (((9, 9),) * 3, ((40, 40),) * 3, ((160, 160),) * 3)
    source, target = network(1, **JOINT, anchors=anchors), network(2, **JOINT)
    start, before, after = started(target, stored(source, tmp_path / "joint.safetensors"))
    rest = [name for name in after if not name.endswith("anchors")]
    assert same(after, source.state_dict(), rest) and torch.equal(after["model.25.anchors"], before["model.25.anchors"])
    assert start.taken == {TRUNK: TRUNK_TENSORS, DETECTOR: 6, VIEWER: 2} and start.from_scratch == {}
    assert list(start.left_out) == ["anchors"] and "this run" in start.left_out["anchors"]
    equal, _, _ = started(network(3, **JOINT), stored(network(1, **JOINT), tmp_path / "equal.safetensors"))
    assert equal.left_out == {}


def test_heads_of_other_shapes_say_what_differs(tmp_path):
    source = network(1, classes=4, views=5, view_head="p3", anchors=(((9, 9),) * 2,) * 3)
    start, _, _ = started(network(2, **JOINT), stored(source, tmp_path / "other.safetensors"))
    assert start.from_scratch[VIEWER] == "5 views from 64 channels in the file, 3 views from 448 channels here"
    assert start.from_scratch[DETECTOR].startswith("4 classes with 2 anchors a cell in the file")
    assert set(start.left_out) == {DETECTOR, VIEWER} and set(start.taken) == {TRUNK}
    tensors = network(1, **JOINT).state_dict()
    del tensors["model.25.m.1.bias"]
    save_file(tensors, tmp_path / "half.safetensors")
    start, _, _ = started(network(2, **JOINT), tmp_path / "half.safetensors")
    assert start.from_scratch == {DETECTOR: "1 missing: detect.m.1.bias"} and VIEWER in start.taken


def test_a_view_network_takes_the_layers_it_has(tmp_path):
    source, target = network(1, **JOINT), network(2, **VIEW_P3)
    start, _, after = started(target, stored(source, tmp_path / "joint.safetensors"))
    assert same(after, source.state_dict(), layers_of(target, 0, 17))
    assert start.from_scratch == {VIEWER: "3 views from 448 channels in the file, 3 views from 64 channels here"}
    assert start.left_out == {
        "layers 18 to 23": "this run has no such part",
        DETECTOR: "this run has no such part",
        VIEWER: "does not fit",
    }


def test_a_file_without_the_whole_neck_is_refused(tmp_path):
    target = network(2, **JOINT)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"of another network[\s\S]*missing: model\.18\.conv\.weight"):
        started(target, stored(network(1, **VIEW_P3), tmp_path / "view.safetensors"))
    assert same(before, target.state_dict(), before), "nothing is loaded"


def test_two_networks_start_from_one_file_or_from_two(tmp_path):
    one, two = network(1, **JOINT), network(2, **JOINT, dual=True)
    start, _, after = started(two, stored(one, tmp_path / "joint.safetensors"))
    for side in ("detector", "viewer"):
        assert torch.equal(after[f"{side}.model.17.cv3.conv.weight"], one.state_dict()["model.17.cv3.conv.weight"])
    assert torch.equal(after["detector.model.24.m.0.weight"], one.state_dict()["model.25.m.0.weight"])
    assert torch.equal(after["viewer.model.24.fc.weight"], one.state_dict()["model.24.fc.weight"])
    assert start.from_scratch == start.left_out == {} and set(start.taken) == {
        f"detector: {TRUNK}", f"detector: {DETECTOR}", f"viewer: {TRUNK}", f"viewer: {VIEWER}"
    }  # fmt: skip

    source = network(3, **JOINT, dual=True)
    path = stored(source, tmp_path / "dual.safetensors")
    _, _, after = started(network(4, **JOINT, dual=True), path)
    assert same(after, source.state_dict(), after)
    start, _, after = started(network(4, **JOINT), path)
    assert torch.equal(after["model.17.cv3.conv.weight"], source.state_dict()["detector.model.17.cv3.conv.weight"])
    assert start.from_scratch == {VIEWER: "the file's detector has none"}
    assert set(start.left_out) == {"viewer: layers 0 to 23", f"viewer: {VIEWER}"}
    _, _, after = started(network(4, classes=0, views=3, view_head="pooled"), path)
    assert torch.equal(after["model.24.fc.weight"], source.state_dict()["viewer.model.24.fc.weight"])


@pytest.mark.parametrize("outer", ["module.", "model.", "model.model."])
def test_an_outer_name_before_the_layers_is_no_matter(tmp_path, outer):
    source, target = network(1), network(2)
    save_file({outer + name: value for name, value in source.state_dict().items()}, tmp_path / "outer.safetensors")
    start, _, after = started(target, tmp_path / "outer.safetensors")
    assert same(after, source.state_dict(), after) and start.left_out == {}


def test_several_networks_or_none_are_refused(tmp_path):
    tensors = network(1).state_dict()
    save_file({before + name: value.clone() for name, value in tensors.items() for before in ("a.", "b.")},
              tmp_path / "two.safetensors")  # fmt: skip
    with pytest.raises(CheckpointError, match=r"several networks[\s\S]*layers of a\., b\."):
        started(network(), tmp_path / "two.safetensors")
    save_file({"stem.weight": torch.zeros(2)}, tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="no YOLOv5 network"):
        started(network(), tmp_path / "none.safetensors")


def test_another_size_is_refused_by_name(tmp_path):
    target = network(2, **JOINT)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"YOLOv5n[\s\S]*of another shape[\s\S]*--size s") as caught:
        started(target, stored(network(1, size="s"), tmp_path / "s.safetensors"))
    assert caught.value.file == str(tmp_path / "s.safetensors")
    assert same(before, target.state_dict(), before)


def test_counters_may_be_missing_and_other_tensors_are_told(tmp_path):
    tensors = {name: value for name, value in network(1).state_dict().items() if not name.endswith("tracked")}
    save_file({**tensors, "ema.updates": torch.zeros(1)}, tmp_path / "old.safetensors")
    target = network(2)
    target.model[0].bn.num_batches_tracked.fill_(7)
    start, _, after = started(target, tmp_path / "old.safetensors")
    assert same(after, tensors, tensors) and after["model.0.bn.num_batches_tracked"] == 7
    assert start.left_out == {"other tensors": "of no layer: ema.updates"} and start.taken[TRUNK] == 57 * 5


def test_a_deeper_network_of_equal_widths_is_no_superset(tmp_path):
    tensors = network(1).state_dict()
    tensors["model.2.m.1.cv1.conv.weight"] = torch.zeros(16, 16, 1, 1)
    save_file(tensors, tmp_path / "deep.safetensors")
    with pytest.raises(CheckpointError, match=r"1 unexpected: model\.2\.m\.1\.cv1\.conv\.weight[\s\S]*another file"):
        started(network(2), tmp_path / "deep.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_no_weights_are_refused_and_nothing_is_loaded(tmp_path, value):
    tensors = network(1).state_dict()
    tensors["model.9.cv1.conv.weight"][0, 0] = value
    save_file(tensors, tmp_path / "broken.safetensors")
    target = network(2)
    with pytest.raises(CheckpointError, match=r"1 with NaN or infinity: model\.9\.cv1\.conv\.weight"):
        started(target, tmp_path / "broken.safetensors")
    assert same(target.state_dict(), network(2).state_dict(), target.state_dict())
    tensors["model.9.cv1.conv.weight"] = torch.zeros_like(tensors["model.9.cv1.conv.weight"], dtype=torch.int8)
    save_file(tensors, tmp_path / "quantised.safetensors")
    with pytest.raises(CheckpointError, match="1 of whole numbers"):
        started(target, tmp_path / "quantised.safetensors")


def test_half_precision_is_widened(tmp_path):
    source, target = network(1).half(), network(2)
    _, _, after = started(target, stored(source, tmp_path / "half.safetensors"))
    assert after["model.0.conv.weight"].dtype == torch.float32
    assert torch.equal(after["model.0.conv.weight"], source.state_dict()["model.0.conv.weight"].float())


def test_looking_changes_nothing_and_says_the_same(tmp_path):
    source, target = network(1, classes=80), network(2, **JOINT)
    file = WeightFile.of(stored(source, tmp_path / "coco.safetensors"))
    looked = file.matched(target)
    assert same(target.state_dict(), network(2, **JOINT).state_dict(), target.state_dict())
    assert looked.as_json() == file.start(target).as_json()
    text = looked.told()
    for word in ("coco.safetensors", file.sha256[:12], "backbone and neck (342 tensors)", "80 classes", "from scratch",
                 "left out of the file: detection head (does not fit)"):  # fmt: skip
        assert word in text


def test_a_file_that_changed_or_went_is_refused(tmp_path):
    path = stored(network(1), tmp_path / "weights.safetensors")
    file = WeightFile.of(path)
    stored(network(3), path)
    with pytest.raises(CheckpointError, match="changed since"):
        file.start(network(2))
    path.unlink()
    with pytest.raises(ConfigError, match="nothing is downloaded"):
        file.start(network(2))
    with pytest.raises(ConfigError, match="nothing is downloaded"):
        WeightFile.of(path)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_plain_pt_serves_and_a_pickled_model_is_refused_and_never_run(tmp_path):
    source, target = network(1), network(2)
    torch.save(source.state_dict(), tmp_path / "plain.pt")
    _, _, after = started(target, tmp_path / "plain.pt")
    assert same(after, source.state_dict(), after)
    for number, content in enumerate(({"model": Bomb(tmp_path / "executed")}, {"model": source})):
        torch.save(content, tmp_path / f"{number}.pt")
        with pytest.raises(CheckpointError, match=r"not run[\s\S]*convert it once[\s\S]*save_file") as caught:
            started(target, tmp_path / f"{number}.pt")
        assert caught.value.exit_code == 66
    assert not (tmp_path / "executed").exists()
