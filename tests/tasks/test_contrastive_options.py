"""The recipe of contrastive pre-training: what fits no network is refused."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from veritrain.errors import ConfigError
from veritrain.models.options import SmallClipOptions
from veritrain.tasks.contrastive_options import ContrastiveRecipe


def test_the_default_shape_is_that_of_the_small_clip():
    assert ContrastiveRecipe(data="x").shape_of_network() == SmallClipOptions()


def test_every_option_of_the_network_is_passed_on():
    changed = {"width": 16, "embed_dim": 48, "pooling": "mean", "text_width": 24, "text_layers": 3, "heads": 8,
               "context_length": 20}  # fmt: skip
    assert asdict(ContrastiveRecipe(data="x", **changed).shape_of_network()) == {
        **asdict(SmallClipOptions()),
        **changed,
    }


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"imgsz": 16}, "imgsz does not fit"),
        ({"batch_size": 1}, "nothing to be told apart"),
        ({"heads": 3}, "heads 3 does not divide"),
        ({"context_length": 2}, "context_length is too small"),
    ],
)
def test_what_does_not_fit_is_refused(changes, told):
    with pytest.raises(ConfigError, match=told):
        ContrastiveRecipe(data="x", **changes)
