"""The keys that data check has for every format with boxes."""

from __future__ import annotations

import json

import pytest

from dior_folders import TINY, coco_of, write_dior
from veritrain.data.box_inspection import inspect_boxes
from veritrain.data.check_form import check_form, shared_between
from veritrain.data.coco_boxes import CocoBoxes
from veritrain.data.dior import DiorFormat
from veritrain.data.echo import EchoFormat
from veritrain.data.echo_inspection import inspect_echo
from veritrain.data.options import EchoOptions

KEYS = {"format", "annotation", "objects", "classes", "splits", "shared_groups", "malformed"}


def test_the_form():
    found = check_form(
        name="dior", annotation="horizontal", objects=3, classes={"ship": (3, 2)}, splits={"train": (2, 3, 1)},
        shared_groups=0, malformed=1,
    )  # fmt: skip
    assert found == {
        "format": "dior",
        "annotation": "horizontal",
        "objects": 3,
        "classes": {"ship": {"objects": 3, "images": 2}},
        "splits": {"train": {"images": 2, "objects": 3, "groups": 1}},
        "shared_groups": 0,
        "malformed": 1,
    }


@pytest.mark.parametrize(
    ("groups", "shared"),
    [({}, 0), ({"train": ["a", "a"]}, 0), ({"train": ["a", "b"], "val": ["b"], "test": ["b", "c", "a"]}, 2)],
)
def test_a_group_counts_once_however_many_splits_share_it(groups, shared):
    assert shared_between(groups) == shared


def test_every_format_with_boxes_answers_in_it(tmp_path, echo_world):
    write_dior(tmp_path / "dior", TINY)
    (tmp_path / "coco").mkdir()
    content = coco_of({7: ("a.jpg", (40, 30))}, [(7, 1, (1, 1, 2, 2))], {1: "a"})
    (tmp_path / "coco" / "train.json").write_text(json.dumps(content))
    answers = [
        inspect_boxes(DiorFormat(tmp_path / "dior")).as_json(),
        inspect_boxes(CocoBoxes(tmp_path / "coco")).as_json(),
        inspect_echo(EchoFormat(echo_world, EchoOptions(on_broken="skip"))).as_json(),
    ]
    assert [one["format"] for one in answers] == ["dior", "coco", "echo"]
    for one in answers:
        assert set(one) >= KEYS and one["annotation"] == "horizontal"
        assert all(isinstance(one[key], int) for key in ("objects", "shared_groups", "malformed"))
        assert all({"objects", "images"} <= set(counts) for counts in one["classes"].values())
        assert all(set(counts) == {"images", "objects", "groups"} for counts in one["splits"].values())
        assert sum(counts["objects"] for counts in one["classes"].values()) == one["objects"]
        assert sum(counts["objects"] for counts in one["splits"].values()) == one["objects"]
    assert answers[2]["shared_groups"] > 0, "the echo world's published split leaks"
