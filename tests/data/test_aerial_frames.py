"""Images from above as a training set: changed samples are whole samples, and the same for the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.data.aerial_frames import AerialFrames
from veritrain.data.detection_cache import open_boxed
from veritrain.data.detection_frames import placement_of
from veritrain.data.dior import DiorFormat
from veritrain.data.open_vocabulary import ClassSplit, VocabularyLabels
from veritrain.data.options import BoxChanges

EVERYTHING = BoxChanges(flip=0.5, turn=0.5, scale=0.4, crop=0.3, colour=0.3, mosaic=0.5)
SHAPE = (128, 128)


@pytest.fixture(scope="module")
def source(aerial_world, tmp_path_factory):
    whole = open_boxed(DiorFormat(aerial_world, workers=1), cache=tmp_path_factory.mktemp("aerial"), workers=1)
    return VocabularyLabels(whole, ClassSplit.of(whole.classes).base)


@pytest.fixture(scope="module")
def keys(source):
    return [key for key in source.source.keys() if key.published == "train"][:24]  # noqa: SIM118 - a data set's


def frames_of(source, keys, **options):
    return AerialFrames(source, keys, SHAPE, classes=16, **options)


def same(one, two):
    return all(np.array_equal(one[key], two[key]) for key in one)


def test_without_changes_a_sample_is_the_letterbox(source, keys):
    sample = frames_of(source, keys).sample(3, epoch=5, seed=1)
    np.testing.assert_array_equal(sample["image"].transpose(1, 2, 0), source.read(keys[3]).image)
    np.testing.assert_allclose(sample["boxes"], source.labels(keys[3]).boxes, atol=1e-6)
    assert sample["view"] == -1


def test_the_same_numbers_give_the_same_bits_from_memory_and_from_disk(source, keys):
    held, read = (frames_of(source, keys, box_changes=EVERYTHING, hold=hold) for hold in ("memory", "disk"))
    for index in range(len(held)):
        one = held.sample(index, epoch=2, seed=3)
        assert same(one, held.sample(index, epoch=2, seed=3)) and same(one, read.sample(index, epoch=2, seed=3))
    assert not same(held.sample(0, epoch=2, seed=3), held.sample(0, epoch=3, seed=3))


def test_changed_samples_make_batches(source, keys):
    frames = frames_of(source, keys, box_changes=EVERYTHING)
    samples = [frames.sample(index, epoch=1, seed=0) for index in range(len(frames))]
    batch = frames.collate(samples)
    images = batch["image"]
    assert images.shape == (24, 3, 128, 128) and float(images.min()) >= -1 and -1 < float(images.mean()) < 0.5
    np.testing.assert_allclose((images[0].numpy() + 1) * 127.5, samples[0]["image"], atol=1e-4)
    assert batch["targets"].shape[1] == 6
    assert batch["targets"][:, 1].max() < 16 and (batch["targets"][:, 2:] <= 1).all()
    corners = batch["targets"][:, 2:4] + batch["targets"][:, 4:] / 2
    assert (batch["targets"][:, 4:] * 128 >= 2 - 1e-4).all() and (corners <= 1 + 1e-6).all()
    assert len({len(sample["boxes"]) for sample in samples}) > 1


def test_boxes_of_a_changed_sample_go_back_to_the_letterbox(source, keys):
    frames = frames_of(source, keys, box_changes=BoxChanges(flip=1.0))
    sample = frames.sample(0, epoch=1, seed=0)
    corners = np.array([[5.0, 6.0, 50.0, 60.0]])
    np.testing.assert_array_equal(placement_of(sample["placed"], SHAPE).back(corners), corners)


def test_permuted_labels_are_changed_alike_and_given_ones_are_not_changed(source, keys):
    frames = frames_of(source, keys, box_changes=BoxChanges(flip=1.0))
    twin, given = frames.with_permuted_labels(7), frames.with_given_labels()
    assert isinstance(twin, AerialFrames) and twin.box_changes == frames.box_changes
    one, two = frames.sample(0, epoch=1, seed=0), twin.sample(0, epoch=1, seed=0)
    assert np.array_equal(one["image"], two["image"])
    assert any(frames.label_of(i) != twin.label_of(i) for i in range(len(frames)))
    assert np.array_equal(given.sample(0, epoch=1, seed=0)["image"][:, :, ::-1], one["image"])
    assert not given.box_changes.any
