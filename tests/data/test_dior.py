"""DIOR's layout as samples: boxes, classes, groups, splits, and what cannot be meant."""

# ruff: noqa: SIM118 - a format has keys() and is no mapping

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dior_folders import FOLDERS, SHIP, TINY, write_dior, xml_of
from veritrain.data.detection_cache import open_boxed
from veritrain.data.detection_inventory import AnnotationError
from veritrain.data.detection_splits import split_detections
from veritrain.data.dior import ALONE, DiorFormat
from veritrain.data.dior_names import DIOR_CLASSES
from veritrain.data.options import DiorOptions
from veritrain.errors import BrokenFileError, ConfigError, LayoutError

SKIP = DiorOptions(on_broken="skip")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dior"
ORIENTED = {
    "00001": [("ship", (1, 1, 10, 1, 10, 10, 1, 10)), ("harbor", (26, -3, 44, 15, 26, 33, 8, 15))],
    "00002": [("ship", (3, 3, 8, 3, 8, 9, 3, 9))],
    "00011": [("Expressway-toll-station", (2, 2, 30, 2, 30, 20, 2, 20))],
    "00021": [("ship", (1, 1, 10, 1, 10, 10, 1, 10))],
    "00022": [],
}


def corners(boxes):
    return np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), axis=1)


@pytest.fixture
def tiny(tmp_path):
    return write_dior(tmp_path / "DIOR", TINY, oriented=ORIENTED)


def xml_file(root, name, kind="Horizontal"):
    return root / "Annotations" / f"{kind} Bounding Boxes" / f"{name}.xml"


class TestReading:
    @pytest.mark.parametrize("layout", FOLDERS)
    def test_every_layout_gives_the_same_samples(self, tmp_path, layout):
        source = DiorFormat(write_dior(tmp_path, TINY, layout=layout))
        assert [key.id for key in source.keys()] == ["00001", "00002", "00011", "00021", "00022"]
        first = source.read(source.keys()[0])
        assert first.image.shape == (30, 40, 3) and (first.width, first.height, first.view) == (40, 30, -1)
        assert [DIOR_CLASSES[number] for number in first.classes] == ["ship", "harbor"]
        expected = np.array([[0, 0, 10, 10], [10, 4, 40, 30]]) / [40, 30, 40, 30]
        np.testing.assert_allclose(corners(first.boxes), expected, atol=1e-7)
        assert first.boxes.dtype == np.float32 and first.classes.dtype == np.int64
        assert [key.published for key in source.keys()] == ["train", "train", "val", "test", "test"]

    def test_a_box_that_ends_at_800_is_the_edge(self, tmp_path):
        write_dior(tmp_path, {"": {"00001": [("dam", (1, 1, 800, 800))]}}, size=(800, 800), pictures=False)
        source = DiorFormat(tmp_path)
        assert source.labels(source.keys()[0]).boxes.tolist() == [[0.5, 0.5, 1, 1]]

    def test_oriented_boxes_are_their_extent_with_corners(self, tiny):
        source = DiorFormat(tiny, DiorOptions(boxes="oriented"))
        assert source.annotation == "oriented" and source.overhanging == 1
        labels = source.labels(source.keys()[0])
        expected = np.array([[0, 0, 10, 10], [7, 0, 40, 30]]) / [40, 30, 40, 30]
        np.testing.assert_allclose(corners(labels.boxes), expected, atol=1e-7)
        assert labels.corners is not None and labels.corners.shape == (2, 4, 2)
        np.testing.assert_allclose(labels.corners[1, 0] * [40, 30], (25.5, -3.5), atol=1e-5)
        plain = DiorFormat(tiny)
        assert plain.annotation == "horizontal" and plain.labels(plain.keys()[0]).corners is None
        assert plain.kinds == {"horizontal": 5, "oriented": 5}

    def test_oriented_alone_is_read_without_being_asked_for(self, tmp_path):
        write_dior(tmp_path, TINY, oriented=ORIENTED, horizontal=False)
        assert DiorFormat(tmp_path).annotation == "oriented"
        with pytest.raises(LayoutError, match="no horizontal boxes"):
            DiorFormat(tmp_path, DiorOptions(boxes="horizontal"))

    def test_many_files_are_read_by_several_processes_as_by_one(self, tmp_path):
        images = {f"{number:05d}": [("ship", (1, 1, 2 + number % 30, 9))] for number in range(1, ALONE + 9)}
        write_dior(tmp_path, {"train": images}, pictures=False)
        alone, several = DiorFormat(tmp_path, workers=1), DiorFormat(tmp_path, workers=2)
        assert alone.keys() == several.keys() and len(alone.keys()) == ALONE + 8
        for key in alone.keys():
            assert alone.labels(key).boxes.tobytes() == several.labels(key).boxes.tobytes()

    def test_only_keeps_what_a_worker_needs(self, tiny):
        source = DiorFormat(tiny)
        part = source.only(source.keys()[:2])
        assert (
            part.keys() == source.keys()[:2] and part.splits["train"] == ("00001", "00002") and not part.splits["val"]
        )
        assert not part.folders.images and source.folders.images
        with pytest.raises(LayoutError, match="no image '00011'"):
            part.labels(source.keys()[2])


