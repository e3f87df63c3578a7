"""Letterboxing: shapes by hand, pixels against PyTorch's bilinear resize, boxes there and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain.data.letterbox import GREY, bilinear, letterbox, place
from veritrain.errors import DataError

SIDES = st.integers(1, 700)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("original", "shape", "chosen", "scaled", "corner", "full"),
    [
        ((480, 640), (640, 640), {}, (480, 640), (80, 0), (640, 640)),
        ((480, 640), (640, 640), {"auto": True}, (480, 640), (0, 0), (480, 640)),
        ((375, 500), (640, 640), {"auto": True}, (480, 640), (0, 0), (480, 640)),
        ((375, 500), (640, 640), {"upscale": False}, (375, 500), (132, 70), (640, 640)),
        ((375, 500), (640, 640), {"upscale": False, "auto": True}, (375, 500), (4, 6), (384, 512)),
        ((1000, 600), (320, 320), {}, (320, 192), (0, 64), (320, 320)),
        ((77, 100), (160, 160), {}, (123, 160), (18, 0), (160, 160)),
        ((77, 100), (160, 160), {"auto": True}, (123, 160), (2, 0), (128, 160)),
        ((10, 2000), (320, 320), {}, (2, 320), (159, 0), (320, 320)),
    ],
)
def test_by_hand(original, shape, chosen, scaled, corner, full):
    placed = place(original, shape, **chosen)
    assert (placed.scaled, (placed.top, placed.left), placed.full) == (scaled, corner, full)


def test_half_a_pixel_of_grey_goes_below_and_right():
    placed = place((77, 100), (160, 160))
    assert placed.top == 18 and placed.full[0] - placed.scaled[0] - placed.top == 19


@settings(max_examples=200, deadline=None)
@given(original=st.tuples(SIDES, SIDES), shape=st.tuples(SIDES, SIDES), upscale=st.booleans(), auto=st.booleans())
def test_it_always_fits_and_keeps_the_proportions(original, shape, upscale, auto):
    placed = place(original, shape, upscale=upscale, auto=auto)
    for axis, first in enumerate((placed.top, placed.left)):
        spare = placed.full[axis] - placed.scaled[axis]
        assert 0 <= first <= spare - first <= first + 1
        assert placed.full[axis] <= shape[axis] and (placed.full[axis] == shape[axis] or auto)
        assert not auto or (shape[axis] - placed.full[axis]) % 32 == 0
        assert upscale or placed.scaled[axis] <= original[axis]
    ratio = min(shape[0] / original[0], shape[1] / original[1])
    ratio = ratio if upscale else min(ratio, 1)
    for new, old in zip(placed.scaled, original, strict=True):
        assert abs(new - old * ratio) <= 0.5 + 1e-6 or new == 1


@settings(max_examples=100, deadline=None)
@given(original=st.tuples(SIDES, SIDES), shape=st.tuples(st.integers(32, 700), st.integers(32, 700)))
def test_boxes_go_there_and_back(original, shape):
    height, width = original
    boxes = np.array([[0, 0, width, height], [0.25 * width, 0.1 * height, 0.5 * width, 0.9 * height]])
    placed = place(original, shape)
    there = placed.into(boxes)
    np.testing.assert_allclose(placed.back(there), boxes, atol=1e-9)
    rows, columns = placed.scaled
    expected = [placed.left, placed.top, placed.left + columns, placed.top + rows]
    np.testing.assert_allclose(there[0], expected, atol=1e-9, err_msg="the whole image is the whole picture in the box")


def test_boxes_come_back_within_the_image():
    placed = place((100, 200), (160, 160))
    assert placed.back(np.array([[-10, -10, 400, 400.0]])).tolist() == [[0, 0, 200, 100]]
    assert placed.back(np.zeros((0, 4))).shape == (0, 4)


def test_a_bright_square_is_where_its_box_says():
    image = np.zeros((90, 150, 3), dtype=np.uint8)
    image[20:60, 30:105] = 255
    full, placed = letterbox(image, (320, 320))
    left, top, right, bottom = placed.into(np.array([[30, 20, 105, 60]]))[0]
    bright = full[..., 0] > 200
    rows, columns = np.flatnonzero(bright.any(1)), np.flatnonzero(bright.any(0))
    assert abs(rows[0] - top) <= 1 and abs(rows[-1] + 1 - bottom) <= 1
    assert abs(columns[0] - left) <= 1 and abs(columns[-1] + 1 - right) <= 1


def test_grey_around_and_the_image_inside():
    full, placed = letterbox(noise(50, 80, 3), (96, 80))
    assert full.shape == (96, 80, 3) and full.dtype == np.uint8
    inside = full[placed.top : placed.top + 50]
    assert np.array_equal(inside, noise(50, 80, 3)), "the same size is the same pixels"
    outside = np.concatenate([full[: placed.top], full[placed.top + 50 :]])
    assert len(outside) == 46 and set(np.unique(outside)) == {GREY}
    assert letterbox(noise(50, 80), (32, 32))[0].shape == (32, 32), "grey images too"


@pytest.mark.parametrize("size", [(31, 57), (80, 120), (20, 30), (200, 17), (40, 60), (1, 1), (33, 60)])
def test_pixels_are_pytorchs_bilinear_ones(size):
    image = noise(40, 60, 3)
    tensor = torch.from_numpy(image).permute(2, 0, 1)[None].double()
    expected = torch.nn.functional.interpolate(tensor, size, mode="bilinear", align_corners=False, antialias=False)
    found = bilinear(image, size)
    assert found.dtype == np.uint8 and found.shape == (*size, 3)
    assert np.abs(found - expected[0].permute(1, 2, 0).numpy()).max() <= 0.5 + 1e-3
    assert np.array_equal(bilinear(image[..., 0], size), found[..., 0])


def test_the_given_image_is_never_changed():
    image = noise(40, 60, 3)
    bilinear(image, (40, 60))[:] = 0
    assert np.array_equal(image, noise(40, 60, 3))


def test_no_pixels_are_refused():
    for sizes in (((0, 5), (32, 32)), ((5, 5), (32, 0))):
        with pytest.raises(DataError, match="without pixels"):
            place(*sizes)
