"""From a frame to arrays: compared with a slow computation written independently, point by point."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from tiny_street import HEIGHT, VIEWS, WIDTH, tiny_frame, tiny_frames
from veritrain.data.paired_view import TOKEN, ViewOptions, flat_cells, flipped, paired_view, view_labels
from veritrain.data.sample import UNKNOWN

GRID = (HEIGHT // 4, WIDTH // 4)
FIELDS = ("image", "points", "point_labels", "pixel_labels")


def frame_of(seed: int = 3):
    return tiny_frame("0", "town/a", anomalous=True, seed=seed)


def pixel_of(frame, point) -> tuple[float, float] | None:
    """(column, row) where one point appears, or None: K T p, written out."""
    x, y, z, _ = frame.calibration.camera_from_lidar @ [*map(float, point[:3]), 1.0]
    if z <= 0.1:
        return None
    matrix = frame.calibration.intrinsics
    column, row = matrix[0, 0] * x / z + matrix[0, 2], matrix[1, 1] * y / z + matrix[1, 2]
    return (column, row) if 0 <= column < WIDTH and 0 <= row < HEIGHT else None


def cell_of(point) -> tuple[int, int]:
    """(row, column) in the range view: elevation from 15 down to -25 degrees, azimuth clockwise from behind."""
    x, y, z = map(float, point[:3])
    elevation = math.degrees(math.atan2(z, math.hypot(x, y)))
    azimuth = math.degrees(math.atan2(y, x))
    row = round((15 - elevation) / 40 * (VIEWS.rows - 1))
    column = int((180 - azimuth) / 360 * VIEWS.columns) % VIEWS.columns
    return min(max(row, 0), VIEWS.rows - 1), column


def nearest_in(frame, block_of) -> dict[tuple[int, int], int]:
    """Block to the index of its nearest return."""
    best: dict[tuple[int, int], int] = {}
    distance = np.linalg.norm(frame.points[:, :3], axis=1)
    for index, point in enumerate(frame.points):
        block = block_of(cell_of(point))
        if block not in best or distance[index] < distance[best[block]]:
            best[block] = index
    return best


def tokens_of(frame) -> dict[int, int]:
    """Token to the index of its nearest return."""
    columns = VIEWS.columns // TOKEN[1]
    blocks = nearest_in(frame, lambda cell: (cell[0] // TOKEN[0], cell[1] // TOKEN[1]))
    return {row * columns + column: index for (row, column), index in blocks.items()}


def image_cell(pixel: tuple[float, float], stride: int = 4) -> tuple[int, int]:
    return int(pixel[1] // stride), int(pixel[0] // stride)


def test_the_view_holds_the_nearest_return_of_each_cell():
    frame = frame_of()
    arrays = paired_view(frame, VIEWS)
    nearest = nearest_in(frame, lambda cell: cell)
    assert set(zip(*np.nonzero(arrays["view"][5]), strict=True)) == set(nearest)
    for cell, index in nearest.items():
        x, y, z, intensity = frame.points[index]
        distance = math.sqrt(float(x) ** 2 + float(y) ** 2 + float(z) ** 2)
        expected = [math.log1p(distance) / 4, x / 30, y / 30, z / 3, intensity, 1]
        assert arrays["view"][(slice(None), *cell)] == pytest.approx(expected, abs=1e-5)
        assert arrays["view_labels"][cell] == frame.point_labels[index]


def test_a_cell_without_a_return_is_zero_and_unknown():
    arrays = paired_view(frame_of(), VIEWS)
    empty = arrays["view"][5] == 0
    assert empty.any() and not arrays["view"][:, empty].any()
    assert (arrays["view_labels"][empty] == UNKNOWN).all()


def test_the_nearer_of_two_returns_hides_the_other():
    frame = frame_of()
    ray = frame.points[:1].copy()
    near, far = ray.copy(), ray.copy()
    near[:, :3] *= 0.5
    far[:, :3] *= 2.0
    cell = cell_of(ray[0])
    for order in ([near, ray, far], [far, ray, near]):
        crowded = type(frame)(**{**vars(frame), "points": np.concatenate(order), "point_labels": np.int8([1, 0, 0])})
        view = paired_view(crowded, VIEWS)["view"]
        assert view[1:4, *cell] * [30, 30, 3] == pytest.approx(near[0, :3], abs=1e-4)


def test_every_return_knows_its_cell():
    frame = frame_of()
    cells = flat_cells(frame.points, VIEWS)
    assert cells.tolist() == [row * VIEWS.columns + column for row, column in map(cell_of, frame.points)]


def test_the_image_keeps_its_bytes_until_it_is_in_a_batch():
    arrays, frame = paired_view(frame_of(), VIEWS), frame_of()
    assert arrays["image"].dtype == np.uint8 and np.array_equal(arrays["image"].transpose(1, 2, 0), frame.image)


def by_sorting(frame, views):
    """Range view and its labels as 0.1.0 made them: all returns drawn from far to near."""
    cells = flat_cells(frame.points, views)
    xyz, distance = frame.points[:, :3], np.linalg.norm(frame.points[:, :3], axis=1)
    order = np.argsort(-distance, kind="stable")
    view = np.zeros((6, views.rows * views.columns), np.float32)
    labels = np.full(views.rows * views.columns, UNKNOWN, np.int8)
    where = cells[order]
    view[0, where] = np.log1p(distance[order]) / 4
    view[1:3, where] = xyz[order, :2].T * np.float32(1 / 30)
    view[3, where] = xyz[order, 2] * np.float32(1 / 3)
    view[4, where] = frame.points[order, 3]
    view[5, where] = 1
    labels[where] = frame.point_labels[order]
    return view.reshape(6, views.rows, views.columns), labels.reshape(views.rows, views.columns)


@pytest.mark.parametrize("seed", range(4))
def test_the_range_view_has_the_bits_of_the_slow_way(seed):
    """Also where many returns share a cell and where several are equally near: the last of them counts."""
    frame = frame_of(seed)
    rng = np.random.default_rng(seed)
    again = rng.integers(0, len(frame.points), 4000)
    labels = rng.integers(-1, 2, len(again)).astype(np.int8)
    crowded = dataclasses.replace(frame, points=frame.points[again], point_labels=labels)
    for views in (VIEWS, ViewOptions(rows=8, columns=24)):
        expected, expected_labels = by_sorting(crowded, views)
        arrays = paired_view(crowded, views)
        assert arrays["view"].tobytes() == expected.tobytes()
        assert np.array_equal(arrays["view_labels"], expected_labels)
        alone, there = view_labels(crowded, views)
        assert np.array_equal(alone, expected_labels) and np.array_equal(there, expected[5] > 0)
    assert len(np.unique(again)) < len(again) / 2, "there are equals to choose from"


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_seen_tokens_are_those_that_project_into_the_image_the_nearest_first(seed):
    frame = frame_of(seed)
    arrays = paired_view(frame, VIEWS)
    inside = {token: i for token, i in tokens_of(frame).items() if pixel_of(frame, frame.points[i]) is not None}
    by_distance = sorted(inside, key=lambda token: float(np.linalg.norm(frame.points[inside[token], :3])))
    places = int(VIEWS.most_seen * (VIEWS.rows // TOKEN[0]) * (VIEWS.columns // TOKEN[1]))
    assert arrays["seen"].shape == (places,)
    assert arrays["seen"][arrays["seen_mask"]].tolist() == by_distance[:places]
    assert len(set(arrays["seen"].tolist())) == places, "padding names other tokens, so that nothing is added twice"


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_windows_name_the_image_cells_around_the_projected_pixel(seed):
    frame = frame_of(seed)
    arrays = paired_view(frame, VIEWS)
    tokens = tokens_of(frame)
    for place in np.flatnonzero(arrays["seen_mask"]):
        pixel = pixel_of(frame, frame.points[tokens[int(arrays["seen"][place])]])
        row, column = image_cell(pixel)
        around = {(row + y, column + x) for y in (-1, 0, 1) for x in (-1, 0, 1)}
        expected = {(y, x) for y, x in around if 0 <= y < GRID[0] and 0 <= x < GRID[1]}
        named = arrays["window"][place][arrays["window_mask"][place]]
        assert {divmod(int(one), GRID[1]) for one in named} == expected and len(named) == len(expected)
        assert divmod(int(arrays["window"][place][4]), GRID[1]) == (row, column), "the middle is its own cell"
    assert not arrays["window_mask"][~arrays["seen_mask"]].any()


@pytest.mark.parametrize("stride", [4, 16])
@pytest.mark.parametrize("most", [1, 2, 4])
def test_neighbours_are_the_nearest_tokens_of_each_image_cell(most, stride):
    frame = frame_of()
    views = ViewOptions(rows=VIEWS.rows, columns=VIEWS.columns, neighbours=most, image_stride=stride)
    arrays = paired_view(frame, views)
    rows, columns = HEIGHT // stride, WIDTH // stride
    homes: dict[int, list[tuple[float, int]]] = {}
    for token, index in tokens_of(frame).items():
        pixel = pixel_of(frame, frame.points[index])
        if pixel is not None:
            row, column = image_cell(pixel, stride)
            distance = float(np.linalg.norm(frame.points[index, :3]))
            homes.setdefault(row * columns + column, []).append((distance, token))
    assert arrays["neighbours"].shape == (rows * columns, most)
    assert stride == 4 or max(map(len, homes.values())) > 4, "there is something to choose from"
    for cell in range(rows * columns):
        expected = [token for _, token in sorted(homes.get(cell, []))][:most]
        assert arrays["neighbours"][cell][arrays["neighbours_mask"][cell]].tolist() == expected


def test_all_indices_can_be_gathered():
    for frame in tiny_frames(4, 2):
        arrays = paired_view(frame, VIEWS)
        tokens = (VIEWS.rows // TOKEN[0]) * (VIEWS.columns // TOKEN[1])
        for key, size in (("seen", tokens), ("neighbours", tokens), ("window", GRID[0] * GRID[1])):
            assert arrays[key].dtype == np.int64 and arrays[key].min() >= 0 and arrays[key].max() < size


def test_flipping_twice_gives_the_frame_back():
    frame = frame_of()
    again = flipped(flipped(frame))
    for field in FIELDS:
        assert np.array_equal(getattr(again, field), getattr(frame, field)), field
    assert np.array_equal(again.calibration.intrinsics, frame.calibration.intrinsics)
    assert np.array_equal(again.calibration.camera_from_lidar, frame.calibration.camera_from_lidar)
    assert (again.id, again.group, again.kind, again.frame_label) == (frame.id, frame.group, frame.kind, 1)


def test_flipping_leaves_the_frame_alone():
    frame, same = frame_of(), frame_of()
    flipped(frame)
    assert all(np.array_equal(getattr(frame, field), getattr(same, field)) for field in FIELDS)
    assert not np.array_equal(flipped(frame).image, frame.image)


@pytest.mark.parametrize("seed", range(4))
def test_image_returns_labels_and_calibration_flip_together(seed):
    """Each return falls on the same thing as before, mirrored: pixel, label and all."""
    frame, mirror = frame_of(seed), flipped(frame_of(seed))
    hits = 0
    for point, other, label in zip(frame.points, mirror.points, frame.point_labels, strict=True):
        pixel, mirrored = pixel_of(frame, point), pixel_of(mirror, other)
        assert (pixel is None) == (mirrored is None)
        if pixel is None:
            continue
        assert mirrored == pytest.approx((WIDTH - pixel[0], pixel[1]), abs=1e-4)
        row, column = int(pixel[1]), int(pixel[0])
        assert np.array_equal(mirror.image[row, int(mirrored[0])], frame.image[row, column])
        assert mirror.pixel_labels[row, int(mirrored[0])] == frame.pixel_labels[row, column]
        hits += label == 1 and frame.pixel_labels[row, column] == 1
    assert hits > 15, "anomalous returns land on anomalous pixels"
    assert np.array_equal(mirror.point_labels, frame.point_labels)


def test_the_arrays_of_a_flipped_frame_are_mirrored():
    frame = frame_of()
    here, there = paired_view(frame, VIEWS), paired_view(flipped(frame), VIEWS)
    assert np.array_equal(there["image"], here["image"][:, :, ::-1])
    assert np.array_equal(there["pixel_labels"], here["pixel_labels"][:, ::-1])
    assert np.array_equal(there["view_labels"], here["view_labels"][:, ::-1])
    sign = np.array([1, 1, -1, 1, 1, 1], np.float32)[:, None, None]
    np.testing.assert_allclose(there["view"], here["view"][:, :, ::-1] * sign, atol=1e-6)
    assert there["seen_mask"].sum() == here["seen_mask"].sum()


def test_a_coarse_image_grid_asks_for_fewer_cells():
    arrays = paired_view(frame_of(), ViewOptions(rows=16, columns=36, image_stride=8, window=1))
    assert arrays["neighbours"].shape[0] == (HEIGHT // 8) * (WIDTH // 8)
    assert arrays["window"].shape[1] == 1