class TestGroups:
    def test_blocks_of_ids_without_scenes(self, tiny):
        source = DiorFormat(tiny)
        assert [key.group for key in source.keys()] == ["00001-00002"] * 2 + ["00011"] + ["00021-00022"] * 2
        assert any("no scenes.json" in text for text in source.assumed) and not source.scenes_declared
        assert len({key.group for key in DiorFormat(tiny, DiorOptions(block=1)).keys()}) == 5

    def test_declared_scenes_are_the_groups(self, tmp_path):
        scenes = {"00001": "bay", "00002": "bay", "00011": "bay", "00021": "field", "00022": "town", "77": "other"}
        source = DiorFormat(write_dior(tmp_path, TINY, scenes=scenes))
        assert {key.id: key.group for key in source.keys()} == {k: v for k, v in scenes.items() if k != "77"}
        assert source.scenes_declared and not source.assumed
        assert [key.id for key in source.keys() if key.group == "bay"] == ["00001", "00002", "00011"]
        assert {key.kind for key in source.keys() if key.group == "bay"} == {"ship"}

    def test_a_split_by_group_shares_no_scene(self, tmp_path):
        images = {f"{number:05d}": [("ship", SHIP)] for number in range(1, 41)}
        scenes = {name: f"scene {int(name) % 12}" for name in images}
        source = DiorFormat(write_dior(tmp_path, {"train": images}, scenes=scenes, pictures=False))
        found = split_detections(source, "group", classes=source.classes)
        assert not found.leaky and sum(one["frames"] for one in found.split.counts.values()) == 40

    def test_the_published_split_says_what_it_leaks(self, tmp_path):
        scenes = {"00001": "a", "00002": "b", "00011": "a", "00021": "c", "00022": "c"}
        found = split_detections(DiorFormat(write_dior(tmp_path, TINY, scenes=scenes)), "published")
        assert found.leaky and found.leaks["train/val"].groups == 1 and found.leaks["train/test"].groups == 0


class TestNames:
    def test_other_spellings_are_mapped_and_said(self, tmp_path):
        write_dior(tmp_path, {"train": {"00001": [("golf course", SHIP), ("wind mill", SHIP), ("golffield", SHIP)]}})
        source = DiorFormat(tmp_path)
        names = [DIOR_CLASSES[number] for number in source.labels(source.keys()[0]).classes]
        assert names == ["golffield", "windmill", "golffield"]
        assert source.renamed == {"golf course": ("golffield", 1), "wind mill": ("windmill", 1)}
        assert any("'golf course' is read as golffield (1 objects)" in text for text in source.assumed)

    def test_unknown_names_are_refused_with_a_count(self, tmp_path):
        many = {"00001": [("ship", SHIP), ("submarine", SHIP)], "00002": [("submarine", SHIP), ("", SHIP)]}
        write_dior(tmp_path, {"train": {**many, "00003": [("ship", SHIP)]}})
        with pytest.raises(LayoutError) as caught:
            DiorFormat(tmp_path)
        told = str(caught.value)
        assert "3 objects of 2 classes" in told and "'submarine' 2 times" in told and "00001.xml:" in told
        assert "object 2, name" in told and "Expressway-Service-area" in told
        source = DiorFormat(tmp_path, SKIP)
        assert [key.id for key in source.keys()] == ["00003"], "no object is dropped from an image that stays"
        assert source.unknown_classes == {"": 1, "submarine": 2}
        problems = source.inventory().problems
        assert [one.name for one in problems] == ["class_unknown"] * 3 and all(one.left_out for one in problems)


