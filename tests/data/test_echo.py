"""The echo format: what a folder becomes, what is refused, and what is left out and counted."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from label_folders import BOX, POLYGON, write_set
from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.detection_labels import LabelError
from veritrain.data.echo import VIEWS, EchoFormat
from veritrain.data.options import EchoOptions
from veritrain.data.sample import UNKNOWN
from veritrain.errors import BrokenFileError, ConfigError, LayoutError

SKIP = EchoOptions(on_broken="skip")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
real = pytest.mark.skipif(not (SHARED / "echo").is_dir(), reason="the real echo frames (../shared/data) are not here")
photographs = pytest.mark.skipif(not (SHARED / "coco128").is_dir(), reason="coco128 (../shared/data) is not here")

NAMED = {"train/ann-s1.mp4-1": POLYGON, "train/ann-s1.mp4-2": BOX, "valid/ann-s2.mp4-9": BOX, "test/bob-s1.mp4-4": ""}


def by_name(source):
    return {key.id.rsplit("/", 1)[-1]: key for key in list(source.keys())}


class TestMadeWorld:
    def test_what_was_drawn_comes_back(self, echo_world, echo_options):
        source = EchoFormat(echo_world)
        assert source.classes == ("AR", "MR", "PR", "TR") and source.views == ("PSAX", "PLAX", "A4C")
        facts = json.loads((echo_world / "veritrain_world.json").read_text())["recordings"]
        drawn = {name: (one, frame) for one in facts.values() for name, frame in one["frames"].items()}
        keys = by_name(source)
        assert sorted(keys) == sorted(drawn)
        size = np.array([echo_options.width, echo_options.height] * 2)
        unknown = 0
        for name, (recording, frame) in drawn.items():
            labels = source.labels(keys[name])
            boxes = {source.classes[one]: box for one, box in zip(labels.classes, labels.boxes, strict=True)}
            assert boxes.keys() == frame["boxes"].keys()
            for valve, box in boxes.items():
                edges = np.concatenate([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2]) * size
                np.testing.assert_allclose(edges, frame["boxes"][valve], atol=1e-3)
            assert labels.view in (UNKNOWN, source.views.index(recording["view"]))
            unknown += labels.view == UNKNOWN
        assert unknown == 3

    def test_patients_and_videos_are_those_of_the_world(self, echo_world, echo_options):
        source = EchoFormat(echo_world)
        inventory = source.inventory()
        assert (inventory.groups, inventory.videos) == (9, 18) and inventory.frames == 54 == inventory.objects
        assert inventory.polygons == 54 and inventory.problems == [] and inventory.assumed == []
        assert source.keys() == sorted(source.keys(), key=lambda key: (key.group, key.id))
        assert all(key.id.rsplit("/", 1)[-1].startswith(f"{key.group}-") for key in list(source.keys()))

    def test_a_sample_has_the_types_it_promises(self, echo_world, echo_options):
        source = EchoFormat(echo_world)
        sample = source.read(source.keys()[4])
        assert sample.image.shape == (echo_options.height, echo_options.width, 3) and sample.image.dtype == np.uint8
        assert (sample.width, sample.height) == (echo_options.width, echo_options.height)
        assert (sample.boxes.dtype, sample.classes.dtype) == (np.float32, np.int64) and sample.boxes.shape == (1, 4)
        assert isinstance(sample.view, int) and sample.group == source.keys()[4].group

    def test_the_longest_side_can_be_asked_for_and_boxes_stay(self, echo_world):
        key = EchoFormat(echo_world).keys()[0]
        whole, part = EchoFormat(echo_world).read(key), EchoFormat(echo_world, EchoOptions(longest_side=64)).read(key)
        assert part.image.shape == (48, 64, 3) and (part.width, part.height) == (whole.width, whole.height)
        np.testing.assert_array_equal(part.boxes, whole.boxes)


class TestNames:
    def test_groups_kinds_and_published_parts(self, tmp_path):
        source = EchoFormat(write_set(tmp_path, NAMED))
        keys = by_name(source)
        assert {name: key.group for name, key in keys.items()} == {name: name.partition("-")[0] for name in keys}
        assert [keys[f"ann-s1.mp4-{frame}"].frame for frame in (1, 2)] == [1, 2]
        assert keys["ann-s2.mp4-9"].video == "ann/s2" and keys["bob-s1.mp4-4"].kind == "none"
        assert {key.published for key in keys.values()} == {"train", "val", "test"} and keys[
            "ann-s1.mp4-1"
        ].kind == "AR"

    def test_other_names_make_each_image_a_group_and_it_is_said(self, tmp_path):
        source = EchoFormat(write_set(tmp_path, {"train/1": BOX, "valid/1": BOX}))
        assert len({key.group for key in list(source.keys())}) == 2 and "group of its own" in source.assumed[-1]

    def test_some_other_names_are_counted(self, tmp_path):
        source = EchoFormat(write_set(tmp_path, {**NAMED, "train/odd": BOX}))
        assert any(told.startswith("1 file names do not say") for told in source.assumed)

    def test_a_pattern_of_ones_own(self, tmp_path):
        write_set(tmp_path, {"train/ann_1": BOX, "train/ann_2": BOX, "train/bob_1": BOX})
        source = EchoFormat(tmp_path, EchoOptions(group_pattern=r"(?P<patient>[a-z]+)_(?P<frame>\d+)"))
        assert [key.group for key in list(source.keys())] == ["ann", "ann", "bob"] and source.keys()[1].frame == 2
        with pytest.raises(LayoutError, match="fits no file name"):
            EchoFormat(tmp_path, EchoOptions(group_pattern=r"(?P<patient>\d+)"))

    def test_view_names_are_those_stated_or_are_said_to_be_assumed(self, tmp_path):
        stated = EchoFormat(write_set(tmp_path / "a", NAMED, views=("X", "Y", "Z")))
        assert stated.views == ("X", "Y", "Z") and not any("assumed" in told for told in stated.assumed)
        silent = EchoFormat(write_set(tmp_path / "b", NAMED))
        assert silent.views == VIEWS and any("assumed" in told for told in silent.assumed)
        four = EchoFormat(write_set(tmp_path / "c", {"a": f"{BOX}\n0 0 0 1"}))
        assert four.views == ("view 0", "view 1", "view 2", "view 3") and four.labels(four.keys()[0]).view == 3

    def test_a_set_without_views_has_none(self, tmp_path):
        source = EchoFormat(write_set(tmp_path, {"a": BOX, "b": BOX}))
        assert source.views == () and {source.labels(key).view for key in list(source.keys())} == {UNKNOWN}

    def test_without_any_names_classes_are_numbered(self, tmp_path):
        source = EchoFormat(write_set(tmp_path, {"a": "7 .5 .5 .1 .1"}, description=False))
        assert len(source.classes) == 8 and source.classes[7] == "class 7"


BAD = {
    "class_unknown": "0 .5 .5 .2 .2\n4 .5 .5 .1 .1\n",
    "coordinate_outside": "0 .5 .5 .2 .2\n0 1.5 .5 .1 .1\n",
    "view_length": "0 .5 .5 .2 .2\n0 1\n",
    "two_views": "1 0 0\n0 1 0\n",
    "zero_area": "0 .5 .5 .2 .2\n0 .5 .5 0 .1\n",
    "repeated_line": "0 .5 .5 .2 .2\n0 .5 .5 .2 .2\n",
    "token_count": "0 .5 .5 .2 .2\n0 .5 .5 .2\n",
    "not_a_number": "0 .5 .5 .2 .2\nAR .5 .5 .2 .2\n",
}


class TestBadInput:
    @pytest.mark.parametrize("name", BAD)
    def test_a_bad_line_stops_by_default_and_names_itself(self, tmp_path, name):
        write_set(tmp_path, {**NAMED, "train/ann-s1.mp4-3": BAD[name]})
        with pytest.raises(LabelError) as caught:
            EchoFormat(tmp_path)
        assert caught.value.name == name
        assert str(caught.value).startswith(f"{tmp_path / 'train' / 'labels' / 'ann-s1.mp4-3.txt'}:2: ")

    @pytest.mark.parametrize("name", BAD)
    def test_or_its_image_is_left_out_listed_and_counted(self, tmp_path, name):
        write_set(tmp_path, {**NAMED, "train/ann-s1.mp4-3": BAD[name]})
        source = EchoFormat(tmp_path, SKIP)
        (problem,) = source.inventory().problems
        assert (problem.name, problem.line) == (name, 2) and problem.file.endswith("ann-s1.mp4-3.txt")
        assert problem.left_out == (name != "repeated_line")
        assert ("ann-s1.mp4-3" in by_name(source)) == (name == "repeated_line")
        if name == "repeated_line":
            assert len(source.labels(by_name(source)["ann-s1.mp4-3"]).classes) == 1

    def test_two_points_among_polygons(self, tmp_path):
        write_set(tmp_path, {f"train/{name}": POLYGON for name in "abc"} | {"train/d": "1 .4 .5 .6 .7\n\n0 1 0"})
        with pytest.raises(LabelError, match=r"labels/d\.txt:1: a polygon of 2 points"):
            EchoFormat(tmp_path)
        mixed = EchoFormat(tmp_path, EchoOptions(geometry="mixed"))
        np.testing.assert_allclose(mixed.labels(by_name(mixed)["d"]).boxes, [[0.4, 0.5, 0.6, 0.7]])

    def test_unpaired_files_are_counted_apart(self, tmp_path):
        write_set(tmp_path, {**NAMED, "train/x": None, "test/y": None})
        (tmp_path / "valid" / "labels" / "z.txt").write_text(BOX)
        with pytest.raises(LayoutError) as caught:
            EchoFormat(tmp_path)
        assert "2 images without label file, 1 label files without image" in str(caught.value)
        assert str(caught.value).startswith(f"{tmp_path / 'test' / 'images' / 'y.png'}: ")
        names = [problem.name for problem in EchoFormat(tmp_path, SKIP).inventory().problems]
        assert names.count("image_without_label") == 2 and names.count("label_without_image") == 1
        assert len(EchoFormat(tmp_path, SKIP).keys()) == 4

    def test_background_with_an_empty_label_file_is_fine(self, tmp_path):
        source = EchoFormat(write_set(tmp_path, {"a": BOX, "b": ""}))
        assert len(source.labels(by_name(source)["b"]).classes) == 0

    def test_a_damaged_image_is_an_error_of_reading(self, tmp_path):
        write_set(tmp_path, NAMED)
        file = tmp_path / "train" / "images" / "ann-s1.mp4-1.png"
        file.write_bytes(file.read_bytes()[:60])
        source = EchoFormat(tmp_path)
        with pytest.raises(BrokenFileError, match="cannot be read as an image") as caught:
            source.read(by_name(source)["ann-s1.mp4-1"])
        assert caught.value.file == str(file)

    def test_nothing_but_bad_files_is_no_data_set(self, tmp_path):
        write_set(tmp_path, {"a": "9 .5 .5 .1 .1"})
        with pytest.raises(LayoutError, match="no image of the data set"):
            EchoFormat(tmp_path, SKIP)

    def test_two_images_of_one_name_are_refused(self, tmp_path):
        write_set(tmp_path, {"a": BOX})
        shutil.copy(tmp_path / "train" / "images" / "a.png", tmp_path / "train" / "images" / "a.jpg")
        with pytest.raises(LayoutError, match="two images have one label file"):
            EchoFormat(tmp_path)

    def test_a_foreign_key_is_refused(self, tmp_path):
        source = EchoFormat(write_set(tmp_path, NAMED))
        with pytest.raises(LayoutError, match="no image"):
            source.read(replace(source.keys()[0], id="elsewhere"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_broken": "ignore"},
        {"geometry": "box"},
        {"longest_side": 3},
        {"group_pattern": "("},
        {"group_pattern": r"(?P<video>\d+)"},
        {"group_pattern": r"(?P<patient>\d+)(?P<who>\d+)"},
    ],
)
def test_impossible_options_are_refused_by_name(wrong):
    with pytest.raises(ConfigError) as caught:
        EchoOptions(**wrong)
    assert next(iter(wrong)) in str(caught.value)


def test_it_recognises_its_own_by_content(tmp_path, echo_world, small_world):
    assert EchoFormat.recognises(echo_world) and EchoFormat.recognises(echo_world / "data.yaml")
    assert not AnoVoxFormat.recognises(echo_world) and not EchoFormat.recognises(small_world)
    assert EchoFormat.recognises(write_set(tmp_path / "plain", {"a": BOX}, description=False))
    assert not EchoFormat.recognises(tmp_path / "nothing") and not EchoFormat.recognises(tmp_path / "data.json")


def test_a_part_for_a_worker_reads_the_same(echo_world):
    source = EchoFormat(echo_world)
    keys = source.keys()[3:5]
    part = source.only(keys)
    assert part.keys() == keys and len(source.keys()) == 54
    np.testing.assert_array_equal(part.read(keys[1]).image, source.read(keys[1]).image)


@pytest.fixture(scope="module")
def source():
    return EchoFormat(SHARED / "echo")


@real
class TestRealSet:
    """Aggregates alone: 1,531 frames of 54 patients, of which one holds 261."""

    def test_counts(self, source):
        inventory = source.inventory()
        assert (inventory.frames, inventory.objects, inventory.polygons) == (1531, 1531, 1531)
        assert (inventory.groups, inventory.videos, inventory.problems) == (54, 144, [])
        assert inventory.classes == ("AR", "MR", "PR", "TR")
        assert sum(source.labels(key).view == UNKNOWN for key in list(source.keys())) == 2

    def test_no_box_comes_from_a_view_line(self, source):
        assert all(source.labels(key).lines == (1,) for key in list(source.keys()))
        boxes = np.concatenate([source.labels(key).boxes for key in list(source.keys())])
        assert boxes[:, 2:].min() > 0.03 and boxes[:, 2:].max() < 0.6

    def test_images_decode_and_are_of_three_sizes(self, source):
        sizes = {source.read(key).image.shape for key in source.keys()[::50]}
        assert sizes <= {(320, 430, 3), (495, 700, 3), (556, 800, 3)}


@photographs
def test_plain_photographs_with_boxes():
    with pytest.raises(LayoutError) as caught:
        EchoFormat(SHARED / "coco128")
    assert "2 images without label file, 2 label files without image" in str(caught.value)
    source = EchoFormat(SHARED / "coco128", SKIP)
    inventory = source.inventory()
    assert (inventory.frames, inventory.objects, inventory.views, inventory.polygons) == (126, 929, (), 0)
    assert source.read(source.keys()[0]).image.shape[2] == 3
