"""Two towers in one space: they must match, and what they give is what the loss reads."""

from __future__ import annotations

import pytest
import torch

from veritrain.data.caption_tokens import CaptionTokens
from veritrain.errors import ConfigError
from veritrain.models.options import SmallClipOptions
from veritrain.models.small_clip import SmallImageTower, SmallText
from veritrain.models.temperature import Temperature
from veritrain.models.tower_pair import TowerPair

WORDS = CaptionTokens.learn(["a ship in a harbor"])


def pair(image_dim: int = 16, text_dim: int = 16) -> TowerPair:
    image, text = (SmallClipOptions(width=8, text_width=16, embed_dim=one) for one in (image_dim, text_dim))
    return TowerPair(SmallImageTower(image), SmallText(text, WORDS), Temperature())


def test_towers_that_do_not_match_are_refused():
    with pytest.raises(ConfigError, match="does not match") as caught:
        pair(16, 24)
    assert "16 numbers" in str(caught.value.expected) and "24 numbers" in str(caught.value.found)


def test_rows_have_length_1_and_gradients_reach_both_towers_and_the_temperature():
    net = pair()
    found = net({"image": torch.rand(3, 3, 64, 64) * 2 - 1, "tokens": net.text.tokens(["ship", "harbor", "a ship"])})
    for name in ("image", "text"):
        assert torch.allclose(found[name].norm(dim=1), torch.ones(3), atol=1e-6)
    (found["scale"] * (found["image"] * found["text"]).sum()).backward()
    assert all(one.grad is not None for one in (net.image.projection.weight, net.text.word.weight))
    assert net.temperature.log_scale.grad is not None


def test_rates_are_those_of_the_towers():
    net = pair()
    assert net.rate_scales() == {"image.": 1.0, "text.": 1.0}
    net.image.tune("low_rate")
    assert net.rate_scales() == {"image.": 0.1, "text.": 1.0} and net.embed_dim == 16