class TestMalformed:
    @pytest.fixture
    def bad(self, tmp_path):
        boxes = [("ship", SHIP), ("dam", (20, 5, 20, 9)), ("ship", (30, 5, 41, 9))]
        return write_dior(tmp_path, {"train": {"00001": boxes, "00002": []}})

    def test_they_are_dropped_listed_and_their_image_stays(self, bad):
        source = DiorFormat(bad)
        labels = source.labels(source.keys()[0])
        assert labels.boxes.shape == (1, 4) and labels.objects == 3 and len(source.keys()) == 2
        assert source.about(source.keys()[0]).stated.tolist() == [
            DIOR_CLASSES.index(w) for w in ("ship", "dam", "ship")
        ]
        first, second = source.inventory().problems
        assert (first.name, first.element, first.left_out) == ("zero_area", "object 2 (dam), bndbox", False)
        assert (second.name, second.line) == ("box_outside", 32) and second.file.endswith("00001.xml")
        assert "<object>" in xml_file(bad, "00001").read_text().splitlines()[second.line - 1]

    def test_the_other_policy_stops_at_the_first(self, bad):
        with pytest.raises(AnnotationError) as caught:
            DiorFormat(bad, DiorOptions(on_malformed="error"))
        assert "00001.xml:22: object 2 (dam), bndbox: xmax 20 is not above xmin 20" in str(caught.value)


class TestBroken:
    """What is wrong with files: an error that names file and element, or left out and listed."""

    def check(self, root, name, *words, left=4, left_out=True):
        with pytest.raises((AnnotationError, LayoutError)) as caught:
            DiorFormat(root)
        assert all(word in str(caught.value) for word in words), str(caught.value)
        source = DiorFormat(root, SKIP)
        assert len(source.keys()) == left
        (problem,) = source.inventory().problems
        assert problem.name == name and problem.left_out is left_out and Path(problem.file).exists()

    def test_xml_cut_off(self, tiny):
        file = xml_file(tiny, "00001")
        file.write_bytes(file.read_bytes()[:420])
        self.check(tiny, "xml_cut_off", "00001.xml:", ": annotation/object: the XML is cut off")

    def test_xml_with_a_document_type(self, tiny):
        xml_file(tiny, "00002").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation/>')
        self.check(tiny, "xml_doctype", "00002.xml:1", "DOCTYPE")

    def test_an_empty_file(self, tiny):
        xml_file(tiny, "00002").write_bytes(b"")
        self.check(tiny, "xml_cut_off", "00002.xml")

    def test_a_split_line_without_an_image(self, tiny):
        with (tiny / "ImageSets" / "Main" / "val.txt").open("ab") as file:
            file.write(b"09999\r\n")
        self.check(tiny, "split_line_without_image", "val.txt:2", "'09999'", left=5)

    def test_a_split_line_that_stands_twice(self, tiny):
        with (tiny / "ImageSets" / "Main" / "val.txt").open("ab") as file:
            file.write(b"00011\r\n")
        self.check(tiny, "split_line_repeated", "val.txt:2", "'00011' again", left=5, left_out=False)

    def test_an_image_without_annotation(self, tiny):
        xml_file(tiny, "00021").unlink()
        self.check(tiny, "image_without_annotation", "00021.jpg", "00021.xml")

    def test_nothing_left(self, tmp_path):
        write_dior(tmp_path, {"train": {"00001": [("zebra", SHIP)]}})
        with pytest.raises(LayoutError, match="no image of the data set has annotations that can be meant"):
            DiorFormat(tmp_path, SKIP)

    def test_an_image_in_two_splits_is_of_the_first(self, tiny):
        with (tiny / "ImageSets" / "Main" / "test.txt").open("ab") as file:
            file.write(b"00001.jpg\r\n")
        source = DiorFormat(tiny)
        assert source.splits["test"] == ("00021", "00022", "00001")
        assert {key.id: key.published for key in source.keys()}["00001"] == "train"

    def test_a_name_in_the_file_that_is_another_image_is_counted(self, tiny):
        file = xml_file(tiny, "00001")
        file.write_text(file.read_text().replace("00001.jpg", "00002.jpg"))
        assert DiorFormat(tiny).filenames_differ == 1


