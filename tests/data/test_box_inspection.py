"""What data check finds in aerial images with boxes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dior_folders import SHIP, TINY, coco_of, write_dior
from veritrain.data.box_inspection import COUNT_EDGES, inspect_boxes
from veritrain.data.boxes_out import export_boxes
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.dior import DiorFormat
from veritrain.data.dior_names import DIOR_CLASSES
from veritrain.data.options import BoxOptions, DiorOptions
from veritrain.errors import ConfigError

SKIP = DiorOptions(on_broken="skip")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dior"
QUAD = (1, 1, 10, 1, 10, 10, 1, 10)


def looked_at(path, **how):
    return inspect_boxes(DiorFormat(path, SKIP), **how)


def named(inspection):
    return {remark.name: remark for remark in inspection.remarks}


class TestCounts:
    def test_the_exact_form(self, tmp_path):
        found = looked_at(write_dior(tmp_path, TINY)).as_json()
        assert found["format"] == "dior" and found["annotation"] == "horizontal" and found["objects"] == 5
        held = {name: one for name, one in found["classes"].items() if one["objects"]}
        assert held == {
            "Expressway-toll-station": {"objects": 1, "images": 1},
            "harbor": {"objects": 1, "images": 1},
            "ship": {"objects": 3, "images": 3},
        }
        assert list(found["classes"]) == list(DIOR_CLASSES)
        assert found["splits"] == {
            "train": {"images": 2, "objects": 3, "groups": 1},
            "val": {"images": 1, "objects": 1, "groups": 1},
            "test": {"images": 2, "objects": 1, "groups": 1},
        }
        assert found["shared_groups"] == 0 and found["malformed"] == 0 and found["oriented"] is None
        assert json.loads(json.dumps(found, allow_nan=False)) == found

    def test_splits_sizes_and_images_by_objects(self, tmp_path):
        found = looked_at(write_dior(tmp_path, TINY))
        assert found.splits["train"]["several_classes"] == 1 and found.splits["train"]["most_objects"] == 2
        assert found.splits["test"]["classes"]["ship"] == 1 and found.sizes == {"40x30": 5}
        assert found.images_by_objects["all"] == {
            "0": 1, "1": 3, "2-5": 1, "6-20": 0, "21-100": 0, "101-300": 0, "301-500": 0, "501-": 0,
        }  # fmt: skip
        assert len(found.images_by_objects["train"]) == len(COUNT_EDGES)
        assert found.object_sizes == {"small": 5, "medium": 0, "large": 0}

    def test_object_sizes_have_cocos_bounds(self, tmp_path):
        boxes = [("ship", (1, 1, side, side)) for side in (31, 32, 96, 97)]
        found = looked_at(write_dior(tmp_path, {"train": {"00001": boxes}}, size=(200, 200)))
        assert found.object_sizes == {"small": 1, "medium": 2, "large": 1}

    def test_what_is_malformed_counts_as_an_object_and_is_listed(self, tmp_path):
        boxes = [("ship", SHIP), ("ship", (5, 5, 5, 9)), ("dam", (30, 2, 50, 9))]
        found = looked_at(write_dior(tmp_path, {"train": {"00001": boxes}}))
        content = found.as_json()
        assert content["objects"] == 3 and content["malformed"] == 2 and content["kept"] == 1 and found.usable
        assert content["classes"]["ship"]["objects"] == 2 and content["splits"]["train"]["objects"] == 3
        first, second = content["malformed_boxes"]
        assert first["element"] == "object 2 (ship), bndbox" and first["line"] == 22 and first["name"] == "zero_area"
        assert second["file"].endswith("00001.xml") and not content["problems"]
        assert named(found)["malformed_boxes"].level == "warning"
        strict = looked_at(tmp_path, strict_boxes=True)
        assert not strict.usable and named(strict)["malformed_boxes"].level == "error"

    def test_repeated_boxes_are_kept_and_said(self, tmp_path):
        found = looked_at(write_dior(tmp_path, {"train": {"00001": [("ship", SHIP)] * 3 + [("dam", SHIP)]}}))
        assert found.further["repeated"] == 2 and found.further["kept"] == 4
        assert named(found)["repeated_boxes"].level == "note"


class TestMaxDets:
    @pytest.fixture
    def crowded(self, tmp_path):
        def many(name, count):
            return [
                (name, (1 + place % 30, 1 + place // 30, 5 + place % 30, 6 + place // 30)) for place in range(count)
            ]

        images = {"00001": many("ship", 130) + many("dam", 20), "00002": many("ship", 100), "00003": many("dam", 301)}
        return write_dior(tmp_path, {"train": images, "test": {"00004": many("ship", 101)}}, pictures=False)

    def test_what_is_beyond_the_limit_is_counted_by_image_and_class(self, crowded):
        found = looked_at(crowded).max_dets
        assert found["100"]["all"] == {
            "pairs": 3, "unreachable": 30 + 201 + 1, "share": 232 / 652, "images": 3, "beyond": 50 + 201 + 1,
        }  # fmt: skip
        assert found["100"]["test"]["unreachable"] == 1 and found["300"]["train"]["unreachable"] == 1
        assert found["500"]["all"]["pairs"] == 0 and found["500"]["all"]["share"] == 0

    def test_it_is_what_cocos_evaluation_cannot_recall(self, crowded, tmp_path):
        """The labels scored against themselves: recall at maxDets 100 lacks exactly what was counted."""
        source = DiorFormat(crowded)
        coco = COCO(export_boxes(source, tmp_path / "out", "coco")["path"])
        answers = [{**{key: one[key] for key in ("image_id", "category_id", "bbox")}, "score": 0.5}
                   for one in coco.anns.values()]  # fmt: skip
        evaluation = COCOeval(coco, coco.loadRes(answers), "bbox")
        evaluation.params.maxDets, evaluation.params.iouThrs = [100], np.array([0.5])
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.evaluate()
        found = sum(int((one["dtMatches"] > 0).sum()) for one in evaluation.evalImgs if one)
        beyond = looked_at(crowded).max_dets["100"]["all"]["unreachable"]
        assert found == source.inventory().objects - beyond


class TestSplits:
    def test_scenes_in_two_splits_are_shared_groups(self, tmp_path):
        scenes = {"00001": "bay", "00002": "field", "00011": "bay", "00021": "bay", "00022": "field"}
        found = looked_at(write_dior(tmp_path, TINY, scenes=scenes))
        assert found.shared_groups == 2 and found.further["scenes_declared"]
        assert found.leaks["train/test"] == {
            "groups": 2, "of_groups": 2, "images": 2, "of_images": 2, "same_images": 0,
        }  # fmt: skip
        assert named(found)["published_split_leaks"].level == "warning"

    def test_an_image_in_two_splits_and_one_in_none(self, tmp_path):
        root = write_dior(tmp_path, {**TINY, "": {"00031": []}})
        with (root / "ImageSets" / "Main" / "test.txt").open("ab") as file:
            file.write(b"00001\r\n")
        found = looked_at(root)
        assert found.leaks["train/test"]["same_images"] == 1 and found.shared_groups == 1
        assert found.splits["test"]["images"] == 3 and found.further["unlisted"] == 1
        assert "the same image" in named(found)["published_split_leaks"].text and "unlisted" in named(found)

    def test_no_split_files(self, tmp_path):
        found = looked_at(write_dior(tmp_path, {"": {"00001": [("ship", SHIP)]}}))
        assert found.as_json()["splits"] == {} and found.shared_groups == 0 and found.usable


class TestOriented:
    def test_both_kinds_are_counted(self, tmp_path):
        oriented = {
            "00001": [("ship", QUAD), ("harbor", (30, 2, 50, 9, 40, 20, 20, 13))],
            "00002": [("dam", QUAD)],
            "00011": [("Expressway-toll-station", (5, 5) * 4)],
            "00021": [("ship", QUAD)],
            "00022": [],
        }
        found = looked_at(write_dior(tmp_path, TINY, oriented=oriented)).as_json()
        told = found["oriented"]
        assert found["annotation"] == "horizontal" and told["objects"] == 5 and told["malformed"] == 1
        assert told["classes"]["ship"] == {"objects": 2, "images": 2} and told["overhanging"] == 1
        assert told["images_that_differ"] == 1 and told["images_in_both"] == 5 and told["files"] == 5
        assert found["malformed"] == 0

    def test_oriented_alone(self, tmp_path):
        found = looked_at(write_dior(tmp_path, {"train": {"00001": []}}, oriented={"00001": [("ship", QUAD)]},
                                     horizontal=False)).as_json()  # fmt: skip
        assert found["annotation"] == "oriented" and found["objects"] == 1 == found["oriented"]["objects"]


class TestBadInput:
    def test_everything_is_listed_with_file_and_element(self, tmp_path):
        root = write_dior(tmp_path, {**TINY, "train": {**TINY["train"], "00003": [("zebra", SHIP)]}})
        folder = root / "Annotations" / "Horizontal Bounding Boxes"
        (folder / "00001.xml").write_bytes((folder / "00001.xml").read_bytes()[:300])
        Image.new("RGB", (9, 9)).save(root / "JPEGImages-test" / "00021.jpg")
        with (root / "ImageSets" / "Main" / "val.txt").open("ab") as file:
            file.write(b"00099\r\n")
        shutil.copy(root / "JPEGImages-trainval" / "00002.jpg", root / "JPEGImages-trainval" / "00011.jpg")
        found = looked_at(root)
        assert not found.usable
        by_name = named(found)
        places = {
            "xml_cut_off": "00001.xml:",
            "class_unknown": "00003.xml:12",
            "size_differs": "00021.xml",
            "split_line_without_image": "val.txt:2",
        }
        for name, place in places.items():
            assert by_name[name].level == "error" and place in (by_name[name].file or ""), name
        assert "object 1, name" in by_name["class_unknown"].text and by_name["copies"].level == "warning"
        assert found.as_json()["unknown_classes"] == {"zebra": 1}
        assert looked_at(root, strict=False).usable

    def test_missing_images_are_counted_and_no_error(self, tmp_path):
        found = looked_at(write_dior(tmp_path, TINY, pictures=False))
        assert found.usable and found.images["missing"] == 5 and named(found)["images_missing"].level == "note"

    def test_no_object_at_all_is_an_error(self, tmp_path):
        assert "no_objects" in named(looked_at(write_dior(tmp_path, {"train": {"00001": []}})))

    def test_a_sample_of_nothing_is_refused(self, tmp_path):
        with pytest.raises(ConfigError):
            looked_at(write_dior(tmp_path, TINY), sample=0)


def test_coco_is_looked_at_in_the_same_way(tmp_path):
    names = {3: "a", 8: "b"}
    boxes = [(1, 3, (0, 0, 5, 5)), (1, 8, (0, 0, 5, 5)), (2, 8, (0, 0, 0, 5))]
    content = coco_of({1: ("1.jpg", (9, 9)), 2: ("2.jpg", (9, 9))}, boxes, names, crowd=[2])
    (tmp_path / "val.json").write_text(json.dumps(content))
    found = inspect_boxes(CocoBoxes(tmp_path, BoxOptions(on_broken="skip"))).as_json()
    assert found["format"] == "coco" and found["objects"] == 3 and found["malformed"] == 1 and found["crowds"] == 1
    assert found["classes"] == {"a": {"objects": 1, "images": 1}, "b": {"objects": 2, "images": 2}}
    assert found["splits"] == {"val": {"images": 2, "objects": 3, "groups": 2}} and found["images"]["missing"] == 2


@pytest.fixture(scope="module")
def real():
    return looked_at(SHARED)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real annotations are not at hand")
class TestRealAnnotations:
    def test_counts_are_those_of_the_files(self, real):
        content = real.as_json()
        assert content["objects"] == 1851 == content["oriented"]["objects"] and content["malformed"] == 0
        texts = [file.read_text() for file in (SHARED / "Annotations" / "Horizontal Bounding Boxes").glob("*.xml")]
        for name, one in content["classes"].items():
            assert one["objects"] == sum(text.count(f"<name>{name}</name>") for text in texts)
            assert one["images"] == sum(f"<name>{name}</name>" in text for text in texts)
        assert content["oriented"]["classes"] == content["classes"]
        assert content["splits"] == {
            "train": {"images": 100, "objects": 664, "groups": 10},
            "val": {"images": 100, "objects": 482, "groups": 10},
            "test": {"images": 100, "objects": 705, "groups": 10},
        }
        by_part = Counter()
        for part in ("train", "val", "test"):
            for name in (SHARED / "ImageSets" / "Main" / f"{part}.txt").read_text().split():
                file = SHARED / "Annotations" / "Horizontal Bounding Boxes" / f"{name}.xml"
                by_part[part] += file.read_text().count("<object>")
        assert {part: one["objects"] for part, one in content["splits"].items()} == by_part

    def test_the_rest(self, real):
        assert real.sizes == {"800x800": 300} and real.oriented["sizes"] == {"800x800": 299, "800x801": 1}
        assert real.oriented["images_that_differ"] == 0 and real.oriented["overhanging"] == 29
        assert real.max_dets["100"]["all"]["unreachable"] == 44 and real.usable
        assert real.images["missing"] == 300 and "images_missing" in named(real)
