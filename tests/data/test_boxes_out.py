"""Boxes as COCO: pycocotools reads them, they are where the labels say, and their ids stay."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from dior_folders import coco_of, write_dior
from label_folders import BOX, write_set
from veritrain.data.boxes_out import export_boxes
from veritrain.data.coco import image_number
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.dior import DiorFormat
from veritrain.data.echo import EchoFormat
from veritrain.data.echo_subset import EchoSubsetOptions, write_echo_subset
from veritrain.data.options import DiorOptions, EchoOptions
from veritrain.errors import BrokenFileError, UsageError

SKIP = EchoOptions(on_broken="skip")
TRIANGLE = "1 0.25 0.25 0.75 0.25 0.25 0.75\n\n0 1 0"


@pytest.fixture(scope="module")
def exported(echo_world, tmp_path_factory):
    """(the data set, what was told, the file as pycocotools reads it)."""
    source = EchoFormat(echo_world)
    told = export_boxes(source, tmp_path_factory.mktemp("labels") / "out", "coco")
    return source, told, COCO(told["path"])


def test_every_box_is_where_its_label_says(exported, echo_world, echo_options):
    source, told, coco = exported
    keys = source.keys()
    assert told["frames"] == len(coco.imgs) == len(keys) == 54 and told["annotations"] == len(coco.anns) == 54
    assert told["broken"] == 0 and told["left_out"] == {}
    assert [one["name"] for one in coco.loadCats(coco.getCatIds())] == list(source.classes)
    for key in keys:
        image = coco.imgs[image_number(key.id)]
        assert (echo_world / image["file_name"]).is_file()
        assert (image["width"], image["height"]) == (echo_options.width, echo_options.height)
        labels = source.labels(key)
        view = source.views[labels.view] if labels.view >= 0 else None
        assert (image["view"], image["patient"], image["video"], image["part"]) == (
            view, key.group, key.video, key.published
        )  # fmt: skip
        found = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
        assert [one["category_id"] - 1 for one in found] == labels.classes.tolist()
        corner, size = labels.boxes[:, :2] - labels.boxes[:, 2:] / 2, labels.boxes[:, 2:]
        expected = np.concatenate([corner, size], 1) * ([echo_options.width, echo_options.height] * 2)
        np.testing.assert_allclose([one["bbox"] for one in found], expected, atol=2e-3)


def test_labels_scored_against_themselves_are_perfect(exported):
    _, _, coco = exported
    answers = [{key: one[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5}
               for one in coco.anns.values()]  # fmt: skip
    evaluation = COCOeval(coco, coco.loadRes(answers), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][..., 0, -1]
    assert precision[precision > -1].min() == 1.0


def test_a_polygon_is_its_mask_and_a_box_has_none(tmp_path):
    source = EchoFormat(
        write_set(tmp_path / "data", {"train/a": TRIANGLE, "train/b": BOX, "train/c": ""}, size=(80, 40))
    )
    coco = COCO(export_boxes(source, tmp_path / "out", "coco")["path"])
    first, second = (coco.loadAnns(coco.getAnnIds(imgIds=[image_number(f"train/images/{name}")])) for name in "ab")
    assert first[0]["segmentation"] == [[20.0, 10.0, 60.0, 10.0, 20.0, 30.0]] and first[0]["area"] == 400.0
    assert first[0]["bbox"] == [20.0, 10.0, 40.0, 20.0]
    assert coco.annToMask(first[0]).sum() == pytest.approx(400, rel=0.1)
    assert second[0]["segmentation"] == [] and second[0]["bbox"] == [32.0, 12.0, 16.0, 16.0]
    assert second[0]["area"] == 256.0
    assert image_number("train/images/c") in coco.imgs, "an image without any box is among the images"
    assert coco.imgs[image_number("train/images/b")]["view"] is None


def test_ids_stay_whatever_else_the_file_holds(exported, echo_world, tmp_path):
    source, told, _ = exported
    whole = COCO(told["path"])  # afresh: who scores writes into what pycocotools read
    write_echo_subset(source, tmp_path / "part", EchoSubsetOptions(share=0.34, frames=2))
    part = COCO(export_boxes(EchoFormat(tmp_path / "part"), tmp_path / "out", "coco")["path"])
    assert 0 < len(part.anns) < len(whole.anns)
    for mine, theirs in ((part.anns, whole.anns), (part.imgs, whole.imgs), (part.cats, whole.cats)):
        assert all(theirs[number] == one for number, one in mine.items())
    numbers = [*whole.anns, *whole.imgs]
    assert len(set(numbers)) == len(numbers) and all(0 < one == int(float(one)) for one in numbers)


def test_a_box_never_stands_out_of_its_image(tmp_path):
    source = EchoFormat(write_set(tmp_path / "data", {"train/a": "0 0.0499 0.5005 0.1 1"}, size=(1000, 200)))
    (one,) = COCO(export_boxes(source, tmp_path / "out", "coco")["path"]).anns.values()
    assert one["bbox"] == [
        0.0,
        pytest.approx(0.1, abs=1e-3),
        pytest.approx(99.9, abs=1e-3),
        pytest.approx(199.9, abs=1e-3),
    ]


def test_a_set_without_views_has_no_word_of_them(tmp_path):
    source = EchoFormat(write_set(tmp_path / "data", {"train/a": BOX}))
    content = json.loads(Path(export_boxes(source, tmp_path / "out", "coco")["path"]).read_text(encoding="utf-8"))
    assert "views" not in content and "view" not in content["images"][0]


@pytest.mark.parametrize("policy", ["skip", "error"])
def test_a_broken_image_is_counted_or_stops(tmp_path, policy):
    write_set(tmp_path / "data", {"train/a": BOX, "train/b": BOX})
    file = tmp_path / "data" / "train" / "images" / "b.png"
    file.write_bytes(file.read_bytes()[:60])
    source = EchoFormat(tmp_path / "data", EchoOptions(on_broken=policy))
    if policy == "error":
        with pytest.raises(BrokenFileError) as caught:
            export_boxes(source, tmp_path / "out", "coco")
        assert caught.value.file == str(file) and not (tmp_path / "out").exists()
    else:
        told = export_boxes(source, tmp_path / "out", "coco")
        assert (told["frames"], told["annotations"], told["broken"]) == (1, 1, 1)


def test_what_cannot_be_meant_is_counted(tmp_path):
    write_set(tmp_path / "data", {"train/a": BOX * 2, "train/b": "9 .5 .5 .1 .1", "train/c": None})
    told = export_boxes(EchoFormat(tmp_path / "data", SKIP), tmp_path / "out", "coco")
    assert told["left_out"] == {"image_without_label": 1, "class_unknown": 1} and told["annotations"] == 1


class TestAerialSets:
    """Boxes of DIOR and COCO sets: stated sizes, corners, crowds and scenes."""

    def test_oriented_boxes_keep_their_corners_and_no_image_is_needed(self, tmp_path):
        corners = (25, 5, 35, 15, 25, 25, 15, 15)
        images = {"train": {"00001": [("ship", (1, 1, 2, 2))]}}
        write_dior(tmp_path / "set", images, oriented={"00001": [("ship", corners)]}, pictures=False)
        told = export_boxes(DiorFormat(tmp_path / "set", DiorOptions(boxes="oriented")), tmp_path / "out", "coco")
        content = json.loads(Path(told["path"]).read_text())
        (image,), (one,) = content["images"], content["annotations"]
        assert (image["width"], image["height"], image["part"]) == (40, 30, "train")
        assert one["bbox"] == [14, 4, 21, 21] and one["area"] == 441
        np.testing.assert_allclose(one["segmentation"][0], np.array(corners) - 0.5, atol=2e-3)
        assert content["categories"][one["category_id"] - 1]["name"] == "ship"

    def test_a_coco_set_comes_out_as_it_came_in(self, tmp_path):
        given = coco_of(
            {7: ("a.jpg", (40, 30))}, [(7, 9, (1, 2, 3, 4)), (7, 4, (5, 6, 7, 8.5))], {9: "x", 4: "y"}, crowd=[2]
        )
        (tmp_path / "boxes.json").write_text(json.dumps(given))
        coco = COCO(export_boxes(CocoBoxes(tmp_path), tmp_path / "out", "coco")["path"])
        found = sorted(coco.anns.values(), key=lambda one: one["bbox"])
        assert [one["iscrowd"] for one in found] == [0, 1]
        np.testing.assert_allclose([one["bbox"] for one in found], [[1, 2, 3, 4], [5, 6, 7, 8.5]], atol=2e-3)
        assert [coco.cats[one["category_id"]]["name"] for one in found] == ["x", "y"]


@pytest.mark.parametrize("form", ["csv", "npy"])
def test_a_form_that_boxes_have_not_is_refused_by_name(exported, tmp_path, form):
    with pytest.raises(UsageError, match=f"boxes have no form '{form}'") as caught:
        export_boxes(exported[0], tmp_path / "out", form)
    assert "--as coco" in caught.value.fix and not (tmp_path / "out").exists()


def test_labels_are_not_mixed_with_what_is_there(exported, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match="mixed"):
        export_boxes(exported[0], tmp_path, "coco")
