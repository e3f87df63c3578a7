"""Run lengths are those of pycocotools, and every part of a mask comes back from its annotation."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as reference

from veritrain.data.coco import components, compressed, image_number, run_lengths


def masks():
    rng = np.random.default_rng(0)
    yield from (np.zeros((4, 6), bool), np.ones((4, 6), bool), np.eye(5, dtype=bool))
    for share in (0.02, 0.3, 0.9):
        for size in ((1, 7), (33, 20), (96, 144)):
            yield rng.random(size) < share
    large = np.zeros((600, 800), bool)
    large[100:500, 3:790] = True  # runs that take several characters, and negative differences
    yield large


@pytest.mark.parametrize("mask", list(masks()), ids=lambda mask: f"{mask.shape}-{int(mask.sum())}")
def test_run_lengths_are_those_of_pycocotools(mask):
    ours = compressed(run_lengths(mask))
    theirs = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert ours == theirs["counts"].decode()
    assert np.array_equal(reference.decode({"size": list(mask.shape), "counts": ours}), mask)


def test_runs_start_with_what_is_not_in_the_mask():
    assert run_lengths(np.array([[True, False], [True, True]])) == [0, 2, 1, 1]
    assert run_lengths(np.zeros((2, 3), bool)) == [6]


def test_parts_have_their_own_mask_box_area_and_score():
    mask = np.zeros((6, 9), bool)
    mask[1, 1] = mask[2, 2] = True  # touch at a corner: one part
    mask[4:6, 6:9] = True
    scores = np.zeros((6, 9), np.float32)
    scores[2, 2], scores[5, 7], scores[0, 0] = 0.7, 0.9, 1.0
    first, second = components(mask, scores)
    assert (first["bbox"], first["area"], first["score"]) == ([1, 1, 2, 2], 2, 0.7)
    assert (second["bbox"], second["area"], second["score"]) == ([6, 4, 3, 2], 6, 0.9)
    assert "score" not in components(mask)[0]
    assert components(np.zeros((3, 3), bool)) == []


@pytest.mark.parametrize("seed", range(3))
def test_all_parts_together_are_the_mask(seed):
    mask = np.random.default_rng(seed).random((40, 30)) < 0.25
    found = components(mask)
    decoded = [reference.decode(one["segmentation"]) for one in found]
    assert np.array_equal(np.sum(decoded, axis=0), mask)
    for one, part in zip(found, decoded, strict=True):
        assert one["area"] == part.sum() == reference.area(one["segmentation"])
        assert one["bbox"] == reference.toBbox(one["segmentation"]).tolist()


def test_a_frame_has_one_number_that_a_float_holds():
    number = image_number("Town01/Scenario_a/1")
    assert number == image_number("Town01/Scenario_a/1") != image_number("Town01/Scenario_a/2")
    assert int(float(number)) == number
