"""Images looked at without training."""

from __future__ import annotations

import shutil

import pytest
from PIL import Image

from dior_folders import TINY, write_dior
from veritrain.data.dior import DiorFormat
from veritrain.data.image_presence import look_at_images


@pytest.fixture
def tiny(tmp_path):
    return write_dior(tmp_path, TINY)


def test_whole_images(tiny):
    found = look_at_images(DiorFormat(tiny))
    assert found.counts == {
        "annotated": 5, "present": 5, "missing": 0, "decoded": 5, "broken": 0, "other_size": 0,
    }  # fmt: skip
    assert found.copies == {"sets": 0, "files": 0, "across_splits": 0} and not found.problems


def test_what_is_wrong_is_counted_and_named(tiny):
    (tiny / "JPEGImages-test" / "00021.jpg").unlink()
    Image.new("RGB", (41, 30)).save(tiny / "JPEGImages-test" / "00022.jpg")
    file = tiny / "JPEGImages-trainval" / "00001.jpg"
    file.write_bytes(file.read_bytes()[:200])
    shutil.copy(tiny / "JPEGImages-trainval" / "00002.jpg", tiny / "JPEGImages-trainval" / "00011.jpg")
    found = look_at_images(DiorFormat(tiny))
    assert found.counts["missing"] == 1 and found.counts["broken"] == 1 and found.counts["other_size"] == 1
    assert found.copies == {"sets": 1, "files": 2, "across_splits": 1}
    broken, other = found.problems
    assert broken.name == "image_broken" and broken.file.endswith("00001.jpg")
    assert other.name == "size_differs" and other.element == "size" and other.file.endswith("00022.xml")


def test_sizes_are_read_of_all_however_few_are_decoded(tiny):
    Image.new("RGB", (41, 30)).save(tiny / "JPEGImages-trainval" / "00002.jpg")
    found = look_at_images(DiorFormat(tiny), sample=1)
    assert found.counts["decoded"] == 1 and found.counts["other_size"] == 1


def test_annotations_alone(tmp_path):
    found = look_at_images(DiorFormat(write_dior(tmp_path, TINY, pictures=False)))
    assert found.counts["missing"] == 5 and found.counts["decoded"] == 0 and not found.problems
