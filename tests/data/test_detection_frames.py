"""Letterboxed images, their boxes, what changes them, and labels that are spoilt on purpose."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from veritrain.data.detection_cache import open_echo
from veritrain.data.detection_frames import (
    UNMOVED,
    DetectionFrames,
    ExchangedImages,
    Moved,
    draw_move,
    letterbox_shape,
    placement_of,
)
from veritrain.data.letterbox import GREY
from veritrain.data.options import EchoOptions, ImageChanges
from veritrain.errors import ConfigError
from veritrain.models.yolo_decode import corners_of


@pytest.fixture(scope="module")
def source(small_echo, tmp_path_factory):
    return open_echo(small_echo, EchoOptions(longest_side=64), cache=tmp_path_factory.mktemp("frames"), workers=1)


def frames_of(source, **options) -> DetectionFrames:
    return DetectionFrames(source, source.keys(), (64, 64), classes=4, views=3, **options)


def all_labels(frames):
    return [frames.label_of(index) for index in range(len(frames))]


def test_the_letterbox_is_the_smallest_that_holds_all_images():
    assert letterbox_shape([(320, 240)], 160) == (128, 160)
    assert letterbox_shape([(128, 96), (96, 128)], 64) == (64, 64)
    assert letterbox_shape([(640, 200)], 64) == (32, 64)


def test_an_image_lies_in_grey_and_its_boxes_lie_on_it(source):
    frames = frames_of(source)
    sample = frames.sample(0, epoch=1, seed=0)
    assert sample["image"].shape == (3, 64, 64) and sample["image"].dtype == np.uint8
    assert (sample["image"][:, :8] == GREY).all() and (sample["image"][:, 8:56] != GREY).any()
    given = source.labels(frames.keys[0])
    placed = placement_of(sample["placed"], (64, 64))
    shares = torch.from_numpy(sample["boxes"]).double()
    corners = corners_of(shares).numpy() * 64
    back = placed.back(corners)
    wanted = corners_of(torch.from_numpy(given.boxes).double()).numpy() * np.array([128, 96, 128, 96])
    assert np.allclose(back, wanted, atol=1e-3)


def test_a_batch_is_what_the_loss_reads(source):
    frames = frames_of(source)
    batch = frames.collate([frames.sample(index, epoch=1, seed=0) for index in range(3)])
    assert (
        batch["image"].dtype == torch.float32 and 0 <= float(batch["image"].min()) <= float(batch["image"].max()) <= 1
    )
    assert batch["targets"].shape == (3, 6) and batch["targets"][:, 0].tolist() == [0, 1, 2]
    assert batch["view"].shape == (3,) and batch["placed"].shape == (3, 6)
    packed = frames.pack([frames.sample(0, epoch=1, seed=0)])
    assert packed["image"].dtype == torch.uint8
    assert torch.equal(frames.unpack(packed)["image"], packed["image"].float() / 255)


def test_images_without_a_box_make_an_empty_table(source):
    frames = frames_of(source)
    sample = {**frames.sample(0, epoch=1, seed=0), "boxes": np.zeros((0, 4), np.float32), "classes": np.zeros(0, int)}
    assert frames.collate([sample])["targets"].shape == (0, 6)


def test_the_same_bits_from_memory_and_from_disk(source):
    held, read = frames_of(source), frames_of(source, hold="disk")
    for epoch in (1, 2):
        assert np.array_equal(
            held.sample(4, epoch=epoch, seed=0)["image"], read.sample(4, epoch=epoch, seed=0)["image"]
        )
    assert len(held._kept) == 1 and not read._kept


def test_nothing_is_drawn_when_nothing_is_asked():
    assert draw_move(ImageChanges(), seed=0, epoch=1, index=0) is UNMOVED


def test_what_is_drawn_is_a_function_of_seed_epoch_and_index():
    changes = ImageChanges(flip=0.5, shift=0.1, zoom=0.2, light=0.3)
    drawn = {draw_move(changes, seed=s, epoch=e, index=i) for s in range(3) for e in range(3) for i in range(3)}
    assert len(drawn) == 27
    assert draw_move(changes, seed=1, epoch=2, index=0) == draw_move(changes, seed=1, epoch=2, index=0)
    assert all(0.8 <= one.zoom <= 1.2 and abs(one.across) <= 0.1 and 0.7 <= one.light <= 1.3 for one in drawn)
    assert {one.flip for one in drawn} == {True, False}


def test_a_flip_mirrors_image_and_boxes(source):
    plain, flipped = (frames_of(source, changes=ImageChanges(flip=share)) for share in (0.0, 1.0))
    one, two = plain.sample(2, epoch=1, seed=0), flipped.sample(2, epoch=1, seed=0)
    assert np.array_equal(one["image"], two["image"][:, :, ::-1])
    assert np.allclose(one["boxes"][:, 0], 1 - two["boxes"][:, 0], atol=1e-6)
    assert np.allclose(one["boxes"][:, 1:], two["boxes"][:, 1:], atol=1e-6)


def test_a_shift_moves_boxes_with_what_they_are_around(source, monkeypatch):
    frames = frames_of(source, changes=ImageChanges(shift=0.2))
    plain = frames_of(source).sample(0, epoch=1, seed=0)
    monkeypatch.setattr("veritrain.data.detection_frames.draw_move", lambda *_, **__: Moved(across=0.125, down=-0.125))
    moved = frames.sample(0, epoch=1, seed=0)
    assert np.array_equal(moved["image"][:, 0:40, 8:64], plain["image"][:, 8:48, 0:56])
    left, top = plain["boxes"][0, 0] + 0.125, plain["boxes"][0, 1] - 0.125
    inside = plain["boxes"][0, 2:] / 2 + np.array([left, top]) < 1
    if inside.all() and (np.array([left, top]) - plain["boxes"][0, 2:] / 2 > 0).all():
        assert np.allclose(moved["boxes"][0, :2], [left, top], atol=1e-6)


def test_a_box_that_is_moved_out_is_left_out(source, monkeypatch):
    frames = frames_of(source, changes=ImageChanges(shift=0.5))
    monkeypatch.setattr("veritrain.data.detection_frames.draw_move", lambda *_, **__: Moved(across=1.0))
    moved = frames.sample(0, epoch=1, seed=0)
    assert moved["boxes"].shape == (0, 4) and moved["classes"].shape == (0,)
    assert (moved["image"] == GREY).all()


def test_a_zoom_keeps_the_middle_and_light_scales_grey_levels(source, monkeypatch):
    frames = frames_of(source, changes=ImageChanges(zoom=0.5, light=0.5))
    plain = frames_of(source).sample(0, epoch=1, seed=0)
    monkeypatch.setattr("veritrain.data.detection_frames.draw_move", lambda *_, **__: Moved(zoom=0.5))
    small = frames.sample(0, epoch=1, seed=0)
    assert np.allclose(small["boxes"][:, :2] - 0.5, (plain["boxes"][:, :2] - 0.5) / 2, atol=0.02)
    assert np.allclose(small["boxes"][:, 2:], plain["boxes"][:, 2:] / 2, atol=0.02)
    monkeypatch.setattr("veritrain.data.detection_frames.draw_move", lambda *_, **__: Moved(light=0.5))
    dark = frames.sample(0, epoch=1, seed=0)["image"][:, 8:56].astype(float)
    assert np.allclose(dark, plain["image"][:, 8:56] / 2, atol=1)


def test_permuted_patients_keep_no_label_of_their_own(source):
    frames = frames_of(source)
    twin = frames.with_permuted_labels(3)
    own, other = all_labels(frames), all_labels(twin)
    group = [key.group for key in frames.keys]
    donors = [own.index(label) for label in other]
    assert all(group[one] != group[place] for place, one in enumerate(donors))
    assert sorted(own) == sorted(other), "whole sequences move, none is made up"
    assert all_labels(frames.with_permuted_labels(3)) == other != all_labels(frames.with_permuted_labels(4))
    boxes, _, view = twin.labels_at(0)
    assert (boxes.tobytes(), view) == (frames.labels_at(donors[0])[0].tobytes(), frames.labels_at(donors[0])[2])
    assert np.array_equal(twin.sample(0, epoch=1, seed=0)["image"], frames.sample(0, epoch=1, seed=0)["image"])


def test_redrawn_labels_differ_at_every_read(source):
    frames = frames_of(source, labels="redrawn")
    assert all_labels(frames) != all_labels(frames)
    assert all_labels(frames.with_given_labels()) == all_labels(frames_of(source))


def test_an_exchanged_image_is_of_another_patient(source):
    frames = frames_of(source)
    mixed = ExchangedImages(frames)
    assert len(mixed) == len(frames)
    for index in (0, 7, 20):
        own, other = frames.sample(index, epoch=1, seed=0), mixed.sample(index, epoch=1, seed=0)
        assert np.array_equal(own["boxes"], other["boxes"]) and own["view"] == other["view"]
        assert not np.array_equal(own["image"], other["image"])
    assert mixed.collate([mixed.sample(0, epoch=1, seed=0)])["image"].shape == (1, 3, 64, 64)


@pytest.mark.parametrize("wrong", [{"flip": 1.5}, {"shift": -0.1}, {"zoom": 1.0}, {"light": float("nan")}])
def test_changes_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match="out of its range"):
        ImageChanges(**wrong)
