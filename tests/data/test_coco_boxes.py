"""COCO's JSON as samples, held against pycocotools."""

# ruff: noqa: SIM118 - a format has keys() and is no mapping

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO

from dior_folders import coco_of, write_pictures
from veritrain.data.boxes_out import export_boxes
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.detection_cache import open_boxed
from veritrain.data.detection_inventory import AnnotationError
from veritrain.data.echo import EchoFormat
from veritrain.data.options import BoxOptions
from veritrain.errors import LayoutError

SKIP = BoxOptions(on_broken="skip")
PANOPTIC = Path(__file__).resolve().parents[3] / "shared" / "data" / "panoptic"
NAMES = {100: "toothbrush", 1: "person", 44: "bottle"}
IMAGES = {7: ("a.jpg", (40, 30)), 3: ("sub/b.png", (20, 20)), 12: ("c.jpg", (40, 30))}
BOXES = [(7, 100, (1, 2, 3, 4)), (3, 1, (0, 0, 20, 20)), (7, 44, (30.5, 10.25, 9.5, 19.75)), (3, 1, (2, 2, 5, 5))]


@pytest.fixture
def small(tmp_path):
    """Three images, four boxes, the last of them a crowd; images beside the document."""
    root = tmp_path / "set"
    root.mkdir()
    (root / "boxes.json").write_text(json.dumps(coco_of(IMAGES, BOXES, NAMES, crowd=[4])))
    write_pictures(root / "images", dict(IMAGES.values()))
    return root


def pixels(labels, size):
    corners = np.concatenate((labels.boxes[:, :2] - labels.boxes[:, 2:] / 2, labels.boxes[:, 2:]), axis=1)
    return corners * np.array([*size, *size])


class TestReading:
    def test_it_gives_what_pycocotools_reads(self, small):
        source, coco = CocoBoxes(small), COCO(small / "boxes.json")
        assert source.classes == ("person", "bottle", "toothbrush"), "in the order of the ids 1, 44, 100"
        names = {known: one["name"] for known, one in coco.cats.items()}
        assert len(source.keys()) == 3
        for key in source.keys():
            (image,) = [one for one in coco.imgs.values() if one["file_name"].startswith(f"{key.id}.")]
            annotations = coco.imgToAnns[image["id"]]
            labels = source.labels(key)
            assert [source.classes[n] for n in labels.classes] == [names[one["category_id"]] for one in annotations]
            assert labels.crowd is not None and labels.crowd.tolist() == [bool(one["iscrowd"]) for one in annotations]
            expected = np.array([one["bbox"] for one in annotations]).reshape(-1, 4)
            np.testing.assert_allclose(pixels(labels, (image["width"], image["height"])), expected, atol=1e-4)
            sample = source.read(key)
            assert sample.image.shape == (image["height"], image["width"], 3)
        assert source.crowds == 1 and not source.missing() and not source.splits

    def test_the_document_itself_can_be_given(self, small):
        one, two = CocoBoxes(small), CocoBoxes(small / "boxes.json")
        assert one.keys() == two.keys() and not two.missing()

    def test_our_own_export_comes_back(self, echo_world, tmp_path):
        source = EchoFormat(echo_world)
        told = export_boxes(source, tmp_path / "out", "coco")
        found = CocoBoxes(told["path"])
        assert found.classes == source.classes and len(found.missing()) == len(found.keys()) == len(source.keys())
        by_id = {key.id: key for key in source.keys()}
        for key in found.keys():
            own = by_id[key.id]
            assert (key.group, key.published) == (own.group, own.published)
            np.testing.assert_allclose(found.labels(key).boxes, source.labels(own).boxes, atol=2e-5)
        assert set(found.splits) == {"train", "val", "test"} and not found.assumed

    def test_images_can_be_cached_and_trained_on(self, small):
        cached = open_boxed(CocoBoxes(small), cache=small.parent / "cache", workers=1)
        assert len(cached.keys()) == 3 and cached.classes == ("person", "bottle", "toothbrush")
        crowd = cached.labels(next(key for key in cached.keys() if key.id == "sub/b")).crowd
        assert crowd is not None and crowd.tolist() == [False, True]


