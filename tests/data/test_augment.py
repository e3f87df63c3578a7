"""Image, returns, labels and calibration move together: followed return by return.

The test frame's image says where it came from (red is the column, green the row), its pixel labels are blocks, and
each return's id is its number, so that every return and pixel can be found again after any change.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tiny_street import HEIGHT, WIDTH, tiny_frame
from veritrain.data import augment
from veritrain.data.augment import Plan, augmented, cropped, draw_plan, recoloured, scaled, thinned, turned
from veritrain.data.geometry import project
from veritrain.data.paired_view import flipped
from veritrain.data.sample import Frame

FULL = [draw_plan("full", seed=4, epoch=1, index=index) for index in range(12)]
COLOURS_LEFT = {"brightness": 1.0, "contrast": 1.0, "colour": (1.0, 1.0, 1.0)}


def block_label(column, row):
    return (np.asarray(column) // 8 + np.asarray(row) // 8) % 3 - 1


def frame_of(seed: int = 3) -> Frame:
    frame = tiny_frame("0", "town/a", anomalous=True, seed=seed)
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    image = np.stack([columns * 5, rows * 7, np.full((HEIGHT, WIDTH), 90)], axis=-1).astype(np.uint8)
    return dataclasses.replace(
        frame,
        image=image,
        pixel_labels=block_label(columns, rows).astype(np.int8),
        point_ids=np.arange(len(frame.points), dtype=np.int32),
    )


def place_of(image: np.ndarray, pixel: np.ndarray) -> np.ndarray:
    """(N, 2) column and row in the original image that these (N, 2) pixels show, as their colour says."""
    column, row = pixel.astype(int).T
    return np.stack([image[row, column, 0] / 5, image[row, column, 1] / 7], axis=1)


def projected(frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    size = frame.image.shape[:2]
    return project(frame.points, frame.calibration.intrinsics, frame.calibration.camera_from_lidar, size)


def assert_consistent(before: Frame, after: Frame, *, least: int = 100) -> None:
    """Each return still lies on the pixel that shows what it lay on, with its own label, and so does the map."""
    old, was_in_view = projected(before)
    new, in_view = projected(after)
    ids = after.point_ids
    both = in_view & was_in_view[ids]
    assert both.sum() >= least
    shown = place_of(after.image, new[both])
    at_edge = (new[both] < 1).any(1) | (new[both] >= np.array([WIDTH, HEIGHT]) - 1).any(1)
    distance = np.abs(shown + 0.5 - old[ids[both]]).max(1)
    assert distance[~at_edge].max() <= 1.0, "within a pixel"
    assert np.array_equal(after.point_labels, before.point_labels[ids])
    assert np.array_equal(after.points[:, 3], before.points[ids, 3])
    column, row = new[both].astype(int).T
    found = after.pixel_labels[row, column]
    around = [block_label(shown[:, 0].round() + x, shown[:, 1].round() + y) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    inner = np.all([one == around[0] for one in around], axis=0)
    assert inner.sum() > least / 4 and np.array_equal(found[inner], around[4][inner])


def identical(a: Frame, b: Frame) -> bool:
    names = ("image", "points", "point_labels", "point_ids", "pixel_labels")
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names) and all(
        np.array_equal(getattr(a.calibration, name), getattr(b.calibration, name))
        for name in ("intrinsics", "camera_from_lidar")
    )


CHANGES = {
    "flip": flipped,
    "crop to the left": lambda frame: cropped(frame, zoom=1.3, across=0.0, down=0.3),
    "crop to the right": lambda frame: cropped(frame, zoom=1.25, across=1.0, down=1.0),
    "yaw": lambda frame: turned(frame, 0.4),
    "yaw the other way": lambda frame: turned(frame, -3.0),
    "scale": lambda frame: scaled(frame, 1.3),
    "dropout": lambda frame: thinned(frame, 0.3, seed=6),
    **{f"all {k}": lambda frame, plan=plan: augmented(frame, dataclasses.replace(plan, **COLOURS_LEFT))
       for k, plan in enumerate(FULL)},
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("seed", [3, 4])
def test_everything_moves_together(name, seed):
    frame = frame_of(seed)
    changed = CHANGES[name](frame)
    assert_consistent(frame, changed)
    assert not identical(frame, changed) and identical(frame, frame_of(seed)), "and the given frame stays"
    assert changed.image.shape == frame.image.shape and changed.image.dtype == np.uint8
    assert changed.points.dtype == np.float32 and changed.frame_label == frame.frame_label
    assert (changed.id, changed.group, changed.kind) == (frame.id, frame.group, frame.kind)


def test_the_test_sees_calibration_that_stayed_behind():
    frame = frame_of()
    for name in ("flip", "crop to the left", "yaw"):
        torn = dataclasses.replace(CHANGES[name](frame), calibration=frame.calibration)
        with pytest.raises(AssertionError):
            assert_consistent(frame, torn)


@pytest.mark.parametrize("change", [lambda f: turned(f, 0.3), lambda f: scaled(f, 0.9)])
def test_moving_the_returns_alone_moves_no_projection(change):
    frame = frame_of()
    (old, was), (new, now) = projected(frame), projected(change(frame))
    assert (was == now).mean() > 0.999
    np.testing.assert_allclose(new[was & now], old[was & now], atol=1e-3)
    assert not np.allclose(change(frame).points[:, :3], frame.points[:, :3], atol=0.1)


def test_distances_grow_with_the_scale_and_not_with_the_yaw():
    frame = frame_of()
    lengths = np.linalg.norm(frame.points[:, :3], axis=1)
    np.testing.assert_allclose(np.linalg.norm(scaled(frame, 1.05).points[:, :3], axis=1), 1.05 * lengths, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(turned(frame, 1.0).points[:, :3], axis=1), lengths, rtol=1e-5)


def test_a_crop_by_hand():
    """32 x 48 cut to 16 x 24 with its corner at (12, 24): one pixel becomes 2 x 2."""
    frame = frame_of()
    frame = dataclasses.replace(frame, pixel_labels=np.minimum(frame.pixel_labels, 0))
    part = cropped(frame, zoom=2.0, across=1.0, down=0.75)
    assert np.array_equal(part.pixel_labels, np.kron(frame.pixel_labels[12:28, 24:], np.ones((2, 2), np.int8)))
    old, new = frame.calibration.intrinsics, part.calibration.intrinsics
    np.testing.assert_allclose(new[0], [2 * old[0, 0], 0, 2 * (old[0, 2] - 24)])
    np.testing.assert_allclose(new[1], [0, 2 * old[1, 1], 2 * (old[1, 2] - 12)])
    np.testing.assert_allclose(part.image[5, 7, 0], frame.image[14:15, 27, 0], atol=3)


def test_an_anomaly_is_never_cut_or_dropped_away():
    """The frame keeps its label, so what makes it anomalous must stay."""
    frame = frame_of()
    corner = np.zeros((HEIGHT, WIDTH), np.int8)
    corner[:4, :4] = 1
    cornered = dataclasses.replace(frame, pixel_labels=corner)
    assert cropped(cornered, zoom=1.3, across=1.0, down=1.0) is cornered
    assert (cropped(cornered, zoom=1.3, across=0.0, down=0.0).pixel_labels == 1).any()
    labels = np.zeros(len(frame.points), np.int8)
    kept = np.isin(frame.point_ids, thinned(frame, 0.3, seed=6).point_ids)
    labels[np.flatnonzero(~kept)[:5]] = 1
    rare = dataclasses.replace(frame, point_labels=labels)
    assert thinned(rare, 0.3, seed=6) is rare


def test_dropout_drops_its_share_and_the_rest_keeps_its_order():
    frame = frame_of()
    few = thinned(frame, 0.3, seed=9)
    assert len(few.points) / len(frame.points) == pytest.approx(0.7, abs=0.05)
    assert (np.diff(few.point_ids) > 0).all() and np.array_equal(few.points, frame.points[few.point_ids])


def test_colours_change_the_image_alone():
    frame = frame_of()
    changed = recoloured(frame, brightness=1.2, contrast=0.8, colour=(1.05, 1.0, 0.95))
    mean = frame.image.mean()
    for channel, factor in enumerate((1.05, 1.0, 0.95)):
        values = ((frame.image[..., channel].astype(float) - mean) * 0.8 + mean) * 1.2 * factor
        assert np.abs(changed.image[..., channel] - np.clip(values, 0, 255)).max() <= 0.5 + 1e-9
    assert identical(dataclasses.replace(changed, image=frame.image), frame)


def test_plans_are_drawn_from_seed_epoch_and_index_alone():
    def plan(*place):
        return draw_plan("full", seed=place[0], epoch=place[1], index=place[2])

    assert plan(1, 2, 3) == plan(1, 2, 3)
    assert len({plan(1, 2, 3), plan(2, 2, 3), plan(1, 3, 3), plan(1, 2, 4)}) == 4
    assert draw_plan("none", seed=1, epoch=2, index=3) == Plan()
    for index in range(20):
        flip = draw_plan("flip", seed=1, epoch=2, index=index)
        assert flip == Plan(flip=np.random.default_rng([1, 2, index]).random() < 0.5), "as 0.1.0 drew it"
        assert plan(1, 2, index).flip == flip.flip


def test_every_part_of_a_full_plan_is_drawn_within_its_range():
    plans = [draw_plan("full", seed=0, epoch=0, index=index) for index in range(300)]
    ranges = {
        "zoom": (1.0, augment.LARGEST_ZOOM),
        "across": (0, 1),
        "down": (0, 1),
        "yaw": (-augment.LARGEST_YAW, augment.LARGEST_YAW),
        "scale": augment.SCALES,
        "dropout": (0, augment.LARGEST_DROPOUT),
        "brightness": augment.BRIGHTNESS,
        "contrast": augment.CONTRAST,
    }
    for name, (low, high) in ranges.items():
        values = np.array([getattr(plan, name) for plan in plans])
        assert low <= values.min() < low + 0.1 * (high - low) and high - 0.1 * (high - low) < values.max() <= high, name
    assert {field.name for field in dataclasses.fields(Plan)} == {*ranges, "flip", "colour", "dropout_seed"}


def test_no_plan_is_no_change():
    frame = frame_of()
    assert augmented(frame, Plan()) is frame


def test_a_frame_has_no_field_that_augmentation_does_not_know():
    """A new array on the pixel or point grid must be moved here too; then change this list."""
    known = {"id", "group", "kind", "image", "points", "frame_label", "point_labels", "point_ids", "pixel_labels"}
    assert {field.name for field in dataclasses.fields(Frame)} == known | {"calibration"}
