"""Images with the words that they are asked for: rows in each batch, and the controls."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from captioned import Squares
from veritrain.data.aerial_frames import AerialFrames
from veritrain.data.asked_frames import AskedFrames


@pytest.fixture
def asked():
    source = Squares(4, 2)
    return AskedFrames(AerialFrames(source, source.keys, (64, 64), classes=3), (5, 0, 2))


def batch_of(frames):
    return frames.collate([frames.sample(index, epoch=0, seed=0) for index in range(len(frames))])


def test_every_batch_says_which_rows_and_images_are_as_towers_read_them(asked):
    batch = batch_of(asked)
    assert batch["asked"].tolist() == [5, 0, 2] and batch["asked"].dtype == torch.int64
    assert batch["image"].dtype == torch.float32 and -1 <= float(batch["image"].min()) < -0.5
    packed = asked.pack([asked.sample(0, epoch=0, seed=0)])
    assert packed["image"].dtype == torch.uint8 and asked.unpack(packed)["asked"].tolist() == [5, 0, 2]


def test_other_words_leave_images_and_labels_alone(asked):
    own, other = batch_of(asked), batch_of(asked.with_asked((1, 1, 1)))
    assert other["asked"].tolist() == [1, 1, 1]
    assert torch.equal(own["image"], other["image"]) and torch.equal(own["targets"], other["targets"])


def test_exchanged_images_are_those_of_another_scene(asked):
    own, other = batch_of(asked), batch_of(asked.with_exchanged_images())
    assert torch.equal(own["targets"], other["targets"]) and torch.equal(own["asked"], other["asked"])
    assert not any(torch.equal(one, two) for one, two in zip(own["image"], other["image"], strict=True))


def test_permuted_labels_keep_the_words(asked):
    twin = asked.with_permuted_labels(3)
    assert twin.asked == asked.asked and twin.frames.labels == "permuted"
    assert twin.label_of(0) == twin.label_of(0) and np.frombuffer(asked.label_of(0), np.uint8).size
