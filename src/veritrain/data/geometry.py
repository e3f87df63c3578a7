"""Where a LiDAR point lies in an image and in a range view. NumPy only.

AnoVox's stored points are right-handed (x forward, y left, z up); its cameras are pinholes without
distortion, f = W / (2 tan(fov / 2)) (AnoVox, arXiv 2405.07865, sensor layout).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CAMERA_AXES: Floats = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])
"""(3, 3): camera (right, down, forward) = (-y, -z, x) of the vehicle's (forward, left, up)."""


def intrinsics(height: int, width: int, field_of_view: float) -> Floats:
    """(3, 3) K in pixels for an ``height`` x ``width`` image; ``field_of_view`` in degrees across the width."""
    focal = width / (2 * np.tan(np.radians(field_of_view) / 2))
    return np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])


def rotation_from_carla(degrees: Sequence[float]) -> Floats:
    """(3, 3) sensor to vehicle, right-handed, from AnoVox's ``rotation`` [roll, pitch, yaw] in CARLA's degrees.

    CARLA is left-handed (y right): mirroring y keeps the roll about x and turns pitch and yaw about.
    """
    roll, pitch, yaw = np.radians(np.asarray(degrees, dtype=np.float64)) * np.array([1.0, -1.0, -1.0])
    return _about_z(float(yaw)) @ _about_y(float(pitch)) @ _about_x(float(roll))


def pose(location: Sequence[float], rotation: Sequence[float]) -> Floats:
    """(4, 4) sensor to vehicle in right-handed metres from CARLA's ``location`` and ``rotation``."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation_from_carla(rotation)
    matrix[:3, 3] = np.asarray(location, dtype=np.float64) * np.array([1.0, -1.0, 1.0])
    return matrix


def camera_from_lidar(camera_pose: Floats, lidar_pose: Floats) -> Floats:
    """(4, 4) LiDAR metres to camera metres (right, down, forward) from two (4, 4) poses."""
    axes = np.eye(4)
    axes[:3, :3] = CAMERA_AXES
    return axes @ np.linalg.inv(camera_pose) @ lidar_pose


def cloud_from_depth(
    depth: NDArray[np.floating], matrix: Floats, *, reach: float = 100.0
) -> tuple[Floats, NDArray[np.bool_]]:
    """The points that a depth image shows, in the axes of the stored clouds (forward, left, up) of the camera's place.

    Args:
        depth: (H, W) metres along the viewing axis.
        matrix: (3, 3) K.
        reach: points farther than this many metres are dropped, as AnoVox's generator does.

    Returns:
        (N, 3) float64 metres, row by row of the image, and (H, W) bool: the pixels they come from.
    """
    height, width = depth.shape
    row, column = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
    forward = depth.astype(np.float64)
    right = (column - matrix[0, 2]) * forward / matrix[0, 0]
    down = (row - matrix[1, 2]) * forward / matrix[1, 1]
    near = np.sqrt(right**2 + down**2 + forward**2) <= reach
    return np.stack([forward[near], -right[near], -down[near]], axis=1), near


def project(
    points: NDArray[np.floating], matrix: Floats, extrinsics: Floats, size: tuple[int, int]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Image positions of LiDAR points.

    Args:
        points: (N, >=3) x, y, z in metres.
        matrix: (3, 3) K.
        extrinsics: (4, 4) camera from LiDAR.
        size: (height, width) of the image.

    Returns:
        (N, 2) float64 column and row in pixels (the pixel is their floor), and (N,) bool in view: at least
        0.1 m before the camera and inside the image. Positions out of view are 0.
    """
    camera = points[:, :3].astype(np.float64) @ extrinsics[:3, :3].T + extrinsics[:3, 3]
    ahead = camera[:, 2] > 0.1
    safe = np.where(ahead, camera[:, 2], 1.0)
    column = matrix[0, 0] * camera[:, 0] / safe + matrix[0, 2]
    row = matrix[1, 1] * camera[:, 1] / safe + matrix[1, 2]
    height, width = size
    seen = ahead & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    return np.where(seen[:, None], np.stack([column, row], axis=1), 0.0), seen


def range_view_cells(
    points: NDArray[np.floating], rows: int, columns: int, *, upper: float = 15.0, lower: float = -25.0
) -> NDArray[np.int64]:
    """(N, 2) int64 (row, column) of each point in a range view.

    Row 0 looks ``upper`` degrees up, the last row ``lower``; column 0 looks backwards and columns turn clockwise,
    so that the middle looks ahead. Points beyond the upper or lower edge go to the nearest row.
    """
    x, y, z = (points[:, axis].astype(np.float64) for axis in range(3))
    elevation = np.degrees(np.arctan2(z, np.hypot(x, y)))
    row = np.rint((upper - elevation) / (upper - lower) * (rows - 1))
    column = np.floor((np.pi - np.arctan2(y, x)) / (2 * np.pi) * columns)
    cells = np.stack([np.clip(row, 0, rows - 1), np.mod(column, columns)], axis=1)
    return cells.astype(np.int64)


def _about_x(angle: float) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0, 0], [0, cosine, -sine], [0, sine, cosine]])


def _about_y(angle: float) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, 0, sine], [0, 1.0, 0], [-sine, 0, cosine]])


def _about_z(angle: float) -> Floats:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
