"""COCO's JSON: which files are detection files, and what of them cannot be meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dior_folders import coco_of
from veritrain.data.coco_json import find_documents, holds_boxes, number, part_of, read_document, whole
from veritrain.data.detection_inventory import AnnotationError

PANOPTIC = Path(__file__).resolve().parents[3] / "shared" / "data" / "panoptic"
DOCUMENT = coco_of({7: ("a.jpg", (40, 30))}, [(7, 90, (1, 2, 3, 4))], {90: "toothbrush", 1: "person"})


def written(place, content=None):
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(DOCUMENT if content is None else content))
    return place


def test_categories_are_in_the_order_of_their_ids(tmp_path):
    found = read_document(written(tmp_path / "a.json"))
    assert dict(found.names) == {1: "person", 90: "toothbrush"} and list(found.names) == [1, 90]
    assert len(found.images) == len(found.annotations) == 1


def test_documents_are_found_by_content(tmp_path):
    one = written(tmp_path / "annotations" / "instances_train2017.json")
    two = written(tmp_path / "valid" / "_annotations.coco.json")
    written(tmp_path / "annotations" / "captions.json", {"images": [], "annotations": [{"caption": "a"}]})
    written(tmp_path / "deep" / "er" / "est" / "a.json")
    (tmp_path / "empty.json").write_text("")
    assert find_documents(tmp_path) == [one, two]
    assert find_documents(one) == [one] and find_documents(tmp_path / "none") == []
    assert not holds_boxes(tmp_path / "empty.json")
    assert (part_of(one), part_of(two), part_of(tmp_path / "a.json")) == ("train", "val", "")


@pytest.mark.parametrize(
    ("name", "part"),
    [("instances_val2017.json", "val"), ("test.json", "test"), ("dior-train.json", "train"), ("trainer.json", ""),
     ("annotations.json", "")],
)  # fmt: skip
def test_the_part_is_a_word_of_the_name(name, part):
    assert part_of(Path("/data") / name) == part


@pytest.mark.skipif(not PANOPTIC.is_dir(), reason="the real panoptic sample is not at hand")
def test_panoptic_files_are_no_detection_files():
    found = [file.name for file in find_documents(PANOPTIC)]
    assert found == ["panoptic_coco_detection_format.json"]


@pytest.mark.parametrize(
    ("change", "name", "told"),
    [
        ({"images": None}, "list_missing", "images"),
        ({"annotations": {}}, "list_missing", "annotations"),
        ({"images": [5]}, "entry_broken", "images[0]"),
        ({"categories": []}, "category_broken", "categories"),
        ({"categories": [{"id": True, "name": "a"}]}, "category_broken", "categories[0]"),
        ({"categories": [{"id": 1, "name": ""}]}, "category_broken", "categories[0]"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]}, "category_broken", "categories[1]"),
        ({"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]}, "category_broken", "categories[1]"),
    ],
)
def test_what_is_no_document_names_its_element(tmp_path, change, name, told):
    with pytest.raises(AnnotationError) as caught:
        read_document(written(tmp_path / "a.json", {**DOCUMENT, **change}))
    assert caught.value.name == name and told in str(caught.value) and "a.json" in str(caught.value)


def test_a_document_that_is_cut_off(tmp_path):
    file = written(tmp_path / "a.json")
    file.write_text(file.read_text()[:-30])
    with pytest.raises(AnnotationError, match="no JSON, or cut off") as caught:
        read_document(file)
    assert caught.value.line == 1
    file.write_text("[]")
    with pytest.raises(AnnotationError, match="no object"):
        read_document(file)


def test_numbers_are_numbers():
    assert number(3) == 3.0 and number(2.5) == 2.5 and whole(4) == 4
    for value in (True, None, "3", float("nan"), float("inf"), [1]):
        assert number(value) is None and whole(value) is None
    assert whole(2.0) is None
