"""A training set of frames: the same bits for the same question, and label faults that are what they say."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from tiny_street import VIEWS, batch_of, tiny_frames, tiny_set
from veritrain.data.augment import Plan
from veritrain.data.frames import LABEL_KEYS, RAGGED, ExchangedInput, FrameSet, unit_images
from veritrain.data.held import exchanged_groups
from veritrain.data.sample import UNKNOWN

SENSOR_KEYS = ("image", "view", "seen", "seen_mask", "window", "window_mask", "neighbours", "neighbours_mask")


def same(a, b, keys=None) -> bool:
    return all(np.array_equal(a[key], b[key]) for key in keys or a)


def read(dataset, index: int, epoch: int = 0, seed: int = 0):
    return dataset.sample(index, epoch=epoch, seed=seed)


def flips(dataset, *, epoch: int, seed: int) -> list[bool]:
    plain = tiny_set()
    return [not same(read(dataset, i, epoch, seed), read(plain, i), ["image"]) for i in range(len(dataset))]


@pytest.mark.parametrize("labels", ["given", "permuted"])
def test_the_same_question_gives_the_same_bits(labels):
    first, second = (tiny_set(augment="flip", labels=labels, label_seed=4) for _ in range(2))
    for index in range(len(first)):
        for epoch in range(3):
            read(second, index, epoch, 9)
        assert same(read(first, index, 2, 9), read(second, index, 2, 9))


def test_another_epoch_or_seed_flips_other_samples():
    data = tiny_set(augment="flip")
    patterns = {tuple(flips(data, epoch=epoch, seed=seed)) for epoch in range(3) for seed in range(3)}
    assert len(patterns) == 9
    assert 0.3 < np.mean([flip for pattern in patterns for flip in pattern]) < 0.7


def test_a_flip_takes_the_labels_along():
    data, plain = tiny_set(augment="flip"), tiny_set()
    turned = [i for i, flip in enumerate(flips(data, epoch=1, seed=0)) if flip]
    for index in turned:
        sample, own = read(data, index, 1), read(plain, index)
        for key in ("view_labels", "pixel_labels"):
            assert np.array_equal(sample[key], own[key][:, ::-1])
    assert any((read(plain, index)["pixel_labels"] == 1).any() for index in turned)


def test_without_augmentation_nothing_is_flipped():
    assert not any(flips(tiny_set(), epoch=3, seed=5))


def test_a_sample_says_where_it_stands():
    data = tiny_set()
    assert [int(read(data, index)["index"]) for index in range(len(data))] == list(range(len(data)))


@pytest.mark.parametrize("seed", range(5))
def test_whole_groups_exchange_and_none_keeps_its_own(seed):
    frames = tiny_frames(7, 3)
    donor = exchanged_groups(frames, seed)
    giver = defaultdict(set)
    for index, other in enumerate(donor):
        giver[frames[index].group].add(frames[other].group)
    assert all(len(givers) == 1 and group not in givers for group, givers in giver.items())
    assert sorted(donor) == list(range(len(frames))), "equal lengths: every frame's labels are used once"
    positions = [index % 3 for index in donor]
    assert positions == [index % 3 for index in range(len(frames))], "a sequence keeps its order"


def test_sequences_are_preserved_as_a_multiset():
    given, permuted = tiny_set(), tiny_set(labels="permuted", label_seed=1)

    def sequences(data):
        found = defaultdict(list)
        for index, frame in enumerate(data.frames):
            found[frame.group].append(float(read(data, index)["frame_label"]))
        return {group: tuple(labels) for group, labels in found.items()}

    before, after = sequences(given), sequences(permuted)
    assert Counter(before.values()) == Counter(after.values()) and before != after


def test_types_mix_and_seeds_differ():
    frames = tiny_frames(8, 2)
    exchanges = [exchanged_groups(frames, seed) for seed in range(4)]
    assert len(set(map(tuple, exchanges))) > 1
    crossing = [frames[i].kind != frames[other].kind for one in exchanges for i, other in enumerate(one)]
    assert any(crossing)


def test_a_longer_group_repeats_a_shorter_ones_sequence():
    frames = [*tiny_frames(2, 4)[:4], *tiny_frames(2, 3)[3:5]]
    assert exchanged_groups(frames, 0) == [4, 5, 4, 5, 0, 1]


def test_permuted_labels_come_whole_from_one_frame_and_sensors_stay():
    given, permuted = tiny_set(), tiny_set(labels="permuted", label_seed=2)
    donor = exchanged_groups(given.frames, 2)
    for index in range(len(given)):
        own, spoilt, source = read(given, index), read(permuted, index), read(given, donor[index])
        assert same(own, spoilt, [*SENSOR_KEYS, *(set(RAGGED) - {"point_labels"}), "index"])
        assert spoilt["frame_label"] == source["frame_label"]
        assert same(spoilt, source, ["pixel_labels"])
        there = own["view"][-1] > 0
        assert np.array_equal(spoilt["view_labels"][there], source["view_labels"][there])
        assert (spoilt["view_labels"][~there] == UNKNOWN).all()


@pytest.mark.parametrize("labels", ["permuted", "redrawn"])
def test_a_return_has_the_spoilt_label_of_its_cell(labels):
    given, spoilt = tiny_set(), tiny_set(labels=labels, label_seed=2, augment="flip")
    changed = 0
    for index in range(len(given)):
        for epoch in range(4):
            sample = read(spoilt, index, epoch)
            expected = [sample["view_labels"].reshape(-1)[cell] for cell in sample["point_cells"]]
            assert sample["point_labels"].tolist() == expected and sample["point_labels"].dtype == np.int8
            changed += sample["point_labels"].tolist() != read(given, index)["point_labels"].tolist()
        assert np.array_equal(read(given, index)["point_labels"], given.frames[index].point_labels)
    assert changed


def test_scores_against_spoilt_labels_are_not_those_against_true_ones():
    """Scores that know every true label are perfect on the given set and say little on the permuted one."""
    given, permuted = tiny_set(8, seed=3), tiny_set(8, seed=3, labels="permuted", label_seed=1)
    truth, spoilt = (
        np.concatenate([read(one, i)["point_labels"] for i in range(len(one))]) for one in (given, permuted)
    )
    known = (truth >= 0) & (spoilt >= 0)
    assert (spoilt[known] == 1).any() and (truth[known & (spoilt == 1)] == 1).mean() < 0.5


def test_permuting_leaves_the_first_set_as_it_was():
    given = tiny_set()
    before = [given.label_of(index) for index in range(len(given))]
    twin = given.with_permuted_labels(1000)
    assert [twin.label_of(index) for index in range(len(twin))] != before
    assert [given.label_of(index) for index in range(len(given))] == before
    assert [twin.label_of(i) for i in range(len(twin))] == [
        tiny_set(labels="permuted", label_seed=1000).label_of(i) for i in range(len(twin))
    ]


def test_redrawn_labels_differ_between_reads_and_sensors_do_not():
    data = tiny_set(labels="redrawn")
    reads = [[read(data, index) for index in range(len(data))] for _ in range(3)]
    assert all(same(a, b, SENSOR_KEYS) for a, b in zip(reads[0], reads[1], strict=True))
    labels = [[tuple(sample[key].tobytes() for key in LABEL_KEYS) for sample in one] for one in reads]
    assert labels[0] != labels[1] != labels[2]
    drawn = [float(read(data, 0)["frame_label"]) for _ in range(400)]
    assert 0.04 < np.mean(drawn) < 0.18, "the fault of report 001: rand < 0.1"


def test_redrawing_keeps_what_is_unknown():
    data, given = tiny_set(labels="redrawn"), tiny_set()
    for key in ("view_labels", "pixel_labels"):
        unknown = read(given, 1)[key] == UNKNOWN
        assert unknown.any() and all((read(data, 1)[key][unknown] == UNKNOWN).all() for _ in range(20))


@pytest.mark.parametrize(("labels", "stable"), [("given", True), ("permuted", True), ("redrawn", False)])
def test_a_second_read_finds_the_same_labels(labels, stable):
    data = tiny_set(labels=labels)
    rounds = [[data.label_of(index) for index in range(len(data))] for _ in range(4)]
    assert all(one == rounds[0] for one in rounds) == stable


@pytest.mark.parametrize("key", LABEL_KEYS)
def test_every_kind_of_label_is_compared(key):
    data = tiny_set()
    before = data.label_of(1)
    arrays = data._view(1, Plan())
    changed = np.array(arrays[key], copy=True)
    changed.reshape(-1)[-1] = 1 - changed.reshape(-1)[-1]
    arrays[key] = changed
    assert data.label_of(1) != before


@pytest.mark.parametrize("name", ["image", "points"])
def test_an_exchanged_input_changes_that_input_alone(name):
    data = tiny_set()
    exchanged = ExchangedInput(data, name, seed=3)
    donor = exchanged_groups(data.frames, 3)
    own_keys = [key for key in ExchangedInput.keys_of[name] if key in SENSOR_KEYS]
    assert len(exchanged) == len(data)
    for index in range(len(data)):
        own, mixed, other = read(data, index), read(exchanged, index), read(data, donor[index])
        assert data.frames[donor[index]].group != data.frames[index].group
        assert same(mixed, own, [key for key in own if key not in own_keys])
        assert same(mixed, other, own_keys) and not same(mixed, own, own_keys[:1])


def test_both_inputs_together_are_all_that_a_network_reads():
    keys = [key for keys in ExchangedInput.keys_of.values() for key in keys]
    assert sorted(keys) == sorted([*SENSOR_KEYS, "cloud"])


def test_ragged_keys_become_lists_and_the_rest_is_stacked():
    data = tiny_set()
    batch = batch_of(data, [0, 5, 7])
    assert batch_of(ExchangedInput(data, "image"), [0, 5, 7]).keys() == batch.keys()
    for key, values in batch.items():
        if key in RAGGED:
            assert [len(one) for one in values] == [len(data.frames[i].points) for i in (0, 5, 7)]
        else:
            assert isinstance(values, torch.Tensor) and len(values) == 3
    assert len({len(one) for one in batch["point_cells"]}) > 1, "there is something ragged to test"
    assert batch["index"].tolist() == [0, 5, 7] and batch["frame_label"].dtype == torch.float32


def test_returns_know_their_cells_and_labels():
    data = tiny_set()
    for index in (1, 2, 7):
        sample = read(data, index)
        assert np.array_equal(sample["point_labels"], data.frames[index].point_labels)
        assert (sample["view"][-1].reshape(-1)[sample["point_cells"]] == 1).all()


def test_sets_of_the_same_frames_can_share_their_arrays():
    first = tiny_set()
    read(first, 0)
    second = FrameSet(first.frames, VIEWS, labels="permuted")
    second.share_views_with(first)
    assert read(second, 0)["image"] is read(first, 0)["image"]


# --- clouds: returns as they are, for networks that read no range view ---


def test_without_a_cloud_a_sample_has_none():
    assert not [key for key in read(tiny_set(), 0) if "cloud" in key]


@pytest.mark.parametrize("augment", ["none", "flip"])
def test_a_cloud_is_rows_of_the_frame_with_their_labels(augment):
    data = tiny_set(cloud=100, augment=augment)
    turned = 0
    for index in range(len(data)):
        sample, frame = read(data, index, 1), data.frames[index]
        rows = sample["cloud_index"]
        expected = frame.points[rows].copy()
        if not np.array_equal(sample["image"], read(tiny_set(), index)["image"]):
            turned, expected[:, 1] = turned + 1, -expected[:, 1]
        assert len(set(rows.tolist())) == 100 and np.array_equal(sample["cloud"], expected)
        assert np.array_equal(sample["cloud_labels"], frame.point_labels[rows])
    assert (turned > 0) == (augment == "flip")


def test_a_flip_of_the_cloud_leaves_the_frame_as_it_was():
    data = tiny_set(cloud=100, augment="flip")
    before = [frame.points.copy() for frame in data.frames]
    for epoch in range(3):
        for index in range(len(data)):
            read(data, index, epoch)
    assert all(np.array_equal(frame.points, old) for frame, old in zip(data.frames, before, strict=True))


def test_another_epoch_draws_other_returns_and_the_same_question_the_same():
    data = tiny_set(cloud=100)
    assert np.array_equal(read(data, 3, 2, 5)["cloud_index"], read(tiny_set(cloud=100), 3, 2, 5)["cloud_index"])
    assert not np.array_equal(read(data, 3, 1, 5)["cloud_index"], read(data, 3, 2, 5)["cloud_index"])


def test_permuted_labels_reach_the_cloud_by_the_cell_of_each_return():
    given = tiny_set(cloud=10_000)
    permuted = given.with_permuted_labels(2)
    differing = 0
    for index in range(len(given)):
        own, spoilt = read(given, index), read(permuted, index)
        assert np.array_equal(own["cloud"], spoilt["cloud"])
        cells = spoilt["point_cells"][spoilt["cloud_index"]]
        assert np.array_equal(spoilt["cloud_labels"], spoilt["view_labels"].reshape(-1)[cells])
        differing += not np.array_equal(own["cloud_labels"] == 1, spoilt["cloud_labels"] == 1)
    assert differing > len(given) / 4


def test_redrawn_labels_reach_the_cloud():
    data = tiny_set(cloud=500, labels="redrawn")
    reads = [[read(data, index)["cloud_labels"].tobytes() for index in range(len(data))] for _ in range(6)]
    assert len(set(map(tuple, reads))) > 1
    assert not np.array_equal(data.label_of(0), b"")


def test_exchanged_points_bring_their_cloud_and_leave_its_labels():
    data = tiny_set(cloud=200)
    exchanged, donor = ExchangedInput(data, "points", seed=3), exchanged_groups(data.frames, 3)
    for index in (0, 4, 9):
        own, mixed, other = read(data, index), read(exchanged, index), data.frames[donor[index]]
        assert all(np.isin(mixed["cloud"][:, 0], other.points[:, 0]))
        assert same(mixed, own, ["cloud_labels", "cloud_index", "image"])
        assert np.array_equal(read(ExchangedInput(data, "image", seed=3), index)["cloud"], own["cloud"])


def test_clouds_of_a_batch_are_padded_to_the_longest():
    data = tiny_set(cloud=10_000)
    lengths = [len(frame.points) for frame in data.frames[:3]]
    batch = batch_of(data, range(3))
    assert batch["cloud"].shape == (3, max(lengths), 4) and batch["cloud_mask"].sum(1).tolist() == lengths
    assert len(set(lengths)) > 1
    for row, length in enumerate(lengths):
        assert batch["cloud_mask"][row, :length].all()
        assert (batch["cloud"][row, length:] == 0).all() and (batch["cloud_labels"][row, length:] == UNKNOWN).all()


def test_images_in_a_batch_are_of_about_unit_size_with_the_bits_of_numpy():
    values = np.arange(256, dtype=np.uint8)
    found = unit_images(torch.from_numpy(values))
    assert found.dtype == torch.float32 and found.min() == -1 and found.max() == 1
    assert found.numpy().tobytes() == (values.astype(np.float32) / 127.5 - 1).tobytes()


def test_a_packed_batch_becomes_the_whole_one():
    data = tiny_set(augment="flip")
    samples = [read(data, index, 1) for index in range(5)]
    packed, whole = data.pack(samples), data.collate(samples)
    assert packed["image"].dtype == torch.uint8 and whole["image"].dtype == torch.float32
    unpacked = data.unpack(packed)
    assert torch.equal(unpacked["image"], whole["image"]) and packed["image"].dtype == torch.uint8
    assert unpacked.keys() == whole.keys()
