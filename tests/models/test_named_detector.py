"""Words by row: what a batch asks for is what the detector reads; the checkpoint holds them."""

from __future__ import annotations

import pytest
import torch

from veritrain.errors import DataError
from veritrain.models.detr import Detector
from veritrain.models.named_detector import NamedDetector
from veritrain.models.options import DetectorOptions, SmallClipOptions
from veritrain.models.origin002 import OriginDetector
from veritrain.models.small_clip import SmallImageTower

SHAPE = SmallClipOptions(width=8, embed_dim=16)
OPTIONS = DetectorOptions(width=16, heads=2, encoder_layers=0, tower="low_rate")


@pytest.fixture(scope="module")
def named():
    torch.manual_seed(0)
    return NamedDetector(Detector(SmallImageTower(SHAPE), OPTIONS), torch.randn(5, 16), learned=range(3)).eval()


def batch_of(*asked):
    torch.manual_seed(1)
    return {"image": torch.rand(2, 3, 64, 64) * 2 - 1, "asked": torch.tensor(asked)}


@torch.no_grad()
def test_rows_are_the_texts(named):
    batch = batch_of(3, 0)
    own = named.detector({"image": batch["image"], "texts": named.words[[3, 0]]})
    assert all(torch.equal(value, own[name]) for name, value in named(batch).items())
    assert not torch.equal(named(batch)["texts"], named(batch_of(0, 3))["texts"])


def test_words_are_in_the_state_and_take_no_gradient(named):
    assert "words" in named.state_dict() and "words" not in dict(named.named_parameters())
    assert named.rate_scales() == {"detector.tower.": 0.1} and named.shared_parameters()
    assert all(name.startswith("detector.") for name, _ in named.named_parameters())


def test_report_002_has_one_rate_for_all():
    named = NamedDetector(OriginDetector(SmallImageTower(SHAPE)), torch.randn(5, 16), learned=range(3))
    assert named.rate_scales() == {} and named(batch_of(0, 1))["logits"].shape == (2, 2)


def test_words_of_another_space_are_refused(named):
    with pytest.raises(DataError, match=r"expected: \(W, 16\)"):
        NamedDetector(named.detector, torch.randn(5, 8), learned=range(3))
