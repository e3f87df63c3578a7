"""Aerial images of a run: parts, vocabularies, what data.json says, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from dior_folders import coco_of, write_dior, write_pictures
from veritrain.data.dior_names import DIOR_CLASSES
from veritrain.data.open_vocabulary import NOVEL_DIOR
from veritrain.data.options import AerialDataOptions, BoxChanges
from veritrain.errors import ConfigError, LayoutError, SplitError, UsageError
from veritrain.experiments.aerial_data import TrivialBoxes, open_aerial_data, read_boxed
from veritrain.metrics.boxes import every_iou
from veritrain.tasks.box_predictions import truths_of_batch
from veritrain.tasks.box_tables import BoxTables

CHANGES = BoxChanges(flip=0.5, turn=0.5, scale=0.2)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return str(tmp_path_factory.mktemp("decoded"))


@pytest.fixture(scope="module")
def options(aerial_world, cache):
    return AerialDataOptions(data=str(aerial_world), cache=cache, novel=NOVEL_DIOR, imgsz=128, changes=CHANGES)


@pytest.fixture(scope="module")
def data(options):
    return open_aerial_data(options)


def truths(frames):
    return truths_of_batch(frames.collate([frames.sample(index, epoch=0, seed=0) for index in range(len(frames))]))


class TestSets:
    def test_training_sees_base_classes_alone_and_no_image_of_a_novel_one(self, data, options):
        boxed = read_boxed(options)
        novel = {DIOR_CLASSES.index(name) for name in NOVEL_DIOR}
        for part in ("train", "val"):
            frames = data.frames_of(part)
            assert frames.classes == 16 and data.names_of(part) == data.classes.base
            assert not any(novel & set(boxed.labels(key).classes.tolist()) for key in data.keys[part])
            assert {int(n) for i in range(len(frames)) for n in frames.labels_at(i)[1]} <= set(range(16))

    def test_every_vocabulary_names_the_same_objects(self, data):
        found = {name: truths(data.asked[name]) for name in ("novel", "all", "base")}
        names = {asked: [data.names_of(asked)[n] for n in one["truth_classes"]] for asked, one in found.items()}
        assert set(names["novel"]) == set(NOVEL_DIOR) and not set(names["base"]) & set(NOVEL_DIOR)
        assert sorted(names["novel"] + names["base"]) == sorted(names["all"])
        assert (found["novel"]["truth_counts"] > 0).all(), "each image of zero-shot detection has a novel object"
        assert len(data.asked["all"]) == len(data.asked["base"]) == len(data.frames_of("test"))

    def test_the_same_images_are_kept_once(self, data):
        one, two = data.asked["all"].sample(0, epoch=0, seed=0), data.asked["base"].sample(0, epoch=0, seed=0)
        assert one["image"] is two["image"] and len(two["boxes"]) <= len(one["boxes"])
        with pytest.raises(UsageError, match="same images"):
            data.asked["novel"].share_images_with(data.asked["all"])

    def test_only_training_images_are_changed(self, data):
        assert data.frames_of("train").box_changes == CHANGES
        assert not any(data.frames_of(place).box_changes.any for place in ("val", "novel", "all", "base"))

    def test_boxes_removed_keeps_the_images(self, options, data):
        other = open_aerial_data(replace(options, protocol="boxes-removed"))
        assert len(other.sets["train"]) > len(data.sets["train"])
        assert other.sets["train"].classes == 16
        hidden = other.card["open_vocabulary"]["after"]["train"]["hidden"]
        assert sum(one["objects"] for one in hidden.values()) > 0 and "LEAKS" in other.card["open_vocabulary_told"]

    def test_spoilt_on_purpose(self, options):
        same = open_aerial_data(replace(options, split="val=train", labels="permuted"))
        assert same.keys["val"] == same.keys["train"]
        assert same.sets["train"].labels == "permuted" and same.sets["test"].labels == "given"

    def test_by_scene(self, options):
        found = open_aerial_data(replace(options, split="given"))
        assert found.split.told() == "split by group: no scene is in two parts"
        groups = [{key.group for key in found.keys[part]} for part in ("train", "val", "test")]
        assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]


class TestCard:
    def test_it_says_what_the_audit_asks(self, data):
        card = data.card
        assert card["made_data"] and not card["medical"] and card["format"] == "dior"
        assert card["classes"] == list(data.names_of("all")) and card["image_size"] == [128, 128]
        for part in ("train", "val", "test"):
            content = card["splits"][part]
            assert content["frames"] == len(content["contents"]) == len(data.keys[part])
            assert list(content["labelled"]["boxes"]) == list(data.names_of(part))
            assert content["positives"] + content["negatives"] == content["frames"]
        assert all(card["splits"]["test"]["labelled"]["boxes"].values())
        before, after = (card["open_vocabulary"][when]["train"] for when in ("before", "after"))
        assert before["images"] > after["images"] == card["splits"]["train"]["frames"]
        assert after["objects"] == sum(card["splits"]["train"]["labelled"]["boxes"].values())

    def test_augmentation_is_stated_whole(self, data):
        told = data.card["augmentation"]
        assert told["flip"] == 0.5 and told["mosaic"] == 0.0 and told["least_visible"] == 0.25
        assert told["least_side_pixels"] == 2.0 and told["least_crop_side"] == 0.5

    def test_no_name_of_a_file_or_a_scene(self, data):
        text = json.dumps(data.card)
        assert not any(key.group in text or f'"{key.id}"' in text for part in data.keys.values() for key in part)

    def test_equal_data_give_equal_digests_and_other_labels_others(self, options, data):
        again = open_aerial_data(options)
        assert again.card == data.card
        other = open_aerial_data(replace(options, novel=NOVEL_DIOR[:2]))
        assert other.card["splits"]["test"]["labels_sha256"] != data.card["splits"]["test"]["labels_sha256"]
        assert other.card["split_sha256"] == data.card["split_sha256"]


class TestRefusals:
    def test_missing_images_are_named(self, aerial_world, options, tmp_path):
        root = tmp_path / "world"
        shutil.copytree(aerial_world, root)
        for name in ("00003", "00011"):
            (root / "JPEGImages-trainval" / f"{name}.jpg").unlink()
        asked = replace(options, data=str(root), cache=str(tmp_path / "cache"))
        with pytest.raises(LayoutError, match="images are missing") as caught:
            open_aerial_data(asked)
        assert "2 of 120 are not there" in caught.value.found
        assert "00003" in caught.value.found and "00011" in caught.value.found
        left = open_aerial_data(replace(asked, on_broken="skip"))
        assert "00003" not in {key.id for part in left.keys.values() for key in part}

    @pytest.mark.parametrize(
        ("chosen", "kind", "told"),
        [
            ({"novel": ("airprt",)}, ConfigError, "does not have"),
            ({"novel": ()}, ConfigError, "empty vocabulary"),
            ({"novel": DIOR_CLASSES[:-1]}, SplitError, "nothing is left to"),
        ],
    )
    def test_vocabularies(self, options, chosen, kind, told):
        with pytest.raises(kind, match=told):
            open_aerial_data(replace(options, **chosen))

    def test_a_folder_of_something_else(self, options, tmp_path):
        with pytest.raises(LayoutError, match="no images with boxes from above"):
            open_aerial_data(replace(options, data=str(tmp_path)))

    def test_sizes_that_no_network_takes(self):
        with pytest.raises(ConfigError, match="imgsz"):
            AerialDataOptions(data="x", novel=NOVEL_DIOR, imgsz=100)


class TestTrivialBoxes:
    @pytest.mark.parametrize("place", ["val", "novel", "all", "base"])
    def test_the_same_boxes_in_every_image(self, data, place):
        frames, names = data.frames_of(place), data.names_of(place)
        like = truths(frames)
        found = TrivialBoxes(data).predict(place, like, threshold=0.1)["constant boxes"]
        counts = found["box_counts"]
        assert len(counts) == len(frames) and len(set(counts.tolist())) == 1 and counts[0] >= len(names)
        assert set(found["box_classes"].tolist()) <= set(range(len(names)))
        first = found["boxes"][: counts[0]]
        np.testing.assert_allclose(np.tile(first, (len(frames), 1)), found["boxes"])
        assert np.array_equal(found["truth_boxes"], like["truth_boxes"]) and found["box_threshold"].tolist() == [0.1]
        tables = BoxTables.of(found, [key.group for key in frames.keys], names)
        assert 0 <= tables.value("map_50") < 0.6

    def test_novel_classes_have_the_boxes_of_base_ones(self, data):
        """No novel label is used: all novel classes have the same boxes, which reach base objects of training."""
        found = TrivialBoxes(data).predict("novel", truths(data.asked["novel"]))["constant boxes"]
        per_class = [found["boxes"][: found["box_counts"][0]][found["box_classes"][: found["box_counts"][0]] == n]
                     for n in range(4)]  # fmt: skip
        assert all(np.array_equal(per_class[0], other) for other in per_class[1:])
        train = data.sets["train"].with_given_labels()
        assert every_iou(per_class[0], truths(train)["truth_boxes"]).max(axis=1).min() >= 0.5


def test_coco_sets_are_read_too(tmp_path):
    names = {1: "ship", 2: "windmill", 7: "dam"}
    sizes = {f"{part}/{number}.jpg": (64, 48) for part in ("train", "val", "test") for number in range(3)}
    for part in ("train", "val", "test"):
        images = {number + 1: (f"{number}.jpg", (64, 48)) for number in range(3)}
        boxes = [(1, 1, (0, 0, 20, 20)), (2, 2 if part == "test" else 7, (5, 5, 20, 20)), (3, 7, (9, 9, 30, 30))]
        (tmp_path / part).mkdir()
        (tmp_path / part / f"instances_{part}.json").write_text(json.dumps(coco_of(images, boxes, names)))
    write_pictures(tmp_path, sizes)
    found = open_aerial_data(
        AerialDataOptions(data=str(tmp_path), cache=str(tmp_path / "cache"), novel=("windmill",), imgsz=64)
    )
    assert found.card["format"] == "coco" and found.classes.base == ("ship", "dam")
    assert len(found.asked["novel"]) == 1 and found.sets["train"].shape == (64, 64)


def test_an_oriented_set_by_name(tmp_path):
    box = (1, 1, 20, 20)
    objects = {"train": {"00001": [("ship", box)]}, "val": {"00011": [("ship", box)]},
               "test": {"00021": [("dam", box)]}}  # fmt: skip
    root = write_dior(tmp_path / "set", objects, size=(64, 64))
    asked = AerialDataOptions(data=str(root), cache=str(tmp_path / "c"), novel=("dam",), imgsz=64, boxes="oriented")
    with pytest.raises(LayoutError, match="no oriented boxes"):
        open_aerial_data(asked)
    assert open_aerial_data(replace(asked, boxes="auto")).card["annotation"] == "horizontal"
