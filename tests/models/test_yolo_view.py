"""The controls of joint training: the view alone, and two networks that share nothing."""

from __future__ import annotations

import pytest
import torch

from veritrain.errors import ConfigError
from veritrain.models.options import YoloOptions
from veritrain.models.yolo import Yolo
from veritrain.models.yolo_view import DualYolo, YoloView, yolo_of

HEADS = ("p3", "p5", "pooled")


def view_only(head: str) -> YoloView:
    torch.manual_seed(0)
    network = yolo_of(YoloOptions(size="n", classes=0, views=3, view_head=head))
    assert isinstance(network, YoloView)
    return network


def dual(head: str) -> DualYolo:
    torch.manual_seed(0)
    network = yolo_of(YoloOptions(size="n", classes=4, views=3, view_head=head, dual=True))
    assert isinstance(network, DualYolo)
    return network


def picture() -> dict[str, torch.Tensor]:
    return {"image": torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))}


@pytest.mark.parametrize("head", HEADS)
def test_the_view_alone_is_the_joint_networks_view_without_the_rest(head):
    """Same weights, same logits; and not a parameter that the view does not depend on."""
    joint = yolo_of(YoloOptions(size="n", classes=4, views=3, view_head=head)).eval()
    alone = view_only(head)
    number = len(alone.model) - 1
    tensors = {name.replace("model.24.fc", f"model.{number}.fc"): v for name, v in joint.state_dict().items()}
    alone.load_state_dict({name: tensors[name] for name in alone.state_dict()})
    alone.eval()
    assert torch.equal(alone(picture())["view"], joint(picture())["view"])
    assert set(alone(picture())) == {"view"}
    alone.train()
    gradients = torch.autograd.grad(alone(picture())["view"].square().sum(), list(alone.parameters()))
    assert all(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("head", HEADS)
def test_two_networks_share_no_parameter_and_answer_as_the_joint_one(head):
    network = dual(head)
    output = network(picture())
    assert list(output) == ["p3", "p4", "p5", "view"] and output["view"].shape == (2, 3)
    detector, viewer = (list(part.parameters()) for part in (network.detector, network.viewer))
    assert len(detector) + len(viewer) == len(list(network.parameters()))
    assert not {id(p) for p in detector} & {id(p) for p in viewer}
    of_view = torch.autograd.grad(output["view"].sum(), detector, allow_unused=True, retain_graph=True)
    of_boxes = torch.autograd.grad(sum(output[n].sum() for n in ("p3", "p4", "p5")), viewer, allow_unused=True)
    assert {*of_view, *of_boxes} == {None}
    assert network.shared_parameters() == [] == network.trunk_parameters()
    assert network.detect is network.detector.detect


def test_the_two_networks_are_the_two_single_ones():
    network = dual("p5")
    assert isinstance(network.detector, Yolo) and isinstance(network.viewer, YoloView)
    count = sum(p.numel() for p in network.parameters())
    single = [Yolo(YoloOptions(size="n", classes=4)), view_only("p5")]
    assert count == sum(p.numel() for part in single for p in part.parameters())
    assert {name.split(".")[0] for name in network.state_dict()} == {"detector", "viewer"}


def test_the_wrong_class_for_a_shape_is_refused():
    with pytest.raises(ConfigError, match="yolo_of"):
        YoloView(YoloOptions(classes=4, views=3, view_head="p3"))
    with pytest.raises(ConfigError, match="yolo_of"):
        DualYolo(YoloOptions(classes=4, views=3, view_head="p3"))
