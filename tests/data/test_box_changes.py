"""Drawn rectangles are found where their boxes say, whatever was done to the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain.data.box_changes import (
    LEAST_SIDE,
    MIDDLE,
    Change,
    Motion,
    Piece,
    changed,
    draw_change,
    motions_of,
    recoloured,
)
from veritrain.data.letterbox import GREY
from veritrain.data.options import BoxChanges
from veritrain.errors import ConfigError

CORNERS = np.array([[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)], np.uint8)
"""Eight colours that differ from grey and from each other; class k has colour k."""
PALETTE = np.concatenate((CORNERS, np.full((1, 3), GREY, np.uint8))).astype(np.float64)
SHAPES = st.sampled_from([(96, 96), (96, 128), (128, 64)])
ALL = {"flip": 0.5, "turn": 0.5, "scale": 0.5, "crop": 0.5}
EACH = [{"flip": 1.0}, {"turn": 1.0}, {"scale": 0.6}, {"crop": 1.0}, {"mosaic": 1.0}, ALL, {**ALL, "mosaic": 1.0}]


def drawn(shape, place, rng):
    """Two rectangles of two colours on grey, one in each half: classes 2 place and 2 place + 1."""
    image = np.full((*shape, 3), GREY, np.uint8)
    corners = []
    for half in range(2):
        low, high = half * shape[0] // 2 + 2, (half + 1) * shape[0] // 2 - 2
        top, left = int(rng.integers(low, high - 12)), int(rng.integers(2, shape[1] - 16))
        bottom, right = int(rng.integers(top + 10, high + 1)), int(rng.integers(left + 10, shape[1] - 1))
        image[top:bottom, left:right] = CORNERS[2 * place + half]
        corners.append([left, top, right, bottom])
    edges = np.array(corners, np.float64) / np.array([shape[1], shape[0]] * 2)
    boxes = np.concatenate(((edges[:, :2] + edges[:, 2:]) / 2, edges[:, 2:] - edges[:, :2]), axis=1)
    classes = np.array([2 * place, 2 * place + 1])
    return {"image": image.transpose(2, 0, 1), "boxes": boxes.astype(np.float32), "classes": classes}


def pixels_of(image, number):
    """(H, W) bool: pixels that are nearest to a colour; (3, H, W) uint8."""
    far = ((image.transpose(1, 2, 0)[:, :, None].astype(np.float64) - PALETTE) ** 2).sum(axis=3)
    return far.argmin(axis=2) == number


def corners_of(boxes, shape):
    found = np.concatenate((boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2), axis=1)
    return found.astype(np.float64) * np.array([shape[1], shape[0]] * 2)


@pytest.mark.parametrize("options", EACH, ids=lambda one: "+".join(one))
@settings(max_examples=25)
@given(shape=SHAPES, seed=st.integers(0, 10**6), least=st.sampled_from([0.0, 0.25, 0.7, 1.0]))
def test_rectangles_are_where_their_boxes_say(options, shape, seed, least):
    changes = BoxChanges(**options, least_visible=least)
    change = draw_change(changes, 4, seed=seed, epoch=1, index=0)
    rng = np.random.default_rng(seed)
    samples = [drawn(shape, place, rng) for place in range(len(change.pieces))]
    image, boxes, classes = changed(change, samples, least)
    assert image.shape == (3, *shape) and image.dtype == np.uint8 and boxes.dtype == np.float32
    corners = corners_of(boxes, shape)
    assert (corners >= -1e-4).all() and (corners <= np.array([shape[1], shape[0]] * 2) + 1e-4).all()
    assert (corners[:, 2:] - corners[:, :2] >= LEAST_SIDE - 1e-4).all(), "nothing degenerate"
    motions, last = motions_of(change, shape)
    for sample, motion in zip(samples, motions, strict=True):
        for number, box in zip(sample["classes"], corners_of(sample["boxes"], shape), strict=True):
            whole = motion.into(box[None]) if last is None else last.into(motion.into(box[None]))
            area = (whole[0, 2:] - whole[0, :2]).prod()
            there = pixels_of(image, number)
            if number in classes:
                rows, columns = np.nonzero(there)
                found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                np.testing.assert_allclose(corners[classes.tolist().index(number)], found, atol=1.6)
            else:
                # A pixel of blending around the border of what is seen.
                sides = np.sqrt(area) * 4 + 8
                assert there.sum() <= max(least * area, LEAST_SIDE * max(shape)) + sides


@settings(max_examples=60)
@given(
    before=SHAPES,
    flip=st.booleans(),
    turns=st.integers(0, 3),
    scaled=st.tuples(st.integers(20, 200), st.integers(20, 200)),
    top=st.integers(-50, 50),
    left=st.integers(-50, 50),
    seed=st.integers(0, 999),
)
def test_the_way_back_gives_the_boxes(before, flip, turns, scaled, top, left, seed):
    motion = Motion(before=before, flip=flip, turns=turns, window=(3, 5, 40, 50), scaled=scaled, top=top, left=left)
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(-10, 140, (7, 2, 2)), axis=1).reshape(7, 4)[:, [0, 1, 2, 3]]
    moved = motion.into(corners)
    assert (moved[:, :2] <= moved[:, 2:]).all(), "left of right and above below, as before"
    np.testing.assert_allclose(motion.back(moved), corners, atol=1e-9)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_mirrored_and_turned_pictures_are_numpys_own(flip, turns):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (3, 40, 40), np.uint8)
    sample = {"image": image, "boxes": np.zeros((0, 4), np.float32), "classes": np.zeros(0, np.int64)}
    change = Change(pieces=(Piece(index=0, flip=flip, turns=turns),))
    found, boxes, classes = changed(change, [sample], 0.5)
    picture = image.transpose(1, 2, 0)
    wanted = np.rot90(picture[:, ::-1] if flip else picture, turns)
    np.testing.assert_array_equal(found.transpose(1, 2, 0), wanted)
    assert boxes.shape == (0, 4) and classes.shape == (0,)


def test_a_corner_by_hand():
    """A box at the left top of 100 x 100, turned once against the clock, lies at the left bottom."""
    motion = motions_of(Change(pieces=(Piece(index=0, turns=1),)), (100, 100))[0][0]
    assert motion.into(np.array([[0, 0, 30, 10]])).tolist() == [[0, 70, 10, 100]]
    flipped = motions_of(Change(pieces=(Piece(index=0, flip=True),)), (100, 100))[0][0]
    assert flipped.into(np.array([[0, 0, 30, 10]])).tolist() == [[70, 0, 100, 10]]


@pytest.mark.parametrize(("least", "kept"), [(0.0, 1), (0.49, 1), (0.51, 0), (1.0, 0)])
def test_an_object_keeps_its_box_by_what_is_seen_of_it(least, kept):
    """The left half of 100 x 100 is kept; a box from 40 to 60 is seen by half."""
    sample = drawn((100, 100), 0, np.random.default_rng(0))
    box = np.array([[0.5, 0.5, 0.2, 0.2]], np.float32)
    change = Change(pieces=(Piece(index=0),), window=(0.0, 0.0, 1.0, 0.5))
    _, boxes, classes = changed(change, [{**sample, "boxes": box, "classes": np.array([7])}], least)
    assert len(boxes) == kept and classes.tolist() == [7] * kept
    if kept:
        # Half as wide as high, so it is put down in the middle, 25 columns from the left.
        np.testing.assert_allclose(boxes, [[0.7, 0.5, 0.1, 0.2]], atol=1e-6)


def test_an_object_seen_whole_keeps_its_box_whatever_is_asked():
    sample = drawn((96, 128), 0, np.random.default_rng(3))
    for seed in range(40):
        change = draw_change(BoxChanges(flip=0.5, turn=0.5), 1, seed=seed, epoch=0, index=0)
        assert len(changed(change, [sample], 1.0)[1]) == 2


class TestDrawing:
    @given(st.integers(0, 99), st.integers(0, 9), st.integers(0, 50))
    def test_a_pure_function(self, seed, epoch, index):
        changes = BoxChanges(**ALL, colour=0.3, mosaic=0.5)
        one, two = (draw_change(changes, 51, seed=seed, epoch=epoch, index=index) for _ in range(2))
        assert one == two and one.pieces[0].index == index
        assert one != draw_change(changes, 51, seed=seed, epoch=epoch + 1, index=index)

    def test_at_nought_nothing_is_drawn(self):
        assert draw_change(BoxChanges(), 9, seed=1, epoch=1, index=4) == Change(pieces=(Piece(index=4),))

    @pytest.mark.parametrize("name", ["flip", "turn", "crop", "mosaic"])
    def test_shares_are_shares(self, name):
        changes = BoxChanges(**{name: 0.3})
        plain = [Change(pieces=(Piece(index=index),)) for index in range(600)]
        drawn_ones = [draw_change(changes, 600, seed=0, epoch=0, index=index) for index in range(600)]
        share = np.mean([one != two for one, two in zip(plain, drawn_ones, strict=True)])
        assert abs(share - 0.3) < 0.08

    def test_ranges(self):
        ones = [draw_change(BoxChanges(scale=0.4, colour=0.2), 9, seed=0, epoch=0, index=i) for i in range(300)]
        scales, lights = np.array([one.scale for one in ones]), np.array([one.brightness for one in ones])
        assert 0.6 <= scales.min() < 0.65 and 1.35 < scales.max() <= 1.4
        assert 0.8 <= lights.min() < 0.82 and 1.18 < lights.max() <= 1.2
        channels = np.array([one.channels for one in ones])
        assert 0.95 <= channels.min() < 0.955 and 1.045 < channels.max() <= 1.05
        meets = [draw_change(BoxChanges(mosaic=1), 9, seed=0, epoch=0, index=i).meet for i in range(50)]
        assert MIDDLE[0] <= np.min(meets) and np.max(meets) <= MIDDLE[1]

    def test_turns_are_a_quarter_a_half_and_three_quarters_alike(self):
        turns = [draw_change(BoxChanges(turn=1), 1, seed=s, epoch=0, index=0).pieces[0].turns for s in range(600)]
        assert all(abs(turns.count(number) - 200) < 50 for number in (1, 2, 3))


class TestColour:
    def test_boxes_stay_and_pixels_change(self):
        sample = drawn((64, 64), 1, np.random.default_rng(1))
        change = draw_change(BoxChanges(colour=0.5), 1, seed=3, epoch=0, index=0)
        image, boxes, classes = changed(change, [sample], 0.25)
        np.testing.assert_allclose(boxes, sample["boxes"], atol=1e-6)
        assert classes.tolist() == sample["classes"].tolist() and (image != sample["image"]).any()

    def test_brightness_by_hand(self):
        image = np.full((2, 2, 3), 100, np.uint8)
        bright = Change(pieces=(Piece(index=0),), brightness=1.5, channels=(1.0, 1.2, 2.0))
        assert recoloured(image, bright)[0, 0].tolist() == [150, 180, 255]
        flat = Change(pieces=(Piece(index=0),), contrast=0.5)
        mixed = np.stack((image, np.full_like(image, 200)))
        assert set(recoloured(mixed.reshape(4, 2, 3), flat).ravel().tolist()) == {125, 175}


@pytest.mark.parametrize(
    "wrong", [{"flip": 1.1}, {"scale": 0.95}, {"least_visible": -0.1}, {"mosaic": 2}, {"colour": 1.0}]
)
def test_what_is_out_of_range_is_refused(wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} is out of its range"):
        BoxChanges(**wrong)
