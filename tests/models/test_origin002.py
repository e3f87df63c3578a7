"""Report 002's network: one embedding an image, all of it trained, and no box."""

from __future__ import annotations

import math

import pytest
import torch

from models.colour_towers import ColourImages
from veritrain.models.options import SmallClipOptions
from veritrain.models.origin002 import OriginDetector, bare_names, report002_classifier
from veritrain.models.small_clip import SmallImageTower

TEXTS = torch.tensor([[2.0, -2, -2], [-1, -1, 1]])


def test_logits_are_cosines_over_seven_hundredths():
    network = OriginDetector(ColourImages())
    image = torch.tensor([1.0, -1, -1]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    output = network({"image": image, "texts": TEXTS})
    assert output["logits"].shape == (1, 2) and float(output["logits"][0, 0]) == pytest.approx(1 / 0.07, rel=1e-5)
    assert float(output["logits"][0, 1]) == pytest.approx(-1 / 3 / 0.07, rel=1e-4)
    assert output["context"].norm(dim=1).tolist() == pytest.approx([1]) and output["texts"].shape == (2, 3)


def test_it_answers_no_box():
    output = OriginDetector(ColourImages())({"image": torch.zeros(2, 3, 16, 16), "texts": TEXTS})
    assert set(output) == {"texts", "context", "logits"}


def test_all_of_a_tuned_tower_trains_again_its_batch_statistics_too():
    tower = SmallImageTower(SmallClipOptions(width=4, embed_dim=8))
    tower.tune("frozen")
    network = OriginDetector(tower).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network({"image": torch.randn(4, 3, 64, 64), "texts": torch.randn(3, 8)})["logits"].sum().backward()
    assert all(p.requires_grad and p.grad is not None for p in network.shared_parameters())
    moved = [name for name, value in network.state_dict().items() if not torch.equal(value, before[name])]
    assert any("running_mean" in name for name in moved)


def test_any_number_of_classes_goes_in_and_names_are_bare():
    network = report002_classifier()
    for classes in (1, 20, 300):
        output = network({"image": torch.zeros(1, 3, 64, 64), "texts": torch.randn(classes, network.embed_dim)})
        assert output["logits"].shape == (1, classes) and math.isfinite(float(output["logits"].sum()))
    assert bare_names(["groundtrackfield"]).prompts("groundtrackfield") == ("groundtrackfield",)