class TestParts:
    def test_documents_with_parts_in_their_names(self, tmp_path):
        """COCO's own arrangement: annotations/instances_train2017.json, and equal file names in both folders."""
        for part in ("train2017", "val2017"):
            place = tmp_path / "annotations" / f"instances_{part}.json"
            place.parent.mkdir(exist_ok=True)
            place.write_text(json.dumps(coco_of({1: ("1.jpg", (9, 9))}, [(1, 1, (0, 0, 5, 5))], NAMES)))
            write_pictures(tmp_path / part, {"1.jpg": (9, 9)})
        source = CocoBoxes(tmp_path)
        assert source.splits == {"train": ("train/1",), "val": ("val/1",)}
        assert [source.files(key)[0].parent.name for key in source.keys()] == ["train2017", "val2017"]
        assert [key.published for key in source.keys()] == ["train", "val"]

    def test_folders_that_are_parts(self, tmp_path):
        for part in ("train", "valid"):
            write_pictures(tmp_path / part, {f"{part}.jpg": (9, 9)})
            content = coco_of({0: (f"{part}.jpg", (9, 9))}, [(0, 44, (0, 0, 5, 5))], NAMES)
            (tmp_path / part / "_annotations.coco.json").write_text(json.dumps(content))
        source = CocoBoxes(tmp_path)
        assert source.splits == {"train": ("train/train",), "val": ("val/valid",)} and not source.missing()

    def test_other_categories_in_the_second_are_refused(self, tmp_path):
        for part, names in (("train", {1: "a"}), ("val", {1: "b"})):
            content = coco_of({1: ("1.jpg", (9, 9))}, [(1, 1, (0, 0, 5, 5))], names)
            (tmp_path / f"{part}.json").write_text(json.dumps(content))
        with pytest.raises(LayoutError, match="other categories") as caught:
            CocoBoxes(tmp_path)
        assert "val.json" in str(caught.value) and "1 b" in str(caught.value)

    def test_scenes_of_entries_and_of_a_file(self, small):
        content = json.loads((small / "boxes.json").read_text())
        for one, scene in zip(content["images"], ("bay", "bay", "field"), strict=True):
            one["scene"] = scene
        (small / "boxes.json").write_text(json.dumps(content))
        source = CocoBoxes(small)
        assert {key.id: key.group for key in source.keys()} == {"a": "bay", "sub/b": "bay", "c": "field"}
        assert not source.assumed
        (small / "scenes.json").write_text(json.dumps({"a": "x", "sub/b": "y", "c": "y"}))
        assert {key.id: key.group for key in CocoBoxes(small).keys()} == {"a": "x", "sub/b": "y", "c": "y"}

    def test_without_scenes_each_image_is_a_group(self, small):
        source = CocoBoxes(small)
        assert len({key.group for key in source.keys()}) == 3 and "each counts as a group" in source.assumed[0]


class TestMalformed:
    @pytest.mark.parametrize(
        ("box", "name"),
        [
            ((1, 2, 0, 4), "zero_area"),
            ((1, 2, 3, -4), "zero_area"),
            ((38, 2, 4, 4), "box_outside"),
            ((-2, 2, 9, 4), "box_outside"),
            ((40, 2, 0.5, 4), "box_outside"),
            ((1, 2, 3), "not_a_number"),
            ((1, 2, "3", 4), "not_a_number"),
            ((1, 2, None, 4), "not_a_number"),
            ((1, 2, True, 4), "not_a_number"),
        ],
    )
    def test_boxes_are_dropped_and_listed_or_an_error(self, tmp_path, box, name):
        file = tmp_path / "a.json"
        file.write_text(json.dumps(coco_of({7: ("a.jpg", (40, 30))}, [(7, 1, (1, 1, 2, 2)), (7, 44, box)], NAMES)))
        source = CocoBoxes(file)
        labels = source.labels(source.keys()[0])
        assert labels.boxes.shape == (1, 4) and labels.objects == 2 and labels.lines == (1,)
        (problem,) = source.inventory().problems
        assert problem.name == name and problem.element == "annotations[1] (id 2), bbox" and not problem.left_out
        with pytest.raises(AnnotationError, match=r"a\.json: annotations\[1\] \(id 2\), bbox"):
            CocoBoxes(file, BoxOptions(on_malformed="error"))

    def test_what_rounding_lets_stand_out_is_cut(self, tmp_path):
        file = tmp_path / "a.json"
        file.write_text(json.dumps(coco_of({7: ("a.jpg", (40, 30))}, [(7, 1, (-0.4, 0, 40.9, 30.5))], NAMES)))
        source = CocoBoxes(file)
        np.testing.assert_allclose(pixels(source.labels(source.keys()[0]), (40, 30)), [[0, 0, 40, 30]], atol=1e-5)

    def test_an_unclear_crowd_is_malformed(self, tmp_path):
        content = coco_of({7: ("a.jpg", (40, 30))}, [(7, 1, (1, 1, 2, 2))], NAMES)
        content["annotations"][0]["iscrowd"] = "yes"
        (tmp_path / "a.json").write_text(json.dumps(content))
        (problem,) = CocoBoxes(tmp_path).inventory().problems
        assert problem.name == "crowd_unclear"


