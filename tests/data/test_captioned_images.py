"""Captions of images: drawn by (seed, epoch, index), exchanged between groups, all of them where scores are made."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from captioned import squares
from veritrain.data.caption_tokens import END, PAD
from veritrain.data.captioned_images import CaptionedImages, ExchangedInput, turned


def text_of(images: CaptionedImages, sample) -> list[str]:
    """The sentences that a sample's tokens are."""
    known = {row.tobytes(): text for index in range(len(images))
             for row, text in zip(images._tokens[index], images.captions[index], strict=True)}  # fmt: skip
    return [known[row.tobytes()] for row in sample["tokens"]]


def test_one_caption_is_drawn_by_seed_epoch_and_index_alone():
    images = squares()
    drawn = {}
    for epoch in range(60):
        sample = images.sample(3, epoch=epoch, seed=1)
        again = squares().sample(3, epoch=epoch, seed=1)
        assert all(np.array_equal(sample[name], again[name]) for name in sample)
        (drawn[epoch],) = text_of(images, sample)
    counts = Counter(drawn.values())
    assert set(counts) == set(images.captions[3]) and min(counts.values()) > 8, "each of three about as often"
    assert drawn != {epoch: text_of(images, images.sample(3, epoch=epoch, seed=2))[0] for epoch in drawn}
    assert drawn != {epoch: text_of(images, images.sample(0, epoch=epoch, seed=1))[0] for epoch in drawn}


def test_scores_are_made_on_all_captions():
    images = squares(every=True)
    sample = images.sample(1, epoch=5, seed=9)
    assert text_of(images, sample) == list(images.captions[1]) and sample["caption_ids"].shape == (3,)


def test_equal_captions_have_equal_numbers_and_others_have_others():
    images = squares(every=True)
    numbers = {}
    for index, those in enumerate(images.captions):
        for text, number in zip(those, images.sample(index, epoch=0, seed=0)["caption_ids"].tolist(), strict=True):
            assert numbers.setdefault(text, number) == number
    assert len(set(numbers.values())) == len(numbers)


def test_a_batch_says_whose_captions_are_whose():
    images = squares(every=True)
    images.captions[1] = images.captions[1][:1]
    images.cut, images._tokens, images._ids = images._read()
    batch = images.collate([images.sample(index, epoch=0, seed=0) for index in (0, 1, 2)])
    assert batch["caption_counts"].tolist() == [3, 1, 3] and batch["pairs"].tolist() == [0, 3, 4]
    assert batch["image"].shape == (3, 3, 64, 64) and -1 <= batch["image"].min() < 0 < batch["image"].max() <= 1
    assert batch["tokens"].shape[0] == 7 and (batch["tokens"] == END).sum(1).eq(1).all()
    assert (batch["tokens"] != PAD).sum(1).max() == batch["tokens"].shape[1] < images.context_length
    white = images.unpack({"image": torch.tensor([[[[0, 255]]]], dtype=torch.uint8)})["image"]
    assert white.flatten().tolist() == [-1, 1]


def test_a_long_caption_loses_its_end_and_is_counted():
    images = squares(context_length=4)
    assert images.cut == 8, "'a red square' is five tokens with its marks; 'red below' and 'number 3' are four"
    assert images.sample(0, epoch=0, seed=0)["tokens"].shape == (1, 4)
    assert squares().cut == 0


def test_permuted_groups_exchange_their_captions_and_nothing_else():
    images = squares(groups=5, every=True)
    twin = images.with_permuted_labels(3)
    given = {}
    for index, key in enumerate(images.keys):
        own, other = images.sample(index, epoch=0, seed=0), twin.sample(index, epoch=0, seed=0)
        assert np.array_equal(own["image"], other["image"])
        source = next(at for at in range(len(images)) if images.label_of(at) == twin.label_of(index))
        assert images.keys[source].group != key.group and images.keys[source].index == key.index
        given.setdefault(key.group, set()).add(images.keys[source].group)
    assert all(len(those) == 1 for those in given.values()) and len({*map(tuple, given.values())}) == 5
    assert images.with_permuted_labels(4).label_of(0) != twin.label_of(0) or images.with_permuted_labels(5).label_of(
        0
    ) != twin.label_of(0)


def test_redrawn_captions_change_at_every_read():
    images = squares(labels="redrawn")
    assert len({images.label_of(0) for _ in range(40)}) > 1
    assert len({squares().label_of(0) for _ in range(3)}) == 1


@pytest.mark.parametrize("name", ["image", "text"])
def test_one_input_comes_from_another_group(name):
    images = squares(every=True)
    other = ExchangedInput(images, name)
    for index in range(len(images)):
        own, changed = images.sample(index, epoch=0, seed=0), other.sample(index, epoch=0, seed=0)
        assert np.array_equal(own["caption_ids"], changed["caption_ids"]), "what belongs together stays"
        assert np.array_equal(own["image"], changed["image"]) is (name == "text")
        assert np.array_equal(own["tokens"], changed["tokens"]) is (name == "image")
    assert len(other) == len(images) and other.collate([other.sample(0, epoch=0, seed=0)])["tokens"].shape[0] == 3


def test_turns_are_the_eight_ways_in_which_a_square_lies():
    image = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    ways = [turned(image, way) for way in range(8)]
    assert len({one.tobytes() for one in ways}) == 8 and np.array_equal(ways[0], image)
    assert all(sorted(one[0].ravel()) == sorted(image[0].ravel()) for one in ways)
    wide = [turned(image[:, :2], way) for way in range(8)]
    assert all(one.shape == (3, 2, 3) for one in wide) and len({one.tobytes() for one in wide}) == 4


def test_training_images_turn_by_seed_epoch_and_index_and_captions_do_not_depend_on_it():
    plain, turning = squares(), squares(turns=True)
    seen = set()
    for epoch in range(40):
        one, other = plain.sample(2, epoch=epoch, seed=4), turning.sample(2, epoch=epoch, seed=4)
        assert np.array_equal(one["tokens"], other["tokens"])
        assert np.array_equal(other["image"], turning.sample(2, epoch=epoch, seed=4)["image"])
        seen.add(other["image"].tobytes())
    assert len(seen) == 8
