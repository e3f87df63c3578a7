"""Checks of the labels on planted runs."""

from __future__ import annotations

import pytest

from audit.planted import assert_needs, cites, finding, planted, probed

PROBE = "labels_read_twice"


def data(**counts):
    return {"splits": {name: {"positives": yes, "negatives": no} for name, (yes, no) in counts.items()}}


def read_twice(differing, checked=300):
    return {"checked": checked, "differing": differing, "examples": [f"train[{i}]" for i in range(differing)][:5]}


def test_both_labels_present_passes_when_every_split_has_both():
    found = finding("both_labels_present", planted(data=data(train=(30, 90), val=(1, 20), test=(9, 40))))
    assert found.status == "pass" and found.id == "D1"
    assert "val 1/20" in found.sentence and cites(found) == {"data.json"}
    assert found.value == {"train": [30, 90], "val": [1, 20], "test": [9, 40]}


@pytest.mark.parametrize("lame", [(0, 20), (20, 0), (0, 0)])
def test_both_labels_present_fails_when_one_split_lacks_a_class(lame):
    found = finding("both_labels_present", planted(data=data(train=(30, 90), val=lame, test=(9, 40))))
    assert found.status == "fail"
    assert "The split val lacks a class" in found.sentence and found.to_settle


def test_both_labels_present_fails_without_any_split():
    assert finding("both_labels_present", planted(data={"splits": {}})).status == "fail"


def test_both_labels_present_is_not_run_without_data():
    assert finding("both_labels_present", planted()).status == "not_run"


def test_labels_deterministic_passes_when_nothing_changed():
    found = probed("labels_deterministic", PROBE, read_twice(0))
    assert (found.status, found.value, found.bound) == ("pass", 0, 0)
    assert "300 labels were the same" in found.sentence


def test_labels_deterministic_fails_on_one_changed_label():
    found = probed("labels_deterministic", PROBE, read_twice(1))
    assert (found.status, found.value) == ("fail", 1)
    assert "1 of 300 labels changed" in found.sentence and "train[0]" in found.sentence
    assert cites(found) == {"evidence/labels_read_twice.json"}


def test_labels_deterministic_is_not_run_when_nothing_was_read():
    assert probed("labels_deterministic", PROBE, read_twice(0, checked=0)).status == "not_run"
    assert_needs("labels_deterministic", PROBE, read_twice(0))


def of_kinds(**changes):
    kinds = {"boxes": {"AR": 3, "PR": 1}, "view": {"PLAX": 2, "A4C": 2}, **changes}
    return {"positives": 4, "negatives": 0, "labelled": kinds}


def test_both_labels_present_asks_for_every_class_where_there_are_several():
    data = {"splits": {"train": of_kinds(), "test": of_kinds()}}
    found = finding("both_labels_present", planted(data=data))
    assert found.status == "pass" and "AR/PR/PLAX/A4C: train 3/1/2/2" in found.sentence
    data["splits"]["test"] = of_kinds(view={"PLAX": 2, "A4C": 0})
    found = finding("both_labels_present", planted(data=data))
    assert found.status == "fail" and "The split test lacks a class" in found.sentence


LATER = "loss_without_later_boxes"


def later(images=60, **changes):
    return {"looked_at": 128, "images": images, "boxes": 400, "dropped": 272, "relative_change": changes}


def test_every_box_learned_passes_when_one_term_reads_them_all():
    found = probed("every_box_learned", LATER, later(cls=0.4, giou=0.0))
    assert found.status == "pass" and "60 of 128 images have several" in found.sentence


def test_every_box_learned_fails_when_only_the_first_is_read():
    found = probed("every_box_learned", LATER, later(first_object=0.0))
    assert found.status == "fail" and found.on_fail in (None, "unproves")
    assert "272 of 400 boxes are taken away" in found.sentence and cites(found) == {f"evidence/{LATER}.json"}


def test_every_box_learned_is_not_run_without_images_of_several_boxes():
    assert probed("every_box_learned", LATER, later(images=0, cls=0.0)).status == "not_run"
    assert probed("every_box_learned", LATER, later(images=0)).status == "not_run"
    assert_needs("every_box_learned", LATER, later(cls=0.4))
