"""The data of a recipe: split by group, spoilt only where the recipe asks for it, described without names."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter

import numpy as np
import pytest
import torch

from veritrain.data.held import StoredFrames
from veritrain.data.splits import PARTS
from veritrain.errors import SplitError, VeritrainError
from veritrain.experiments.anomaly import EXPERIMENT
from veritrain.experiments.driving_data import MADE_DATA_FILE, open_driving_data, short_hash
from veritrain.record import RunFolder
from veritrain.tasks.options import AnomalyRecipe
from veritrain.training.loop import fit
from veritrain.training.progress import Silent

LABEL_KEYS = ("frame_label", "view_labels", "pixel_labels")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("decoded"))


@pytest.fixture(scope="module")
def opened(small_world, cache):
    """``opened(labels="permuted")`` opens the small world with such a recipe, each once."""
    made = {}

    def open_with(**options):
        key = json.dumps(options)
        if key not in made:
            made[key] = open_driving_data(AnomalyRecipe(data=str(small_world), cache=cache, **options))
        return made[key]

    return open_with


def labels_of(dataset) -> list[bytes]:
    return [dataset.label_of(index) for index in range(len(dataset))]


def test_no_group_and_no_content_is_on_two_sides(opened):
    data = opened()
    groups = {part: {key.group for key in data.keys[part]} for part in PARTS}
    contents = {part: set(data.card["splits"][part]["contents"]) for part in PARTS}
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not groups[a] & groups[b] and not contents[a] & contents[b]
    assert all(groups.values())
    assert len(set.union(*groups.values())) == 12


@pytest.mark.parametrize("part", PARTS)
def test_a_set_is_the_keys_of_its_part_in_order(opened, part):
    data = opened()
    assert [frame.id for frame in data.sets[part].frames] == [key.id for key in data.keys[part]]
    assert data.sets[part].augment == ("flip" if part == "train" else "none")
    assert data.test_groups == [frame.group for frame in data.sets["test"].frames]


@pytest.mark.parametrize("part", PARTS)
def test_the_card_counts_what_is_there(opened, part):
    data = opened()
    card, frames = data.card["splits"][part], data.sets[part].frames
    assert card["frames"] == len(frames) == len(card["contents"]) == len(set(card["contents"]))
    counted = Counter(frame.frame_label for frame in frames)
    assert (card["positives"], card["negatives"], card["unknown"]) == (counted[1], counted[0], counted[-1])
    assert card["positives"] and card["negatives"], "a split without both classes is refused"
    assert card["groups"] == sorted({short_hash(frame.group) for frame in frames})


def test_the_card_says_where_the_data_come_from_without_naming_them(opened):
    card = opened().card
    assert card["made_data"] is True and "made data" in card["licence"] and card["commercial_use"] is True
    assert sum(card["kinds"].values()) == 48 and card["classes"] == ["normal", "anomalous"]
    text = json.dumps({**card, "dropped": []})
    assert not any(frame.group in text or frame.id in text for part in PARTS for frame in opened().sets[part].frames)


def test_what_is_broken_is_listed(opened):
    dropped = opened().card["dropped"]
    assert dropped and all(problem["file"] and problem["reason"] for problem in dropped)


def test_validating_on_the_training_split_shares_its_groups(opened):
    """The fault of report 004, kept to be caught."""
    data, honest = opened(split="val=train"), opened()
    assert data.card["splits"]["val"]["groups"] == data.card["splits"]["train"]["groups"]
    assert data.card["splits"]["val"]["contents"] == data.card["splits"]["train"]["contents"]
    for part in ("train", "test"):
        assert data.card["splits"][part] == honest.card["splits"][part]


def test_the_training_seed_does_not_move_the_split(opened):
    assert opened(seed=7).card == opened().card


@pytest.mark.parametrize("labels", ["permuted", "redrawn"])
def test_spoilt_labels_never_reach_the_test_split(opened, labels):
    data, honest = opened(labels=labels), opened()
    assert labels_of(data.sets["test"]) == labels_of(honest.sets["test"])
    for part in ("train", "val"):
        assert labels_of(data.sets[part]) != labels_of(honest.sets[part])
    assert data.card == honest.card, "the card describes the data, not what the run makes of them"


def test_permuted_labels_follow_the_training_seed(opened):
    first, same, other = (opened(labels="permuted", seed=seed) for seed in (0, 0, 3))
    assert labels_of(first.sets["train"]) == labels_of(same.sets["train"]) != labels_of(other.sets["train"])


@pytest.mark.parametrize("labels", ["permuted", "redrawn"])
def test_the_input_free_baseline_is_fitted_on_true_labels(opened, labels):
    honest, spoilt = opened().position_maps(), opened(labels=labels).position_maps()
    for name in ("time", "view", "pixel"):
        assert np.array_equal(getattr(honest, name), getattr(spoilt, name)), name


def test_samples_have_the_labels_of_their_frames(opened):
    data = opened()
    for index, frame in enumerate(data.sets["test"].frames):
        sample = data.sets["test"].sample(index, epoch=0, seed=0)
        assert float(sample["frame_label"]) == frame.frame_label
        assert np.array_equal(sample["pixel_labels"], frame.pixel_labels)


def test_data_that_nobody_made_are_not_called_made(small_world, tmp_path, cache):
    copy = tmp_path / "world"
    shutil.copytree(small_world, copy, ignore=shutil.ignore_patterns(MADE_DATA_FILE))
    card = open_driving_data(AnomalyRecipe(data=str(copy), cache=cache)).card
    assert card["made_data"] is False and card["commercial_use"] is None and "own licence" in card["licence"]


def test_the_older_layout_splits_alike_and_says_what_is_assumed(small_world_2023, tmp_path, opened):
    new = opened()
    old = open_driving_data(AnomalyRecipe(data=str(small_world_2023), cache=str(tmp_path / "cache")))
    assert (new.card["layout"], new.card["assumed"], old.card["layout"]) == ("2024", [], "2023")
    assert "field of view of 90 degrees" in old.card["assumed"][0] and old.card["made_data"] is True
    assert old.card["split_sha256"] == new.card["split_sha256"] and old.card["splits"] == new.card["splits"]


def test_one_kind_alone_is_refused(small_world, tmp_path, cache, opened):
    copy = tmp_path / "world"
    shutil.copytree(small_world, copy)
    for part in PARTS:
        for frame in opened().sets[part].frames:
            if frame.kind != "normality":
                scenario = frame.group.rpartition("/")[2]
                for folder in copy.rglob(f"*{scenario}*"):
                    shutil.rmtree(folder, ignore_errors=True)
    with pytest.raises(SplitError, match="no positive"):
        open_driving_data(AnomalyRecipe(data=str(copy), cache=cache))


def test_a_folder_without_data_is_refused(tmp_path):
    with pytest.raises(VeritrainError, match="no readable AnoVox scenario"):
        open_driving_data(AnomalyRecipe(data=str(tmp_path), cache=str(tmp_path / "cache")))


def test_a_short_hash_is_twelve_digits():
    assert short_hash("town/a") == short_hash("town/a") != short_hash("town/b")
    assert len(short_hash("x")) == 12 and int(short_hash("x"), 16) >= 0


def test_memory_is_used_where_it_suffices_and_the_run_says_so(opened):
    ample, tight, asked = opened(), opened(memory_mb=1), opened(hold="disk")
    assert {data.sets["train"].hold for data in (tight, asked)} == {"disk"} and ample.sets["train"].hold == "memory"
    assert "in memory: " in ample.held and "memory_mb is 4,000" in ample.held
    assert "on disk" in tight.held and "memory_mb is 1" in tight.held and "as the recipe says" in asked.held
    assert all(isinstance(tight.sets[part].frames, StoredFrames) for part in PARTS)
    assert tight.card == ample.card


def test_workers_and_what_never_comes_again_are_part_of_the_estimate(opened):
    def megabytes(**options):
        return int(opened(**options).held.split("about ")[1].split(" MB")[0].replace(",", ""))

    assert megabytes(augment="full") < megabytes(augment="none") < megabytes() < megabytes(workers=2)


def test_the_position_maps_are_the_same_from_disk(opened):
    held, read = opened().position_maps(), opened(hold="disk").position_maps()
    for name in ("time", "view", "pixel"):
        assert np.array_equal(getattr(held, name), getattr(read, name)), name


def weights_of(prepared, folder) -> str:
    torch.manual_seed(0)
    model = prepared.task.model()
    fit(
        task=prepared.task,
        model=model,
        train=prepared.data.sets["train"],
        validate=lambda network, epoch: {"none": 0.0},
        select=("none", True),
        options=EXPERIMENT.loop_options(prepared.recipe),
        writer=None,
        folder=RunFolder(folder),
        progress=Silent(),
    )
    return hashlib.sha256(b"".join(value.numpy().tobytes() for value in model.state_dict().values())).hexdigest()


def test_training_ends_with_the_same_weights_wherever_frames_are_held(small_world, cache, tmp_path):
    found = {}
    for hold, workers in (("memory", 0), ("memory", 2), ("disk", 0), ("disk", 2)):
        recipe = AnomalyRecipe(
            data=str(small_world),
            cache=cache,
            hold=hold,
            workers=workers,
            augment="full",
            epochs=1,
            batch_size=6,
            width=8,
            threads=1,
        )
        prepared = EXPERIMENT.prepare(recipe)
        assert prepared.data.sets["train"].hold == hold
        found[hold, workers] = weights_of(prepared, tmp_path / f"{hold}{workers}")
    assert len(set(found.values())) == 1, found


def test_position_maps_leave_the_clouds_of_their_training_set_whole(opened):
    """The maps read the same kept arrays: what they make first must hold what a cloud is made of."""
    data = opened(model="report001-attention", cloud=50)
    data.position_maps()
    train = data.sets["train"]
    assert all(len(train.sample(index, epoch=0, seed=0)["cloud"]) == 50 for index in range(len(train)))
