"""Towers of a file, an untrained pair, and a shape alone: what each gives a run to start from."""

from __future__ import annotations

import pytest
import torch

from tiny_openvocab import tiny_towers
from veritrain.errors import CheckpointError
from veritrain.models.tower_start import TowerStart, remembered


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return TowerStart.of(tiny_towers(tmp_path_factory.mktemp("towers") / "model.safetensors"))


def same(first, second):
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(one, other) for one, other in pairs)


def test_each_network_gets_its_own_copy_of_the_file(start):
    one, other = start.image(), start.image()
    assert one is not other and same(one, other) and same(one, start.pair.image)
    with torch.no_grad():
        next(one.parameters()).add_(1)
    assert same(other, start.pair.image)
    assert start.trained and start.sha256 == start.report.sha256 and start.report.file in start.told()


def test_an_untrained_pair_has_the_same_words_in_every_run_and_a_fresh_tower_in_each():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, second = TowerStart.untrained(["a ship"]), TowerStart.untrained(["a ship"])
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(first.pair.text, second.pair.text) and not same(first.image(), second.image())
    assert not first.trained and first.sha256 is None and "mean nothing" in first.told()


def test_a_shape_alone_gives_blank_towers_and_no_start(start):
    again = remembered(start.shape())
    assert again.shape() == start.shape()
    assert [v.shape for v in again.blank().state_dict().values()] == [
        v.shape for v in start.image().state_dict().values()
    ]
    with pytest.raises(CheckpointError, match="not there any more"):
        again.image()
