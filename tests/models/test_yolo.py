"""YOLOv5: counts to the parameter, the names of its tensors, where gradients go, what the view sees."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch
from torch import nn

from veritrain.errors import ConfigError, DataError
from veritrain.losses.yolo import terms
from veritrain.models.options import YoloOptions
from veritrain.models.yolo import Bottleneck, Yolo
from veritrain.models.yolo_view import yolo_of

LAYERS_OF_S = [
    3520, 18560, 18816, 73984, 115712, 295424, 625152, 1180672, 1182720, 656896, 131584, 0, 0, 361984, 33024, 0, 0,
    90880, 147712, 0, 296448, 590336, 0, 1182720,
]  # fmt: skip
"""As the original prints them."""
HEADS = ("p3", "p5", "pooled")
OUTPUTS = {"p3", "p4", "p5"}


def small(**chosen) -> Yolo:
    torch.manual_seed(0)
    return Yolo(YoloOptions(**{"size": "n", "classes": 4, **chosen}))


def with_view(head: str) -> Yolo:
    return small(views=3, view_head=head)


def picture(images: int = 2, side: int = 64) -> dict[str, torch.Tensor]:
    return {"image": torch.rand(images, 3, side, side, generator=torch.Generator().manual_seed(1))}


def reached(network: nn.Module, score: torch.Tensor) -> set[str]:
    """Names of the parameters that ``score`` depends on."""
    names, parameters = zip(*network.named_parameters(), strict=True)
    found = torch.autograd.grad(score, parameters, allow_unused=True, retain_graph=True)
    return {name for name, gradient in zip(names, found, strict=True) if gradient is not None and gradient.any()}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class TestShape:
    def test_layer_by_layer_size_s_has_the_originals_counts(self):
        with torch.device("meta"):
            layers = Yolo(YoloOptions(size="s", classes=80)).model
        assert [count(layer) for layer in layers] == [*LAYERS_OF_S, 229_245]

    @pytest.mark.parametrize(("classes", "detect"), [(4, 24_273), (1, 3 * 6 * (128 + 256 + 512) + 3 * 18)])
    def test_the_detection_head_grows_with_the_classes(self, classes, detect):
        with torch.device("meta"):
            assert count(Yolo(YoloOptions(size="s", classes=classes)).detect) == detect

    @pytest.mark.parametrize(("head", "more"), [("p3", 387), ("p5", 512 * 3 + 3), ("pooled", 896 * 3 + 3)])
    def test_a_view_head_is_one_linear_layer(self, head, more):
        with torch.device("meta"):
            plain = Yolo(YoloOptions(size="s", classes=4))
            headed = Yolo(YoloOptions(size="s", classes=4, views=3, view_head=head))
        assert count(headed) - count(plain) == more

    def test_raw_outputs(self):
        found = small(classes=7)(picture(side=96))
        assert {name: tuple(value.shape) for name, value in found.items()} == {
            "p3": (2, 3, 12, 12, 12),
            "p4": (2, 3, 6, 6, 12),
            "p5": (2, 3, 3, 3, 12),
        }
        assert all(value.dtype == torch.float32 and value.is_contiguous() for value in found.values())

    def test_an_image_need_not_be_square_but_must_fit_the_cells(self):
        network = small().eval()
        assert network({"image": torch.rand(1, 3, 32, 96)})["p4"].shape == (1, 3, 2, 6, 9)
        with pytest.raises(DataError, match="100 x 64"):
            network({"image": torch.rand(1, 3, 100, 64)})

    def test_deeper_sizes_repeat_bottlenecks(self):
        with torch.device("meta"):
            repeats = {
                size: [sum(isinstance(part, Bottleneck) for part in layer.modules()) for layer in network.model]
                for size in "nsmlx"
                for network in (Yolo(YoloOptions(size=size, classes=4)),)
            }
        assert (
            [repeats["s"][layer] for layer in (2, 4, 6, 8, 13)]
            == [1, 2, 3, 1, 1]
            == [repeats["n"][layer] for layer in (2, 4, 6, 8, 13)]
        )
        assert [repeats["m"][layer] for layer in (2, 4, 6, 8, 23)] == [2, 4, 6, 2, 2]
        assert [repeats["x"][layer] for layer in (2, 4, 6, 8, 23)] == [4, 8, 12, 4, 4]

    def test_normalisation_is_the_originals(self):
        norms = {(part.eps, part.momentum) for part in small().modules() if isinstance(part, nn.BatchNorm2d)}
        assert norms == {(1e-3, 0.03)}


TABLE = [
    (-1, "conv", 6, 2), (-1, "conv", 3, 2), (-1, "c3", True), (-1, "conv", 3, 2), (-1, "c3", True), (-1, "conv", 3, 2),
    (-1, "c3", True), (-1, "conv", 3, 2), (-1, "c3", True), (-1, "sppf"), (-1, "conv", 1, 1), (-1, "up"), (6, "cat"),
    (-1, "c3", False), (-1, "conv", 1, 1), (-1, "up"), (4, "cat"), (-1, "c3", False), (-1, "conv", 3, 2), (14, "cat"),
    (-1, "c3", False), (-1, "conv", 3, 2), (10, "cat"), (-1, "c3", False),
]  # fmt: skip
"""Of each layer: where it reads, what it is, and kernel and stride or whether bottlenecks have a shortcut."""


def by_table(tensors: dict[str, torch.Tensor], image: torch.Tensor) -> list[torch.Tensor]:
    """P3 to P5 raw, in evaluation mode, from the tensors and the table alone."""

    def conv(x: torch.Tensor, name: str, kernel: int = 1, stride: int = 1) -> torch.Tensor:
        x = nn.functional.conv2d(
            x, tensors[f"{name}.conv.weight"], stride=stride, padding=2 if kernel == 6 else kernel // 2
        )
        mean, variance, scale, shift = (
            tensors[f"{name}.bn.{part}"].view(-1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        x = (x - mean) / (variance + 1e-3).sqrt() * scale + shift
        return x * x.sigmoid()

    def c3(x: torch.Tensor, name: str, shortcut: bool) -> torch.Tensor:
        through, number = conv(x, f"{name}.cv1"), 0
        while f"{name}.m.{number}.cv1.conv.weight" in tensors:
            out = conv(conv(through, f"{name}.m.{number}.cv1"), f"{name}.m.{number}.cv2", 3)
            through, number = through + out if shortcut else out, number + 1
        return conv(torch.cat((through, conv(x, f"{name}.cv2")), 1), f"{name}.cv3")

    def sppf(x: torch.Tensor, name: str) -> torch.Tensor:
        x = conv(x, f"{name}.cv1")
        wide = [nn.functional.max_pool2d(x, side, 1, side // 2) for side in (5, 9, 13)]
        return conv(torch.cat((x, *wide), 1), f"{name}.cv2")

    kept: list[torch.Tensor] = []
    for number, (source, kind, *how) in enumerate(TABLE):
        x, name = kept[-1] if kept else image, f"model.{number}"
        if kind == "cat":
            x = torch.cat((x, kept[source]), 1)
        elif kind == "up":
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        else:
            x = {"conv": conv, "c3": c3, "sppf": sppf}[kind](x, name, *how)
        kept.append(x)
    raw = []
    for level, layer in enumerate((17, 20, 23)):
        weight, bias = (tensors[f"model.24.m.{level}.{part}"] for part in ("weight", "bias"))
        out = nn.functional.conv2d(kept[layer], weight, bias)
        raw.append(out.unflatten(1, (3, -1)).movedim(2, -1))
    return raw


@pytest.mark.parametrize("size", ["n", "m"])
def test_the_forward_pass_is_that_of_the_layer_table(size):
    network = small(size=size).double().eval()
    generator = torch.Generator().manual_seed(2)
    for name, value in network.state_dict().items():
        if ".bn." in name and value.is_floating_point():
            value.add_(0.3 * torch.rand(value.shape, generator=generator, dtype=value.dtype))
    image = torch.rand(2, 3, 64, 96, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        found = network({"image": image})
        for one, two in zip(found.values(), by_table(network.state_dict(), image), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


class TestNames:
    def test_they_are_the_originals(self):
        names = set(small(classes=80).state_dict())
        assert {
            "model.0.conv.weight",
            "model.0.bn.running_mean",
            "model.0.bn.num_batches_tracked",
            "model.2.cv1.conv.weight",
            "model.2.m.0.cv2.bn.bias",
            "model.9.cv1.conv.weight",
            "model.9.cv2.bn.running_var",
            "model.23.cv3.conv.weight",
            "model.24.m.0.weight",
            "model.24.m.2.bias",
            "model.24.anchors",
        } <= names
        kinds = Counter(name.split(".", 2)[2] for name in names if name.startswith("model.24."))
        assert sum(kinds.values()) == 7, "three weights, three biases and the anchors; no strides"
        assert not any(".conv.bias" in name for name in names)

    def test_a_view_head_moves_the_detection_head(self):
        names = set(with_view("p3").state_dict())
        assert {name for name in names if name.startswith("model.24.")} == {"model.24.fc.weight", "model.24.fc.bias"}
        assert "model.25.m.0.weight" in names and "model.25.anchors" in names

    def test_anchors_are_stored_in_cells(self):
        anchors = small().detect.anchors
        assert anchors.shape == (3, 3, 2)
        assert anchors[0, 0].tolist() == [10 / 8, 13 / 8] and anchors[2, 2].tolist() == [373 / 32, 326 / 32]
        other = small(anchors=(((8, 16), (8, 8)), ((32, 16), (16, 16)), ((64, 32), (32, 32))))
        assert other.detect.anchors[:, 0].tolist() == [[1.0, 2.0], [2.0, 1.0], [2.0, 1.0]]
        assert other(picture())["p3"].shape == (2, 2, 8, 8, 9), "two anchors a cell"


class TestBeginning:
    def test_biases_expect_few_objects(self):
        """Averaged over the default random part, which is within 1 / sqrt(channels)."""
        detect = small(classes=80).detect
        for layer, stride in zip(detect.m, (8, 16, 32), strict=True):
            bias = layer.bias.detach().view(3, 85)
            reach = 1 / math.sqrt(layer.in_channels)
            expected = math.log(8 / (640 / stride) ** 2)
            assert ((bias[:, 4] - expected).abs() <= reach + 1e-6).all()
            assert ((bias[:, 5:] - math.log(0.6 / 79.00001)).abs() <= reach + 1e-6).all()
            assert (bias[:, :4].abs() <= reach).all()

    def test_the_views_head_begins_without_an_opinion(self):
        head = with_view("p5").model[24]
        assert not head.fc.bias.any()
        limit = math.sqrt(6 / (256 + 3))
        assert 0.9 * limit < float(head.fc.weight.detach().abs().max()) <= limit, "Xavier"
        assert head.drop.p == 0.2


class TestGradients:
    @pytest.mark.parametrize("head", ["none", *HEADS])
    def test_they_reach_every_parameter(self, head):
        network = small() if head == "none" else with_view(head)
        output = network(picture())
        targets = torch.tensor([[0, 1, 0.4, 0.6, 0.2, 0.3], [1, 3, 0.5, 0.5, 0.9, 0.9], [1, 0, 0.2, 0.2, 0.3, 0.6]])
        total = sum(values.sum() for values in terms(output, targets, network.detect.anchors).values())
        if head != "none":
            total = total + nn.functional.cross_entropy(output["view"], torch.tensor([0, 2]))
        assert reached(network, total) == {name for name, _ in network.named_parameters()}

    @pytest.mark.parametrize("head", HEADS)
    def test_trunk_parameters_are_those_that_both_depend_on(self, head):
        network = with_view(head)
        output = network(picture())
        detection = set().union(*(reached(network, output[name].sum()) for name in OUTPUTS))
        both = detection & reached(network, output["view"].square().sum())
        named = {id(parameter): name for name, parameter in network.named_parameters()}
        assert {named[id(parameter)] for parameter in network.trunk_parameters()} == both

    @pytest.mark.parametrize(
        ("head", "layers"), [("p3", ["17"]), ("p5", ["17", "20", "23"]), ("pooled", ["17", "20", "23"])]
    )
    def test_shared_parameters_feel_both_and_nothing_after_them_does(self, head, layers):
        network = with_view(head)
        output = network(picture())
        named = {id(parameter): name for name, parameter in network.named_parameters()}
        shared = {named[id(parameter)] for parameter in network.shared_parameters()}
        assert shared == {f"model.{layer}.cv3.conv.weight" for layer in layers}
        view = reached(network, output["view"].square().sum())
        assert shared <= view
        for name in OUTPUTS:
            assert shared & reached(network, output[name].sum()), f"all of detection passes: {name}"
        last = max(int(name.split(".")[1]) for name in network.state_dict() if name in view and "fc" not in name)
        assert str(last) == layers[-1], "the view depends on no layer of the trunk after the last of them"

    def test_without_a_view_nothing_is_shared(self):
        assert small().shared_parameters() == [] == small().trunk_parameters()


class TestView:
    @pytest.mark.parametrize(
        ("head", "felt", "not_felt"), [("p3", 17, 18), ("p3", 13, 23), ("p5", 18, 25), ("pooled", 23, 25)]
    )
    def test_the_view_sees_its_levels_and_no_others(self, head, felt, not_felt):
        network, batch = with_view(head).eval(), picture()
        with torch.no_grad():
            before = network(batch)["view"]
            for layer, changes in ((not_felt, False), (felt, True)):
                for parameter in network.model[layer].parameters():
                    parameter.add_(torch.rand_like(parameter))
                assert torch.equal(network(batch)["view"], before) is not changes
        assert before.shape == (2, 3)

    def test_dropout_is_for_training_alone(self):
        network, batch = with_view("pooled"), picture()
        assert not torch.equal(network(batch)["view"], network(batch)["view"])
        network.eval()
        assert torch.equal(network(batch)["view"], network(batch)["view"])

    def test_detection_is_the_same_with_and_without_the_head(self):
        joint, alone = with_view("p3").eval(), small().eval()
        moved = {name.replace("model.25.", "model.24."): value for name, value in joint.state_dict().items()
                 if ".fc." not in name}  # fmt: skip
        alone.load_state_dict(moved)
        for name in OUTPUTS:
            assert torch.equal(joint(picture())[name], alone(picture())[name])


def test_the_network_reads_the_image_alone():
    assert small().inputs == ("image",)
    with pytest.raises(ConfigError, match="yolo_of"):
        Yolo(YoloOptions(classes=4, views=3, view_head="p3", dual=True))
    assert isinstance(yolo_of(YoloOptions(size="n")), Yolo)
