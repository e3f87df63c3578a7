"""From a frame to the arrays a fusion network reads: image, range view, and who sees whom."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from veritrain.data.geometry import project, range_view_cells
from veritrain.data.sample import UNKNOWN, Calibration, Frame

TOKEN = (4, 2)
"""Rows and columns of the range view that one LiDAR token stands for."""

RANGE_SCALE = np.float32(1 / 30)
HEIGHT_SCALE = np.float32(1 / 3)
"""Metres to about unit size; heights vary less than distances."""


@dataclass(frozen=True, kw_only=True)
class ViewOptions:
    """The grids.

    Attributes:
        rows, columns: of the range view; multiples of 4 and 2.
        image_stride: pixels per side of an image feature cell.
        window: side of the image window around a projected token, odd.
        neighbours: LiDAR tokens kept per image cell, the nearest first.
        most_seen: share of all tokens that may project into the image; the nearest are kept.
        pixels, rays: also where tokens project and where image cells look (``data.view_extras``).
        returns: also the returns themselves, at most so many of them to make tokens of; 0 is none.
    """

    rows: int = 64
    columns: int = 180
    image_stride: int = 4
    window: int = 3
    neighbours: int = 4
    most_seen: float = 0.28
    pixels: bool = False
    rays: bool = False
    returns: int = 0


def flipped(frame: Frame) -> Frame:
    """Left and right exchanged in image, points, labels and calibration together."""
    width = frame.image.shape[1]
    intrinsics = frame.calibration.intrinsics.copy()
    intrinsics[0, 2] = width - intrinsics[0, 2]
    mirror = np.diag([1.0, -1.0, 1.0, 1.0])
    camera_mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    extrinsics = camera_mirror @ frame.calibration.camera_from_lidar @ mirror
    points = frame.points.copy()
    points[:, 1] *= -1
    return replace(
        frame,
        image=np.ascontiguousarray(frame.image[:, ::-1]),
        points=points,
        pixel_labels=np.ascontiguousarray(frame.pixel_labels[:, ::-1]),
        calibration=Calibration(intrinsics=intrinsics, camera_from_lidar=extrinsics),
    )


def paired_view(
    frame: Frame, options: ViewOptions, *, cells: NDArray[np.int64] | None = None
) -> dict[str, NDArray[np.generic]]:
    """The arrays of one frame.

    Args:
        cells: :func:`flat_cells` of the frame's points where the caller has it.

    Returns:
        ``image`` (3, H, W) uint8, made to float in [-1, 1] by ``frames.unit_images`` once it lies in a batch;
        ``view`` (6, R, A) float32: log(1 + range) / 4, x / 30, y / 30, z / 3,
        intensity, 1 where there is a return;
        ``view_labels`` (R, A) int8, the label of the nearest return in the cell, UNKNOWN where there is none;
        ``pixel_labels`` (H, W) int8; ``frame_label`` () float32; ``seen`` (S,) int64 tokens that project into
        the image and ``seen_mask``; ``window`` (S, window^2) int64 and ``window_mask``; ``neighbours``
        (H/s W/s, k) int64 and ``neighbours_mask``. A token is a 4 x 2 block of the range view.
    """
    cells = flat_cells(frame.points, options) if cells is None else cells
    view, labels = _range_view(frame, cells, options)
    tokens = view_tokens(view)
    height, width = frame.image.shape[:2]
    calibration = frame.calibration
    pixels, in_view = project(tokens[:, :3], calibration.intrinsics, calibration.camera_from_lidar, (height, width))
    in_view &= tokens[:, 3] > 0
    grid = (height // options.image_stride, width // options.image_stride)
    cell = np.clip(
        (np.nan_to_num(pixels) // options.image_stride).astype(np.int64), 0, np.array([grid[1] - 1, grid[0] - 1])
    )
    seen, seen_mask = _seen(tokens, in_view, int(options.most_seen * len(tokens)))
    window, window_mask = _windows(cell[seen], seen_mask, grid, options.window)
    near, near_mask = _neighbours(cell, in_view, tokens, grid, options.neighbours)
    return {
        "image": np.ascontiguousarray(frame.image.transpose(2, 0, 1)),
        "view": view,
        "view_labels": labels,
        "pixel_labels": frame.pixel_labels,
        "frame_label": np.array(frame.frame_label, np.float32),
        "seen": seen,
        "seen_mask": seen_mask,
        "window": window,
        "window_mask": window_mask,
        "neighbours": near,
        "neighbours_mask": near_mask,
    }


def flat_cells(points: NDArray[np.float32], options: ViewOptions) -> NDArray[np.int64]:
    """(N, 4) returns -> (N,) index of each one's cell in the flattened (R, A) range view."""
    cells = range_view_cells(points[:, :3], options.rows, options.columns)
    return cells[:, 0] * options.columns + cells[:, 1]