class TestBroken:
    def check(self, root, content, name, *words, left):
        (root / "boxes.json").write_text(json.dumps(content))
        with pytest.raises(AnnotationError) as caught:
            CocoBoxes(root)
        assert all(word in str(caught.value) for word in words), str(caught.value)
        source = CocoBoxes(root, SKIP)
        assert len(source.keys()) == left
        assert {problem.name for problem in source.inventory().problems} == {name}

    def test_an_unknown_category_is_counted(self, small):
        content = coco_of(IMAGES, [*BOXES, (7, 5, (1, 1, 2, 2)), (3, 5, (1, 1, 2, 2))], NAMES)
        self.check(small, content, "class_unknown", "2 annotations of 1 categories", "5 2 times", left=1)

    def test_an_annotation_without_image(self, small):
        content = coco_of(IMAGES, [*BOXES, (99, 1, (1, 1, 2, 2))], NAMES)
        self.check(small, content, "annotation_without_image", "annotations[4]", "image_id 99", left=3)

    @pytest.mark.parametrize(
        ("change", "name", "word"),
        [
            ({"width": None}, "size_impossible", "images[0], width"),
            ({"height": 0}, "size_impossible", "images[0], height"),
            ({"file_name": ""}, "image_nameless", "images[0]"),
            ({"id": "x"}, "image_nameless", "images[0]"),
            ({"file_name": "../../etc/a.jpg"}, "image_outside", "images[0], file_name"),
            ({"file_name": "/etc/a.jpg"}, "image_outside", "images[0], file_name"),
            ({"file_name": "..\\a.jpg"}, "image_outside", "images[0], file_name"),
            ({"file_name": "c.jpg"}, "image_repeated", "images[2]"),
        ],
    )
    def test_an_image_that_cannot_be_meant(self, small, change, name, word):
        content = coco_of(IMAGES, [BOXES[1]], NAMES)
        content["images"][0] |= change
        self.check(small, content, name, word, left=2)

    def test_an_image_that_is_missing(self, small):
        (small / "images" / "a.jpg").unlink()
        source = CocoBoxes(small)
        assert [key.id for key in source.missing()] == ["a"]
        with pytest.raises(LayoutError, match="1 of 3 are not there"):
            open_boxed(source)

    def test_no_document(self, tmp_path):
        for path in (tmp_path, tmp_path / "none"):
            with pytest.raises(LayoutError, match="no detection file"):
                CocoBoxes(path)
        assert not CocoBoxes.recognises(tmp_path)

    def test_a_document_that_is_cut_off_leaves_nothing(self, small):
        file = small / "boxes.json"
        file.write_text(file.read_text()[:-5])
        with pytest.raises(AnnotationError, match="cut off"):
            CocoBoxes(small)
        with pytest.raises(LayoutError, match=r"no image of the data set.*"):
            CocoBoxes(small, SKIP)


@pytest.mark.skipif(not PANOPTIC.is_dir(), reason="the real panoptic sample is not at hand")
def test_the_real_sample_reads_as_pycocotools_reads_it():
    source, coco = CocoBoxes(PANOPTIC), COCO(PANOPTIC / "panoptic_coco_detection_format.json")
    assert len(source.keys()) == 2 and len(source.classes) == 133 and not source.missing()
    assert source.crowds == sum(one["iscrowd"] for one in coco.anns.values()) == 3
    assert source.inventory().objects == len(coco.anns) == 50
    for key in source.keys():
        sample, labels = source.read(key), source.labels(key)
        (image,) = [one for one in coco.imgs.values() if one["file_name"] == f"{key.id}.jpg"]
        expected = np.array([one["bbox"] for one in coco.imgToAnns[image["id"]]])
        np.testing.assert_allclose(pixels(labels, (sample.width, sample.height)), expected, atol=1e-3)
