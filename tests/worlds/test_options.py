from __future__ import annotations

import dataclasses

import pytest

from veritrain.errors import ConfigError
from veritrain.worlds.options import AerialOptions, DrivingOptions, EchoWorldOptions


def test_rays_follow_from_points_per_second_as_in_carla():
    default, official = DrivingOptions(), DrivingOptions(density="official")
    assert (default.channels, default.azimuth_steps) == (64, 180)
    assert (official.channels, official.azimuth_steps) == (64, 1563)


@pytest.mark.parametrize(
    "wrong", [{"scenarios": 0}, {"frames": -1}, {"height": 4}, {"seed": -1}, {"frames": 1.5}, {"frames": True}]
)
def test_values_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        DrivingOptions(**wrong)


@pytest.mark.parametrize(
    ("name", "typo", "meant"),
    [("density", "oficial", "official"), ("variant", "heldout", "held_out"), ("voxels_from", "unions", "union")],
)
def test_a_typo_is_answered_with_the_word_that_was_meant(name, typo, meant):
    with pytest.raises(ConfigError) as caught:
        DrivingOptions(**{name: typo})
    assert meant in str(caught.value)


def test_options_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DrivingOptions().seed = 3  # type: ignore[misc]


class TestEcho:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"patients": 0},
            {"frames": 0},
            {"height": 64},
            {"seed": -1},
            {"videos": 1.5},
            {"confounding": 1.2},
            {"unknown_views": -0.1},
            {"second_jet": True},
            {"empty": "half"},
        ],
    )
    def test_values_out_of_range_are_refused_by_name(self, wrong):
        with pytest.raises(ConfigError, match=next(iter(wrong))) as caught:
            EchoWorldOptions(**wrong)
        assert "echo world" in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "typo", "meant"),
        [("labels", "polygons", "polygon"), ("published", "frame", "frames"), ("variant", "heldout", "held_out")],
    )
    def test_a_typo_is_answered_with_the_word_that_was_meant(self, name, typo, meant):
        with pytest.raises(ConfigError) as caught:
            EchoWorldOptions(**{name: typo})
        assert meant in str(caught.value)


class TestAerial:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"images": 0},
            {"images": 100_000},
            {"height": 801},
            {"width": 95},
            {"seed": -1},
            {"per_scene": 0},
            {"captions": 2.0},
            {"train_share": 1.5},
            {"val_share": -0.1},
        ],
    )
    def test_values_out_of_range_are_refused_by_name(self, wrong):
        with pytest.raises(ConfigError, match=next(iter(wrong))) as caught:
            AerialOptions(**wrong)
        assert "aerial world" in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "typo", "meant"),
        [
            ("split_by", "scene", "scenes"),
            ("balance", "longtail", "long_tail"),
            ("folder_names", "underscore", "underscores"),
            ("variant", "heldout", "held_out"),
        ],
    )
    def test_a_typo_is_answered_with_the_word_that_was_meant(self, name, typo, meant):
        with pytest.raises(ConfigError) as caught:
            AerialOptions(**{name: typo})
        assert meant in str(caught.value)

    def test_parts_are_not_larger_than_the_whole(self):
        with pytest.raises(ConfigError, match="larger than the whole"):
            AerialOptions(train_share=0.8, val_share=0.3)
        assert AerialOptions(train_share=0.8, val_share=0.2).val_share == 0.2

    def test_strips_are_refused(self):
        with pytest.raises(ConfigError, match="too narrow"):
            AerialOptions(height=96, width=200)
        assert AerialOptions(height=100, width=200).width == 200
