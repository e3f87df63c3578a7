"""From a frame to the arrays a fusion network reads: image, range view, and who sees whom."""

from __future__ import annotations

from dataclasses import dataclass

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
    return Frame(
        id=frame.id,
        group=frame.group,
        kind=frame.kind,
        image=np.ascontiguousarray(frame.image[:, ::-1]),
        points=points,
        frame_label=frame.frame_label,
        point_labels=frame.point_labels,
        point_ids=frame.point_ids,
        pixel_labels=np.ascontiguousarray(frame.pixel_labels[:, ::-1]),
        calibration=Calibration(intrinsics=intrinsics, camera_from_lidar=extrinsics),
    )


def paired_view(frame: Frame, options: ViewOptions) -> dict[str, NDArray[np.generic]]:
    """The arrays of one frame.

    Returns:
        ``image`` (3, H, W) float32 in [-1, 1]; ``view`` (6, R, A) float32: log(1 + range) / 4, x / 30, y / 30, z / 3,
        intensity, 1 where there is a return;
        ``view_labels`` (R, A) int8, the label of the nearest return in the cell, UNKNOWN where there is none;
        ``pixel_labels`` (H, W) int8; ``frame_label`` () float32; ``seen`` (S,) int64 tokens that project into
        the image and ``seen_mask``; ``window`` (S, window^2) int64 and ``window_mask``; ``neighbours``
        (H/s W/s, k) int64 and ``neighbours_mask``. A token is a 4 x 2 block of the range view.
    """
    cells = flat_cells(frame.points, options)
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
        "image": (frame.image.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1).copy(),
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


def _range_view(
    frame: Frame, cells: NDArray[np.int64], options: ViewOptions
) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    """Nearest return per cell wins; the far ones are drawn first."""
    xyz, intensity = frame.points[:, :3], frame.points[:, 3]
    distance = np.linalg.norm(xyz, axis=1)
    order = np.argsort(-distance, kind="stable")
    view = np.zeros((6, options.rows * options.columns), np.float32)
    labels = np.full(options.rows * options.columns, UNKNOWN, np.int8)
    where = cells[order]
    view[0, where] = np.log1p(distance[order]) / 4
    view[1:3, where] = xyz[order, :2].T * RANGE_SCALE
    view[3, where] = xyz[order, 2] * HEIGHT_SCALE
    view[4, where] = intensity[order]
    view[5, where] = 1
    labels[where] = frame.point_labels[order]
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
