from __future__ import annotations

import json
import random

import pytest

from veritrain.data.sample import FrameKey
from veritrain.data.splits import PARTS, demand_disjoint, load_split, of_first_groups, split_groups
from veritrain.errors import SplitError


def frames(groups=72, per_group=12):
    """Keys and labels in the shares of the driving world: four static groups to one of each other type."""
    kinds = ("static", "normality", "static", "sudden_braking", "static", "static")
    keys, labels = [], {}
    for number in range(groups):
        group, kind = f"Town{number % 3}/Scenario_{number:03d}", kinds[number % 6]
        for index in range(per_group):
            key = FrameKey(id=f"{group}/{index}", group=group, kind=kind, index=index)
            keys.append(key)
            labels[key.id] = int(kind != "normality" and index % 2 == 0)
    return keys, labels


def test_72_scenarios_give_36_12_24_groups_stratified_by_type():
    keys, labels = frames()
    split = split_groups(keys, labels)
    assert {part: len(split.groups[part]) for part in PARTS} == {"train": 36, "val": 12, "test": 24}
    kinds = {key.group: key.kind for key in keys}
    for part, of_six in (("train", 6), ("val", 2), ("test", 4)):
        found = [kinds[group] for group in split.groups[part]]
        assert (found.count("static"), found.count("normality"), found.count("sudden_braking")) == (
            4 * of_six,
            of_six,
            of_six,
        )


@pytest.mark.parametrize("groups", [12, 18, 31, 50, 73, 200])
def test_shares_hold_for_any_number_of_groups_and_each_type_is_spread(groups):
    keys, labels = frames(groups, per_group=4)
    split = split_groups(keys, labels)
    sizes = [len(split.groups[part]) for part in PARTS]
    assert sum(sizes) == groups
    assert all(abs(size - share * groups) < 1 for size, share in zip(sizes, (0.5, 1 / 6, 1 / 3), strict=True))
    kinds = {key.group: key.kind for key in keys}
    for kind in set(kinds.values()):
        all_of_kind = list(kinds.values()).count(kind)
        here = sum(kinds[group] == kind for group in split.groups["train"])
        assert abs(here - all_of_kind / 2) <= 1.5


def test_every_frame_is_in_one_part_with_its_whole_group():
    keys, labels = frames(30)
    split = split_groups(keys, labels)
    ids = [one for part in PARTS for one in getattr(split, part)]
    assert sorted(ids) == sorted(key.id for key in keys)
    for part in PARTS:
        assert {one.rsplit("/", 1)[0] for one in getattr(split, part)} == set(split.groups[part])
    demand_disjoint(split)


def test_the_order_of_the_keys_changes_nothing():
    keys, labels = frames(40)
    shuffled = keys[:]
    random.Random(3).shuffle(shuffled)
    assert split_groups(keys, labels).sha256 == split_groups(shuffled, labels).sha256


def test_counts_are_per_class_and_unknown_is_neither():
    keys, labels = frames(24)
    labels[keys[0].id] = -1
    split = split_groups(keys, labels)
    for part in PARTS:
        counts = split.counts[part]
        assert counts["frames"] == counts["positive"] + counts["negative"] + counts["unknown"]
        assert counts["frames"] == len(getattr(split, part))
    assert sum(split.counts[part]["unknown"] for part in PARTS) == 1


@pytest.mark.parametrize("label", [0, 1, -1])
def test_one_class_is_refused(label):
    keys, labels = frames(24)
    with pytest.raises(SplitError, match="has no") as caught:
        split_groups(keys, dict.fromkeys(labels, label))
    assert caught.value.fix


@pytest.mark.parametrize("groups", [1, 2])
def test_too_few_groups_are_refused(groups):
    with pytest.raises(SplitError):
        split_groups(*frames(groups))


def test_missing_labels_no_frames_and_wrong_shares_are_refused():
    keys, labels = frames(12)
    with pytest.raises(SplitError, match="without an entry"):
        split_groups(keys, {})
    with pytest.raises(SplitError, match="no frames"):
        split_groups([], {})
    with pytest.raises(SplitError, match="shares"):
        split_groups(keys, labels, (0.9, 0.2, 0.1))


class TestStored:
    def test_a_split_comes_back_as_it_was(self, tmp_path):
        split = split_groups(*frames(24))
        split.save(tmp_path / "split.json")
        assert load_split(tmp_path / "split.json") == split
        assert [path.name for path in tmp_path.iterdir()] == ["split.json"]

    def test_a_changed_split_is_refused(self, tmp_path):
        split = split_groups(*frames(24))
        split.save(tmp_path / "split.json")
        content = json.loads((tmp_path / "split.json").read_text())
        content["test"].append(content["train"][0])
        (tmp_path / "split.json").write_text(json.dumps(content))
        with pytest.raises(SplitError, match="changed after it was stored"):
            load_split(tmp_path / "split.json")

    def test_a_leak_is_refused_even_with_a_matching_digest(self, tmp_path):
        split = split_groups(*frames(24))
        leaky = type(split)(**{**split.__dict__, "val": split.train[:5]})
        leaky.save(tmp_path / "split.json")
        with pytest.raises(SplitError, match="train and val share"):
            load_split(tmp_path / "split.json")

    @pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 1}', '{"schema": 2}', '{"schema": 1, "train": 3}'])
    def test_what_is_no_split_is_refused(self, tmp_path, content):
        (tmp_path / "split.json").write_text(content)
        with pytest.raises(SplitError, match="cannot be read as a split"):
            load_split(tmp_path / "split.json")

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(SplitError) as caught:
            load_split(tmp_path / "none.json")
        assert caught.value.file == str(tmp_path / "none.json")


def test_fewer_training_groups_are_a_subset_in_proportion():
    keys, _ = frames(72)
    before: set[str] = set()
    for count in (6, 12, 30, 72):
        chosen = of_first_groups(keys, count)
        groups = {key.group: key.kind for key in chosen}
        assert len(groups) == count and before <= set(groups)
        assert abs(list(groups.values()).count("static") - count * 4 / 6) <= 1
        assert chosen == [key for key in keys if key.group in groups]
        assert of_first_groups(keys[::-1], count) == chosen[::-1]
        before = set(groups)


@pytest.mark.parametrize("count", [0, -3, 73])
def test_more_groups_than_there_are_is_an_error(count):
    with pytest.raises(SplitError, match="not that many"):
        of_first_groups(frames(72)[0], count)
