"""What DIOR and COCO sets have in common: labels from pixels, keys, and the policies."""

from __future__ import annotations

import numpy as np
import pytest

from dior_folders import TINY, write_dior
from veritrain.data.boxed_images import areas_of, labels_of
from veritrain.data.dior import DiorFormat
from veritrain.errors import LayoutError

NOTHING = [np.nan] * 4


def test_pixels_become_shares_and_rows_of_nan_are_left_out():
    edges = np.array([[0, 0, 40, 30], NOTHING, [10, 15, 20, 30]], np.float64)
    found = labels_of(edges, np.array([2, 0, 1]), [5, 9, 13], (40, 30), crowd=np.array([False, True, True]))
    np.testing.assert_allclose(found.boxes, [[0.5, 0.5, 1, 1], [0.375, 0.75, 0.25, 0.5]])
    assert found.classes.tolist() == [2, 1] and found.lines == (5, 13) and found.objects == 3
    assert found.crowd is not None and found.crowd.tolist() == [False, True] and found.corners is None


def test_corners_go_with_their_boxes():
    edges = np.array([NOTHING, [0, 0, 4, 4]], np.float64)
    corners = np.arange(16, dtype=np.float64).reshape(2, 4, 2)
    found = labels_of(edges, np.array([0, 1]), [1, 2], (10, 20), corners=corners)
    assert found.corners is not None
    np.testing.assert_allclose(found.corners, corners[1:] / [10, 20], rtol=1e-6)


def test_no_object_is_no_box():
    found = labels_of(np.zeros((0, 4)), np.zeros(0, np.int64), [], (10, 10))
    assert found.boxes.shape == (0, 4) and found.boxes.dtype == np.float32 and found.objects == 0


def test_areas():
    assert np.array_equal(areas_of(np.array([[0, 0, 4, 5], NOTHING])), [20, np.nan], equal_nan=True)


class TestSet:
    def test_without_images_a_set_can_be_counted_and_not_trained_on(self, tmp_path):
        source = DiorFormat(write_dior(tmp_path, TINY, pictures=False))
        assert source.inventory().objects == 5 and not source.with_images().keys()
        with pytest.raises(LayoutError, match="boxes alone cannot be trained on"):
            source.demand_images()

    def test_keys_are_sorted_by_group_and_counted_inside(self, tmp_path):
        keys = DiorFormat(write_dior(tmp_path, TINY)).keys()
        assert [(key.id, key.index) for key in keys] == [
            ("00001", 0), ("00002", 1), ("00011", 0), ("00021", 0), ("00022", 1),
        ]  # fmt: skip
        assert all(key.video == key.group and key.frame == -1 for key in keys)
        assert keys[0].kind == "ship"

    def test_the_hash_of_an_image_follows_its_bytes_and_the_stated_size(self, tmp_path):
        root = write_dior(tmp_path, TINY)
        source = DiorFormat(root)
        first, second = source.keys()[:2]
        before = source.file_hash(first)
        assert before == DiorFormat(root).file_hash(first) != source.file_hash(second)
        file = root / "Annotations" / "Horizontal Bounding Boxes" / "00001.xml"
        file.write_text(file.read_text().replace("<width>40<", "<width>41<"))
        assert DiorFormat(root).file_hash(first) != before
