"""What can be chosen about the networks, and what means nothing together."""

from __future__ import annotations

import pytest

from veritrain.errors import ConfigError
from veritrain.models.options import FusionOptions


@pytest.mark.parametrize(
    ("name", "wrong", "right"),
    [
        ("fusion", "atention", "attention"),
        ("image_tower", "resnet_18", "resnet18"),
        ("points_tower", "rawe", "raw"),
        ("freeze", "imagee", "image"),
        ("positional", "sincoss", "sincos"),
        ("alignment", "bilinar", "bilinear"),
        ("head", "voxels", "voxel"),
    ],
)
def test_a_wrong_word_names_the_nearest(name, wrong, right):
    with pytest.raises(ConfigError, match=f"did you mean '{right}'"):
        FusionOptions(**{name: wrong})
    assert getattr(FusionOptions(**{name: right}), name) == right


@pytest.mark.parametrize(
    ("chosen", "allowed"),
    [
        ({"fusion": "points_only", "image_tower": "resnet18"}, {"fusion": "image_only"}),
        ({"fusion": "points_only", "image_weights": "a.safetensors"}, {"fusion": "late"}),
        ({"fusion": "image_only", "points_tower": "raw"}, {"fusion": "points_only"}),
        ({"fusion": "points_only", "freeze": "both"}, {"freeze": "points"}),
        ({"fusion": "image_only", "freeze": "points"}, {"freeze": "image"}),
        ({"fusion": "image_only", "alignment": "bilinear"}, {"fusion": "concat"}),
        ({"fusion": "points_only", "alignment": "network"}, {"fusion": "attention"}),
        ({"fusion": "late", "alignment": "network"}, {"alignment": "bilinear"}),
        ({"fusion": "image_only", "head": "voxel"}, {"head": "multiscale"}),
        ({"points_tower": "raw", "head": "multiscale"}, {"head": "voxel"}),
    ],
)
def test_choices_that_mean_nothing_together_are_refused(chosen, allowed):
    with pytest.raises(ConfigError, match="means nothing here"):
        FusionOptions(**chosen)
    FusionOptions(**{**chosen, **allowed})


def test_freezing_names_towers():
    assert [FusionOptions(freeze=word).freezes("image") for word in ("none", "image", "points", "both")] == [
        False,
        True,
        False,
        True,
    ]
