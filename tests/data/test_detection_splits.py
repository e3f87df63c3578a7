"""Splits by patient and as published: who is where, what leaks, what is lacking."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dior_folders import TINY, write_dior
from label_folders import BOX, write_set
from veritrain.data.detection_splits import leak_between, split_detections, stratified
from veritrain.data.dior import DiorFormat
from veritrain.data.echo import EchoFormat
from veritrain.data.splits import PARTS, load_split
from veritrain.errors import SplitError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
real = pytest.mark.skipif(not (SHARED / "echo").is_dir(), reason="the real echo frames (../shared/data) are not here")
SHARES = (0.5, 1 / 6, 1 / 3)

groups = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=6),
    st.tuples(
        st.sets(st.tuples(st.sampled_from(["class", "view"]), st.integers(0, 3)), max_size=5), st.integers(1, 300)
    ),
    min_size=3,
    max_size=40,
)


@settings(max_examples=60)
@given(groups)
def test_every_group_is_in_one_part_and_no_part_is_empty(drawn):
    traits, weights = {name: those for name, (those, _) in drawn.items()}, {name: n for name, (_, n) in drawn.items()}
    part_of = stratified(traits, weights, SHARES)
    assert part_of.keys() == traits.keys() and set(part_of.values()) == set(PARTS)
    assert stratified(dict(reversed(traits.items())), weights, SHARES) == part_of, "the order of groups means nothing"


@settings(max_examples=30)
@given(st.integers(3, 90))
def test_a_trait_of_all_groups_is_dealt_out_by_the_shares(count):
    part_of = stratified(
        {f"p{number}": {("class", 0)} for number in range(count)}, dict.fromkeys(map("p{}".format, range(count)), 1)
    )
    counts = [list(part_of.values()).count(part) for part in PARTS]
    assert max(abs(np.array(counts) - count * np.array(SHARES))) <= 1


def test_a_rare_class_reaches_every_part():
    traits = {f"p{number}": {("class", 0)} | ({("class", 1)} if number < 3 else set()) for number in range(30)}
    part_of = stratified(traits, dict.fromkeys(traits, 5))
    assert {part_of[f"p{number}"] for number in range(3)} == set(PARTS)


def test_the_largest_of_equal_groups_goes_to_the_largest_part():
    traits = {f"p{number}": {("class", 0)} for number in range(12)}
    assert stratified(traits, {name: 500 if name == "p7" else 3 for name in traits})["p7"] == "train"


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.0, 0.0, 0.0), (0.5, 0.5), (1.2, -0.1, -0.1)])
def test_impossible_shares_are_refused(shares):
    with pytest.raises(SplitError, match="shares"):
        stratified({name: set() for name in "abcd"}, dict.fromkeys("abcd", 1), shares)


def test_two_patients_are_no_split():
    with pytest.raises(SplitError, match="too few patients"):
        stratified({"a": set(), "b": set()}, {"a": 1, "b": 1}, group_name="patient")


class TestScenes:
    """A set of aerial images has scenes, and its split says so."""

    def test_by_group(self, aerial_world):
        found = split_detections(DiorFormat(aerial_world))
        assert found.told() == "split by group: no scene is in two parts"

    def test_a_leak_names_scenes_and_images(self, tmp_path):
        scenes = {"00001": "bay", "00002": "field", "00011": "hill", "00021": "bay", "00022": "wood"}
        source = DiorFormat(write_dior(tmp_path, TINY, scenes=scenes))
        told = split_detections(source, "published").told()
        assert "new scenes" in told and "train/test: 1 of 2 scenes, 1 of 2 images" in told and "patient" not in told

    def test_too_few(self, tmp_path):
        source = DiorFormat(
            write_dior(
                tmp_path,
                TINY,
                scenes=dict.fromkeys(("00001", "00002", "00011"), "bay") | dict.fromkeys(("00021", "00022"), "field"),
            )
        )
        with pytest.raises(SplitError, match="too few scenes"):
            split_detections(source)


class TestMadeWorld:
    def test_by_group_no_patient_is_in_two_parts(self, echo_world):
        source = EchoFormat(echo_world)
        found = split_detections(source, classes=source.classes, views=source.views)
        assert not found.leaky and "no patient is in two parts" in found.told()
        groups = [set(found.split.groups[part]) for part in PARTS]
        assert sum(map(len, groups)) == 9 == len(set.union(*groups))
        ids = [set(getattr(found.split, part)) for part in PARTS]
        assert set.union(*ids) == {key.id for key in list(source.keys())} and sum(map(len, ids)) == 54
        owner = {key.id: key.group for key in list(source.keys())}
        assert all({owner[name] for name in those} == held for those, held in zip(ids, groups, strict=True))

    def test_it_is_fixed_by_the_data_and_can_be_stored(self, echo_world, tmp_path):
        first, second = (split_detections(EchoFormat(echo_world)) for _ in range(2))
        assert first.split.sha256 == second.split.sha256
        first.split.save(tmp_path / "split.json")
        assert load_split(tmp_path / "split.json") == first.split

    def test_the_published_split_leaks_and_says_so(self, echo_world):
        source = EchoFormat(echo_world)
        found = split_detections(source, "published")
        assert found.leaky and "IT LEAKS" in found.told()
        keys = {key.id: key for key in list(source.keys())}
        for pair, leak in found.leaks.items():
            one, two = ([keys[name] for name in getattr(found.split, part)] for part in pair.split("/"))
            shared = {key.group for key in one} & {key.group for key in two}
            assert leak.groups == len(shared) and leak.frames == sum(key.group in shared for key in two)
            assert leak.of_frames == len(two) and leak.videos <= leak.of_videos

    def test_json_names_nobody(self, echo_world):
        source = EchoFormat(echo_world)
        told = str(split_detections(source, "published").as_json())
        assert not any(key.group in told or key.id in told for key in list(source.keys()))


def test_what_a_part_lacks_is_told_by_name(tmp_path):
    labels = {f"train/p{number}-s.mp4-1": f"0 .5 .5 .2 .{2 + number}\n\n1 0 0" for number in range(6)}
    labels["train/rare-s.mp4-1"] = "2 .5 .5 .2 .2\n\n0 0 1"
    source = EchoFormat(write_set(tmp_path, labels))
    found = split_detections(source, classes=source.classes, views=source.views)
    holder = next(part for part in PARTS if "rare" in found.split.groups[part])
    assert found.lacking[holder] == () and all(found.lacking[part] == ("PR", "A4C") for part in PARTS if part != holder)


def test_counts_of_empty_and_unknown(tmp_path):
    labels = {f"train/p{number}-s.mp4-1": "" if number == 0 else BOX for number in range(4)}
    counts = split_detections(EchoFormat(write_set(tmp_path, labels))).split.counts
    assert sum(one["empty"] for one in counts.values()) == 1 and sum(one["objects"] for one in counts.values()) == 3
    assert sum(one["unknown_views"] for one in counts.values()) == 4


def test_no_published_split_is_refused(tmp_path):
    source = EchoFormat(write_set(tmp_path, {"train/a": BOX, "valid/b": BOX, "valid/c": BOX}))
    with pytest.raises(SplitError, match="publishes no whole split"):
        split_detections(source, "published")
    assert not split_detections(source).leaky


def test_nothing_shared_is_no_leak(tmp_path):
    keys = EchoFormat(write_set(tmp_path, {"train/a-s.mp4-1": BOX, "train/b-s.mp4-1": BOX})).keys()
    leak = leak_between(keys[:1], keys[1:])
    assert (leak.groups, leak.videos, leak.frames, leak.of_frames) == (0, 0, 0, 1)


@real
class TestRealSet:
    def test_the_published_leak(self):
        leaks = split_detections(EchoFormat(SHARED / "echo"), "published").leaks
        pairs = {pair: (leak.groups, leak.of_groups, leak.videos, leak.of_videos) for pair, leak in leaks.items()}
        assert pairs["train/val"] == (33, 34, 77, 80) and pairs["train/test"] == (38, 38, 92, 94)

    def test_by_patient_every_part_has_every_valve_and_view(self):
        source = EchoFormat(SHARED / "echo")
        found = split_detections(source, classes=source.classes, views=source.views)
        assert not found.leaky and found.lacking == {"train": (), "val": (), "test": ()}
        assert [found.split.counts[part]["groups"] for part in PARTS] == [25, 10, 19]