def view_labels(frame: Frame, options: ViewOptions) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """(R, A) int8 labels of the range view as :func:`paired_view` gives them, and (R, A) bool: a return is there."""
    filled, nearest = _nearest_returns(flat_cells(frame.points, options), _distances(frame.points), options)
    labels = np.full(options.rows * options.columns, UNKNOWN, np.int8)
    there = np.zeros(len(labels), bool)
    labels[filled], there[filled] = frame.point_labels[nearest], True
    shape = (options.rows, options.columns)
    return labels.reshape(shape), there.reshape(shape)


def _distances(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) metres; column by column, which is ten times as fast as ``np.linalg.norm`` and has the same bits."""
    x, y, z = (np.ascontiguousarray(points[:, axis]) for axis in range(3))
    distance: NDArray[np.float32] = np.sqrt(x * x + y * y + z * z)
    return distance


def _nearest_returns(
    cells: NDArray[np.int64], distance: NDArray[np.float32], options: ViewOptions
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The cells that hold a return, in order, and the nearest return of each; of equally near ones the last."""
    least = np.full(options.rows * options.columns, np.inf, np.float32)
    np.minimum.at(least, cells, distance)
    candidates = np.flatnonzero(distance == least[cells])
    nearest = np.full(len(least), -1, np.int64)
    nearest[cells[candidates]] = candidates  # an index that stands twice gets the last value
    filled = np.flatnonzero(nearest >= 0)
    return filled, nearest[filled]


def _range_view(
    frame: Frame, cells: NDArray[np.int64], options: ViewOptions
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """The nearest return of each cell."""
    distance = _distances(frame.points)
    filled, nearest = _nearest_returns(cells, distance, options)
    chosen = frame.points[nearest]
    view = np.zeros((6, options.rows * options.columns), np.float32)
    labels = np.full(options.rows * options.columns, UNKNOWN, np.int8)
    view[0, filled] = np.log1p(distance[nearest]) / 4
    view[1:3, filled] = chosen[:, :2].T * RANGE_SCALE
    view[3, filled] = chosen[:, 2] * HEIGHT_SCALE
    view[4, filled] = chosen[:, 3]
    view[5, filled] = 1
    labels[filled] = frame.point_labels[nearest]
    shape = (options.rows, options.columns)
    return view.reshape(6, *shape), labels.reshape(shape)


def view_tokens(view: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest return of each block: (R/4 A/2, 4) x, y, z in metres, there."""
    channels, rows, columns = view.shape
    tall, wide = TOKEN
    blocks = view.reshape(channels, rows // tall, tall, columns // wide, wide)
    blocks = blocks.transpose(1, 3, 2, 4, 0).reshape(-1, tall * wide, channels)
    distance = np.where(blocks[..., 5] > 0, blocks[..., 0], np.inf)
    nearest = blocks[np.arange(len(blocks)), distance.argmin(1)]
    metres = np.array([1 / RANGE_SCALE, 1 / RANGE_SCALE, 1 / HEIGHT_SCALE, 1], np.float32)
    return nearest[:, [1, 2, 3, 5]] * metres


def _seen(
    tokens: NDArray[np.float32], in_view: NDArray[np.bool_], most: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The tokens in view, nearest first, and which of the (most,) places hold one; the others name unseen tokens."""
    distance = np.where(in_view, np.linalg.norm(tokens[:, :3], axis=1), np.inf)
    chosen = np.argsort(distance, kind="stable")[:most]
    return chosen.astype(np.int64), in_view[chosen]


def _windows(
    cell: NDArray[np.int64], in_view: NDArray[np.bool_], grid: tuple[int, int], side: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    reach = np.arange(side) - side // 2
    x = cell[:, 0, None, None] + reach[None, None, :]
    y = cell[:, 1, None, None] + reach[None, :, None]
    inside = (x >= 0) & (x < grid[1]) & (y >= 0) & (y < grid[0]) & in_view[:, None, None]
    index = np.where(inside, y * grid[1] + x, 0)
    return index.reshape(len(cell), -1), inside.reshape(len(cell), -1)


def _neighbours(
    cell: NDArray[np.int64],
    in_view: NDArray[np.bool_],
    tokens: NDArray[np.float32],
    grid: tuple[int, int],
    most: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """For each image cell the nearest tokens that project into it, at most ``most``."""
    index = np.zeros((grid[0] * grid[1], most), np.int64)
    mask = np.zeros((grid[0] * grid[1], most), bool)
    seen = np.flatnonzero(in_view)
    home = cell[seen, 1] * grid[1] + cell[seen, 0]
    order = np.lexsort((np.linalg.norm(tokens[seen, :3], axis=1), home))
    home, seen = home[order], seen[order]
    rank = np.arange(len(home)) - np.searchsorted(home, home)
    kept = rank < most
    index[home[kept], rank[kept]] = seen[kept]
    mask[home[kept], rank[kept]] = True
    return index, mask
