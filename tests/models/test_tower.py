"""What of a tower moves, and its digest."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from veritrain.models.tower import Tower, digest_of


class Toy(Tower):
    def __init__(self, about: str = "toy") -> None:
        super().__init__()
        self.about, self.embed_dim = about, 2
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Dropout(0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def modes(tower: Tower) -> list[bool]:
    return [module.training for module in tower.layers]


def test_untuned_it_trains_like_any_network():
    tower = Toy()
    assert modes(tower) == [True] * 3 and modes(tower.eval()) == [False] * 3
    assert tower.rate_scale == 1.0 and all(one.requires_grad for one in tower.parameters())


@pytest.mark.parametrize(
    ("how", "trains", "mode", "rate"),
    [
        ("frozen", False, [False] * 3, 1.0),
        ("low_rate", True, [True, False, True], 0.1),
        ("trainable", True, [True, False, True], 1.0),
    ],
)
def test_tuned_it_keeps_its_statistics_also_as_part_of_another_network(how, trains, mode, rate):
    tower = Toy()
    tower.tune(how)
    whole = nn.Sequential(tower, nn.Linear(2, 1))
    for _ in range(2):
        whole.train()
        assert modes(tower) == mode and whole[1].training
        assert modes(tower.eval()) == [False] * 3
    assert all(one.requires_grad is trains for one in tower.parameters()) and tower.rate_scale == rate


def test_a_choice_can_be_changed():
    tower = Toy()
    tower.tune("frozen")
    tower.tune("trainable")
    assert all(one.requires_grad for one in tower.parameters()) and modes(tower.train()) == [True, False, True]


def test_a_digest_changes_with_any_bit_and_with_nothing_else():
    first = digest_of(Toy())
    assert digest_of(Toy()) == first == digest_of(Toy().eval()) and len(first) == 64
    assert digest_of(Toy("another activation")) != first
    for name in ("layers.0.weight", "layers.1.running_mean", "layers.1.num_batches_tracked"):
        tower = Toy()
        tensor = tower.state_dict()[name]
        tensor.view(-1)[0] += 1
        assert digest_of(tower) != first, name
    assert digest_of(Toy().double()) != first