class TestImages:
    def test_an_image_of_another_size_than_its_xml(self, tiny):
        Image.new("RGB", (30, 40)).save(tiny / "JPEGImages-trainval" / "00001.jpg")
        source = DiorFormat(tiny)
        with pytest.raises(AnnotationError) as caught:
            source.read(source.keys()[0])
        told = str(caught.value)
        assert "00001.xml: size:" in told and "30 x 40" in told and "40 x 30" in told and "00001.jpg" in told
        with pytest.raises(BrokenFileError, match="another size"):
            open_boxed(source, cache=tiny / "cache", workers=1)
        cached = open_boxed(DiorFormat(tiny, SKIP), cache=tiny / "cache", workers=1)
        assert len(cached.keys()) == 4
        (problem,) = cached.inventory().problems
        assert problem.name == "image_broken" and problem.file.endswith("00001.xml")

    def test_training_refuses_without_an_image_and_skips_on_demand(self, tiny):
        (tiny / "JPEGImages-test" / "00021.jpg").unlink()
        source = DiorFormat(tiny)
        assert [key.id for key in source.missing()] == ["00021"]
        with pytest.raises(LayoutError, match="images are missing") as caught:
            open_boxed(source, cache=tiny / "cache")
        assert "1 of 5" in str(caught.value) and "JPEGImages-test/00021.jpg" in str(caught.value)
        with pytest.raises(AnnotationError, match="the image is missing"):
            source.read(source.missing()[0])
        cached = open_boxed(DiorFormat(tiny, SKIP), cache=tiny / "cache", workers=1)
        assert len(cached.keys()) == 4 and cached.inventory().problems[0].name == "image_broken"

    def test_annotations_alone_are_never_trained_on(self, tmp_path):
        write_dior(tmp_path, TINY, pictures=False)
        for options in (DiorOptions(), SKIP):
            with pytest.raises(LayoutError, match="5 of 5 are not there"):
                open_boxed(DiorFormat(tmp_path, options))

    def test_the_cache_gives_what_the_format_gives(self, tiny):
        source = DiorFormat(tiny, DiorOptions(longest_side=20))
        cached = open_boxed(source, cache=tiny / "cache", workers=1)
        for key in source.keys():
            one, two = source.read(key), cached.read(key)
            assert one.image.tobytes() == two.image.tobytes() and one.image.shape == (15, 20, 3)
            assert one.boxes.tobytes() == two.boxes.tobytes() and (two.width, two.height) == (40, 30)
            assert cached.stored_size(key) == (40, 30) and cached.content_hash(key) == source.content_hash(key)


@pytest.mark.parametrize(
    ("options", "told"),
    [({"boxes": "round"}, "boxes"), ({"block": 0}, "block"), ({"on_malformed": "keep"}, "on_malformed"),
     ({"on_broken": "drop"}, "on_broken"), ({"longest_side": 3}, "size")],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(options, told):
    with pytest.raises(ConfigError, match=told):
        DiorOptions(**options)


def test_it_is_recognised_by_content(tiny, tmp_path, echo_world, small_world):
    assert DiorFormat.recognises(tiny) and not DiorFormat.recognises(tmp_path / "none")
    assert not DiorFormat.recognises(echo_world) and not DiorFormat.recognises(small_world)
    (tmp_path / "other").mkdir()
    assert not DiorFormat.recognises(tmp_path / "other")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real annotations are not at hand")
class TestRealAnnotations:
    """300 of each kind, against counting words in the files."""

    def test_objects_classes_and_splits_are_those_of_the_files(self):
        source = DiorFormat(SHARED)
        files = sorted((SHARED / "Annotations" / "Horizontal Bounding Boxes").glob("*.xml"))
        words = Counter(word for file in files for word in re.findall("<name>([^<]*)</name>", file.read_text()))
        counted = Counter(DIOR_CLASSES[n] for key in source.keys() for n in source.labels(key).classes)
        assert counted == words and words.total() == 1851 and words["ship"] == 706 and len(words) == 20
        assert {part: len(names) for part, names in source.splits.items()} == {"train": 100, "val": 100, "test": 100}
        assert not source.inventory().problems and len(source.missing()) == 300

    def test_oriented_boxes_hold_the_same_objects_near_the_horizontal_ones(self):
        plain, turned = DiorFormat(SHARED), DiorFormat(SHARED, DiorOptions(boxes="oriented"))
        assert turned.overhanging == 29
        far = 0
        for one, two in zip(plain.keys(), turned.keys(), strict=True):
            first, second = plain.labels(one), turned.labels(two)
            assert sorted(first.classes.tolist()) == sorted(second.classes.tolist())
            assert (second.boxes[:, 2:] > 0).all() and np.abs(corners(second.boxes) - 0.5).max() <= 0.5 + 1e-6
            order = [np.lexsort((*labels.boxes.T[:2].round(1), labels.classes)) for labels in (first, second)]
            gap = np.abs(first.boxes[order[0], :2] - second.boxes[order[1], :2]).max(axis=1)
            far += int((gap > 0.1).sum())
        assert far < 1851 * 0.15

    def test_one_file_by_hand(self):
        source = DiorFormat(SHARED)
        labels = source.labels(source.keys()[0])
        assert xml_of("00001", []) and DIOR_CLASSES[labels.classes[0]] == "golffield"
        np.testing.assert_allclose(corners(labels.boxes) * 800, [[132, 236, 684, 672]], atol=1e-4)
