"""Sentences about aerial images with boxes: errors first, and nothing said of nothing."""

from __future__ import annotations

from dior_folders import SHIP, write_dior
from veritrain.data.box_inspection import inspect_boxes
from veritrain.data.dior import DiorFormat
from veritrain.data.dior_names import DIOR_CLASSES
from veritrain.data.options import DiorOptions


def test_a_whole_set_has_nothing_to_be_said(tmp_path):
    images = {f"{number:05d}": [(name, SHIP)] for number, name in enumerate(DIOR_CLASSES, start=1)}
    root = write_dior(tmp_path, {"train": images}, scenes={name: f"scene {name}" for name in images})
    assert inspect_boxes(DiorFormat(root)).remarks == []


def test_errors_stand_first_and_say_what_and_where(tmp_path):
    root = write_dior(tmp_path, {"train": {"00001": [("ship", SHIP)], "00002": [("boat", SHIP), ("boat", SHIP)]}})
    remarks = inspect_boxes(DiorFormat(root, DiorOptions(on_broken="skip"))).remarks
    assert remarks[0].level == "error" and remarks[0].name == "class_unknown"
    assert remarks[0].text == "2 left out; first: object 1, name: DIOR has no such class (found 'boat')"
    assert [one.level for one in remarks] == sorted(
        (one.level for one in remarks), key=["error", "warning", "note"].index
    )
    absent = next(one for one in remarks if one.name == "classes_absent")
    assert absent.text.startswith("19 classes have no object: airplane, airport")
