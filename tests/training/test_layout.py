"""Channels last: other places in memory, the same numbers."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch import nn

from training.toy import ToySet, ToyTask, fit_toy, weights_hash
from veritrain.record import RunFolder
from veritrain.training import checkpoint as checkpoints
from veritrain.training.layout import channels_last, lay_out, lay_out_state


class Watching(nn.Module):
    """Two convolutions; notes how its images and weights lie in memory while it trains."""

    inputs = ("image",)

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 2, 3)
        self.seen = set()

    def forward(self, batch):
        image = batch["image"]
        if self.training:
            tensors = (image, self.second.weight)
            self.seen.add(tuple(t.is_contiguous(memory_format=torch.channels_last) for t in tensors))
        hidden = self.first(image.expand(-1, 3, -1, -1))
        return {"logit": self.second(hidden.relu()).mean((1, 2, 3))}


class Colours(ToySet):
    """Three equal channels; a single one lies in memory the same way in both layouts."""

    def collate(self, samples):
        batch = super().collate(samples)
        return {**batch, "image": batch["image"].repeat(1, 3, 1, 1)}


class ConvTask(ToyTask):
    def model(self):
        return Watching()


def test_the_loop_trains_in_this_layout_and_gives_the_weights_back_as_they_came(tmp_path):
    chosen = {"task": ConvTask(), "data": Colours(), "epochs": 2}
    plain = fit_toy(RunFolder(tmp_path / "a"), **chosen)
    other = fit_toy(RunFolder(tmp_path / "b"), channels_last=True, **chosen)
    assert plain.model.seen == {(False, False)} and other.model.seen == {(True, True)}
    assert other.model.second.weight.is_contiguous()
    for one, two in zip(plain.model.parameters(), other.model.parameters(), strict=True):
        assert torch.allclose(one, two, atol=1e-5)
    saved = checkpoints.newest(RunFolder(tmp_path / "b")).weights()
    assert all(torch.equal(saved[name], value) for name, value in other.model.state_dict().items())


@pytest.mark.parametrize("chosen", [{}, {"ema_decay": 0.9}])
def test_from_every_checkpoint_the_end_is_bitwise_the_same(tmp_path, chosen):
    chosen = {"epochs": 2, "checkpoint_every_steps": 5, "keep_checkpoints": 99, "channels_last": True, **chosen}
    whole = RunFolder(tmp_path / "whole")
    expected = weights_hash(fit_toy(whole, task=ConvTask(), data=Colours(), **chosen).model)
    for path in checkpoints.steps(whole):
        part = RunFolder(tmp_path / f"from-{path.name}")
        part.checkpoints.mkdir(parents=True)
        shutil.copytree(path, part.checkpoints / path.name)
        again = fit_toy(part, task=ConvTask(), data=Colours(), resume=True, **chosen)
        assert weights_hash(again.model) == expected


def test_only_images_are_laid_out_and_no_value_changes():
    batch = {"image": torch.randn(2, 3, 4, 5), "labels": torch.zeros(2, 3, 4, 5, dtype=torch.int8),
             "points": torch.randn(2, 3, 4), "id": ["a", "b"]}  # fmt: skip
    found = channels_last(batch)
    assert found["image"].stride() == (60, 1, 15, 3) and torch.equal(found["image"], batch["image"])
    assert all(found[key] is batch[key] for key in ("labels", "points", "id"))


def test_networks_with_three_dimensional_convolutions_keep_them_as_they_are():
    model = nn.ModuleDict({"flat": nn.Conv2d(2, 3, 3), "deep": nn.Conv3d(2, 3, 3)})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    lay_out(model, torch.channels_last)
    assert model["flat"].weight.stride() == (18, 1, 6, 2) and model["deep"].weight.is_contiguous()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_optimiser_state_lies_as_its_parameter_does():
    parameter = nn.Parameter(torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last))
    optimiser = torch.optim.Adam([parameter])
    mean = torch.randn(2, 3, 4, 5)
    optimiser.state[parameter] = {"exp_avg": mean, "step": torch.tensor(3.0)}
    lay_out_state(optimiser)
    state = optimiser.state[parameter]
    assert state["exp_avg"].stride() == parameter.stride() and torch.equal(state["exp_avg"], mean)
    assert state["step"] == 3.0
