"""Frames made in code, small enough for tests: a bright, near disc that camera and LiDAR both see is the anomaly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from veritrain.data.frames import FrameSet
from veritrain.data.geometry import CAMERA_AXES, intrinsics
from veritrain.data.paired_view import ViewOptions
from veritrain.data.sample import UNKNOWN, Calibration, Frame
from veritrain.models.options import FusionOptions
from veritrain.tasks.anomaly import AnomalyTask

HEIGHT, WIDTH = 32, 48
VIEWS = ViewOptions(rows=16, columns=72)
RADIUS = 12.0
"""Of the disc, in degrees."""


def tiny_frame(name: str, group: str, *, anomalous: bool, seed: int) -> Frame:
    """One frame; the disc stands somewhere in the camera's view, a little of everything is UNKNOWN."""
    rng = np.random.default_rng(seed)
    centre = np.array([rng.uniform(-25, 25), rng.uniform(-15, 5)])
    points, on_disc = _sweep(rng, centre, anomalous)
    image = rng.integers(60, 130, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    painted = _pixels_of(centre) & anomalous
    image[painted] = (250, 20, 20)
    pixel_labels = painted.astype(np.int8)
    pixel_labels[0, :5] = UNKNOWN
    point_labels = on_disc.astype(np.int8)
    point_labels[rng.integers(0, len(points), 9)] = UNKNOWN
    return Frame(
        id=f"{group}/{name}",
        group=group,
        kind="static" if anomalous else "normality",
        image=image,
        points=points,
        frame_label=int(anomalous),
        point_labels=point_labels,
        point_ids=np.select([point_labels == 1, point_labels == 0], [29, normal_ids(len(points))], UNKNOWN).astype(
            np.int32
        ),
        pixel_labels=pixel_labels,
        calibration=calibration(),
    )


def normal_ids(n: int) -> np.ndarray:
    """(n,) ids of normal returns: every third one lies on a car (14), the others on the road (1)."""
    return np.where(np.arange(n) % 3 == 0, 14, 1)


def calibration() -> Calibration:
    """A camera beside and above the LiDAR, looking ahead; its principal point is not the middle."""
    extrinsics = np.eye(4)
    extrinsics[:3, :3] = CAMERA_AXES
    extrinsics[:3, 3] = (0.1, 0.05, -0.02)
    matrix = intrinsics(HEIGHT, WIDTH, 90.0)
    matrix[0, 2] += 1.25
    return Calibration(intrinsics=matrix, camera_from_lidar=extrinsics)


def tiny_frames(groups: int = 8, frames: int = 3, *, seed: int = 0) -> list[Frame]:
    """Every other group holds anomalies, in all but its first frame."""
    return [
        tiny_frame(f"{k}", f"town/{g:02d}", anomalous=g % 2 == 0 and k > 0, seed=1000 * seed + 10 * g + k)
        for g in range(groups)
        for k in range(frames)
    ]


def tiny_set(groups: int = 8, frames: int = 3, *, seed: int = 0, **options: Any) -> FrameSet:
    return FrameSet(tiny_frames(groups, frames, seed=seed), VIEWS, **options)


def batch_of(dataset: Any, indices: Sequence[int] | None = None) -> dict[str, Any]:
    """The samples with these indices (all without them) as one batch."""
    chosen = range(len(dataset)) if indices is None else indices
    return dataset.collate([dataset.sample(index, epoch=0, seed=0) for index in chosen])


def tiny_task(fusion: str = "attention", *, loss: str = "bce", **network: Any) -> AnomalyTask:
    """The anomaly task with a network of 8 channels."""
    weights = {"frame": 1.0, "point": 1.0, "pixel": 1.0}
    if fusion == "points_only":
        weights.pop("pixel")
    shape = {"width": 8, "heads": 2, "dropout": 0.0, "modality_dropout": 0.0, **network}
    return AnomalyTask(
        network=FusionOptions(fusion=fusion, **shape),  # type: ignore[arg-type]
        loss=loss,
        pos_weights={"frame": 2.0, "point": 20.0, "pixel": 20.0},
        term_weights=weights,
    )


def _sweep(rng: np.random.Generator, centre: np.ndarray, anomalous: bool) -> tuple[np.ndarray, np.ndarray]:
    """(N, 4) float32 returns of a 16 x 72 sweep (some rays lost) and (N,) bool on the disc."""
    elevation, azimuth = np.meshgrid(np.linspace(15, -25, 16), np.arange(-177.5, 180, 5.0), indexing="ij")
    elevation, azimuth = elevation.ravel(), azimuth.ravel() + rng.uniform(-2, 2, azimuth.size)
    kept = rng.random(azimuth.size) < 0.8
    elevation, azimuth = elevation[kept], azimuth[kept]
    on_disc = (np.hypot(azimuth - centre[0], elevation - centre[1]) < RADIUS) & anomalous
    distance = np.where(on_disc, rng.uniform(3, 3.5, azimuth.size), rng.uniform(9, 25, azimuth.size))
    up, around = np.radians(elevation), np.radians(azimuth)
    xyz = distance[:, None] * np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], axis=1)
    intensity = np.where(on_disc, 0.95, rng.uniform(0, 0.3, azimuth.size))
    return np.column_stack([xyz, intensity]).astype(np.float32), on_disc


def _pixels_of(centre: np.ndarray) -> np.ndarray:
    """(H, W) bool: pixels whose ray meets the disc."""
    matrix = calibration().intrinsics
    row, column = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    right, down = (column - matrix[0, 2]) / matrix[0, 0], (row - matrix[1, 2]) / matrix[1, 1]
    azimuth = np.degrees(np.arctan(-right))
    elevation = np.degrees(np.arctan2(-down, np.hypot(right, 1)))
    return np.hypot(azimuth - centre[0], elevation - centre[1]) < RADIUS
