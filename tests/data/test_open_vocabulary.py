"""Base and novel classes: what a protocol leaves, what is asked for, what cannot be asked."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dior_folders import coco_of, write_dior
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.detection_splits import leak_between, split_detections
from veritrain.data.dior import DiorFormat
from veritrain.data.dior_names import DIOR_CLASSES
from veritrain.data.open_vocabulary import (
    NOVEL_DIOR,
    ClassSplit,
    OpenVocabularySplit,
    VocabularyLabels,
    open_vocabulary_split,
)
from veritrain.data.splits import PARTS
from veritrain.errors import ConfigError, SplitError

A, B = (1, 1, 10, 10), (5, 5, 20, 20)
HAND = {
    "train": {
        "00001": [("ship", A), ("windmill", B)],
        "00002": [("ship", A), ("harbor", B)],
        "00003": [("windmill", A)],
    },
    "val": {"00011": [("ship", A)], "00012": [("windmill", A), ("harbor", B)]},
    "test": {"00021": [("windmill", A), ("ship", B)], "00022": [("harbor", A)], "00023": []},
}


def parts_of(source):
    keys = source.keys()
    return {part: [key for key in keys if key.published == part] for part in PARTS}


def split_of(root, protocol="images-removed", novel=("windmill",)) -> OpenVocabularySplit:
    source = DiorFormat(root, workers=1)
    return open_vocabulary_split(source, parts_of(source), ClassSplit.of(source.classes, novel), protocol)


@pytest.fixture
def hand(tmp_path):
    return write_dior(tmp_path, HAND)


def ids(split, part):
    return [key.id for key in split.keys[part]]


class TestClasses:
    def test_of_dior_sixteen_are_learned(self):
        classes = ClassSplit.of(DIOR_CLASSES)
        assert classes.novel == NOVEL_DIOR and len(classes.base) == 16

    @given(st.sets(st.sampled_from(DIOR_CLASSES), min_size=1, max_size=19))
    def test_base_classes_keep_their_numbers_in_every_vocabulary(self, novel):
        classes = ClassSplit.of(DIOR_CLASSES, sorted(novel))
        base, asked = classes.vocabulary("base"), classes.vocabulary("all")
        assert asked[: len(base)] == base and asked[len(base) :] == classes.vocabulary("novel")
        assert sorted(asked) == sorted(DIOR_CLASSES) and not set(base) & novel

    @pytest.mark.parametrize(
        ("novel", "told"),
        [
            (("winmill",), "did you mean 'windmill'|windmill"),
            ((), "an empty vocabulary: no class is novel"),
            (DIOR_CLASSES, "an empty vocabulary: no class is left to learn"),
            (("dam", "dam"), "stands there twice"),
        ],
    )
    def test_what_cannot_be_divided_is_refused(self, novel, told):
        with pytest.raises(ConfigError, match=told):
            ClassSplit.of(DIOR_CLASSES, novel)

    def test_an_unknown_vocabulary(self):
        with pytest.raises(ConfigError, match="no vocabulary 'nvel'"):
            ClassSplit.of(DIOR_CLASSES).vocabulary("nvel")


class TestLabels:
    def test_objects_of_a_vocabulary_are_numbered_by_their_place_in_it(self, hand):
        source = DiorFormat(hand, workers=1)
        key = next(key for key in source.keys() if key.id == "00001")  # noqa: SIM118 - a format is no mapping
        both = VocabularyLabels(source, ("windmill", "ship")).labels(key)
        one = VocabularyLabels(source, ("harbor", "ship")).labels(key)
        assert both.classes.tolist() == [1, 0] and one.classes.tolist() == [1]
        np.testing.assert_array_equal(one.boxes, source.labels(key).boxes[:1])
        assert len(one.lines) == 1 and one.objects == 2
        sample = VocabularyLabels(source, ("harbor", "ship")).read(key)
        assert sample.classes.tolist() == [1] and sample.boxes.shape == (1, 4)

    def test_crowds_are_not_asked_for(self, tmp_path):
        names = {1: "ship", 2: "windmill"}
        document = coco_of({1: ("a.jpg", (40, 30))}, [(1, 1, (0, 0, 9, 9)), (1, 2, (5, 5, 9, 9))], names, crowd=[2])
        (tmp_path / "instances_train.json").write_text(json.dumps(document))
        source = CocoBoxes(tmp_path)
        found = VocabularyLabels(source, ("windmill", "ship")).labels(source.keys()[0])
        assert found.classes.tolist() == [1] and found.crowd.tolist() == [False]

    @pytest.mark.parametrize("names", [(), ("ship", "boat")])
    def test_a_vocabulary_beside_the_data_set_is_refused(self, hand, names):
        with pytest.raises(ConfigError, match="cannot be told in"):
            VocabularyLabels(DiorFormat(hand, workers=1), names)


class TestProtocols:
    def test_images_removed_leaves_no_image_with_a_novel_object(self, hand):
        found = split_of(hand)
        assert ids(found, "train") == ["00002"] and ids(found, "val") == ["00011"]
        assert ids(found, "test") == ["00021", "00022", "00023"]
        assert found.before["train"].images == 3 and found.after["train"].images == 1
        assert found.before["train"].classes["ship"] == {"objects": 2, "images": 2}
        assert found.after["train"].classes["ship"] == {"objects": 1, "images": 1}
        assert "no novel object is seen" in found.told()

    def test_boxes_removed_says_what_is_still_to_be_seen(self, hand):
        found = split_of(hand, "boxes-removed")
        assert ids(found, "train") == ["00001", "00002", "00003"]
        train = found.after["train"]
        assert train.objects == 3 and train.empty == 1 and train.hidden["windmill"] == {"objects": 2, "images": 2}
        assert train.classes["windmill"]["objects"] == 0
        assert "LEAKS" in found.told() and "2 novel objects without box" in found.told()

    def test_what_is_asked_on_which_images(self, hand):
        asked = split_of(hand).asked
        assert {name: [key.id for key in keys] for name, keys in asked.items()} == {
            "novel": ["00021"],
            "all": ["00021", "00022", "00023"],
            "base": ["00021", "00022", "00023"],
        }

    def test_the_record_names_no_image(self, hand):
        told = json.dumps(split_of(hand).as_json())
        assert '"protocol": "images-removed"' in told and '"windmill"' in told and "0000" not in told
        assert split_of(hand).as_json()["asked"]["novel"] == {"classes": ["windmill"], "images": 1}

    def test_a_class_without_object_is_lacking(self, hand):
        lacking = split_of(hand).lacking
        assert "ship" not in lacking["train"] and "windmill" not in lacking["train"] and "dam" in lacking["train"]
        assert "harbor" in lacking["val"] and "windmill" not in lacking["test"]

    @pytest.mark.parametrize("protocol", ["boxes-removed", "images-removed"])
    def test_on_the_made_world(self, aerial_world, protocol):
        source = DiorFormat(aerial_world, workers=1)
        split = split_detections(source, "published", classes=source.classes).split
        by_id = {key.id: key for key in source.keys()}  # noqa: SIM118 - a format is no mapping
        parts = {part: [by_id[name] for name in getattr(split, part)] for part in PARTS}
        found = open_vocabulary_split(source, parts, ClassSplit.of(source.classes), protocol)
        for first, second in combinations(PARTS, 2):
            assert leak_between(found.keys[first], found.keys[second]).groups == 0
        novel = {source.classes.index(name) for name in NOVEL_DIOR}
        seen = [key for key in found.keys["train"] if novel & set(source.labels(key).classes.tolist())]
        assert bool(seen) == (protocol == "boxes-removed")
        assert {key.id for key in found.keys["train"]} <= {key.id for key in parts["train"]}
        base = VocabularyLabels(source, found.classes.base)
        assert sum(len(base.labels(key).classes) for key in found.keys["train"]) == found.after["train"].objects
        whole = sum(len(source.labels(key).classes) for key in parts["test"])
        assert found.after["test"].objects == whole == found.before["test"].objects


class TestRefusals:
    def test_nothing_left_to_train_on(self, tmp_path):
        hand = {**HAND, "train": {"00001": [("ship", A), ("windmill", B)]}}
        with pytest.raises(SplitError, match="nothing is left to train on") as caught:
            split_of(write_dior(tmp_path, hand))
        assert "images-removed leaves 0 of 1 images" in str(caught.value)
        assert split_of(tmp_path, "boxes-removed").after["train"].objects == 1

    def test_nothing_left_to_select_by(self, tmp_path):
        with pytest.raises(SplitError, match="nothing is left to select by"):
            split_of(write_dior(tmp_path, {**HAND, "val": {"00011": [("windmill", A)]}}), "boxes-removed")

    def test_a_novel_class_that_test_does_not_have(self, hand):
        with pytest.raises(SplitError, match="no object in the test split") as caught:
            split_of(hand, novel=("dam", "windmill"))
        assert caught.value.found == "none of dam"

    def test_an_unknown_protocol(self, hand):
        with pytest.raises(ConfigError, match="no protocol"):
            split_of(hand, "image-removed")


def test_a_split_without_its_hidden_objects_is_no_leak(hand):
    found = split_of(hand, "boxes-removed")
    clean = {part: replace(one, hidden={}) for part, one in found.after.items()}
    assert "no novel object is seen" in replace(found, after=clean).told()
