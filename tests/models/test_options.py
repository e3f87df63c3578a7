"""What can be chosen about the networks, and what means nothing together."""

from __future__ import annotations

import pytest

from veritrain.errors import ConfigError
from veritrain.models.options import ClipOptions, FusionOptions, YoloOptions, named_clip, named_yolo


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
        ({"fusion": "late", "frame_join": "smooth_max"}, {"fusion": "concat"}),
        ({"fusion": "points_only", "frame_join": "mean"}, {"fusion": "concat"}),
        ({"fusion": "image_only", "frame_join": "smooth_max"}, {"fusion": "attention"}),
        ({"fusion": "image_only", "image_tower": "resnet50", "blocks": 1}, {"image_tower": "small"}),
        ({"fusion": "image_only", "head": "voxel"}, {"head": "multiscale"}),
        ({"points_tower": "raw", "head": "multiscale"}, {"head": "voxel"}),
    ],
)
def test_choices_that_mean_nothing_together_are_refused(chosen, allowed):
    with pytest.raises(ConfigError, match="means nothing here"):
        FusionOptions(**chosen)
    FusionOptions(**{**chosen, **allowed})


def test_an_encoder_has_a_block_or_more():
    with pytest.raises(ConfigError, match="number of residual blocks"):
        FusionOptions(blocks=0)


def test_freezing_names_towers():
    assert [FusionOptions(freeze=word).freezes("image") for word in ("none", "image", "points", "both")] == [
        False,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("chosen", "allowed"),
    [
        ({"views": 3}, {"view_head": "p5"}),
        ({"view_head": "p3"}, {"views": 3}),
        ({"views": 1, "view_head": "p3"}, {"views": 2}),
        ({"classes": 0}, {"views": 3, "view_head": "p3"}),
        ({"classes": -1, "views": 3, "view_head": "p3"}, {"classes": 0}),
        ({"dual": True}, {"views": 3, "view_head": "pooled"}),
        ({"dual": True, "classes": 0, "views": 3, "view_head": "p3"}, {"classes": 1}),
    ],
)
def test_a_yolo_that_means_nothing_is_refused(chosen, allowed):
    with pytest.raises(ConfigError, match="means nothing here"):
        YoloOptions(**chosen)
    YoloOptions(**{**chosen, **allowed})


@pytest.mark.parametrize(("name", "wrong"), [("size", "xl"), ("view_head", "p4")])
def test_a_wrong_word_for_a_yolo_is_refused(name, wrong):
    with pytest.raises(ConfigError, match=f"no {name} '{wrong}'"):
        YoloOptions(**{name: wrong})


@pytest.mark.parametrize(
    "anchors",
    [(), (((1, 2),),) * 2, (((1, 2),), ((1, 2),), ((1, 2), (3, 4))), (((1, 0),),) * 3, (((1, 2, 3),),) * 3, ((),) * 3],
)
def test_anchors_need_three_levels_of_equally_many_pairs(anchors):
    with pytest.raises(ConfigError, match="no anchors"):
        YoloOptions(anchors=anchors)


def test_named_yolos():
    named = named_yolo()
    assert len(named) == 11 and named["yolov5x-nc80"] == YoloOptions(size="x", classes=80)
    assert named["yolov5s-nc4-view"] == YoloOptions(size="s", classes=4, views=3, view_head="p3")


def test_a_wrong_word_about_a_clip_names_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'ViT-B-32'"):
        ClipOptions(name="ViT-B/32")
    with pytest.raises(ConfigError, match="did you mean 'quick_gelu'"):
        ClipOptions(activation="quickgelu")


def test_the_clips_of_the_catalogue_are_each_network_once_with_openais_activation():
    assert {name: one.name for name, one in named_clip().items()} == {
        "clip-rn50": "RN50", "clip-vit-b-32": "ViT-B-32", "clip-vit-l-14": "ViT-L-14",
    }  # fmt: skip
    assert {one.activation for one in named_clip().values()} == {"quick_gelu"}
