"""What one sample is, whatever format it lay in on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from veritrain.errors import LayoutError

UNKNOWN = -1
"""Label value for "not known or not to be judged"; never read as normal."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """One pinhole camera beside one LiDAR.

    Attributes:
        intrinsics: (3, 3) float64 K in pixels of the stored image, no distortion.
        camera_from_lidar: (4, 4) float64, LiDAR metres (x forward, y left, z up) to camera metres
            (x right, y down, z forward); for AnoVox's mono rig the rotation is (-y, -z, x).
    """

    intrinsics: NDArray[np.float64]
    camera_from_lidar: NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One moment seen by one camera and one LiDAR, with labels at three levels.

    Attributes:
        id: "<town>/<scenario>/<frame>", unique in the data set.
        group: "<town>/<scenario>": what must not be split.
        kind: scenario type ("normality", "static", "sudden_braking"); never an input of a model.
        image: (H, W, 3) uint8 RGB.
        points: (N, 4) float32 x, y, z in metres (right-handed LiDAR frame), intensity in [0, 1].
        frame_label: 1 anomalous, 0 normal, UNKNOWN.
        point_labels: (N,) int8 of 1, 0, UNKNOWN (ignored ids or no labelled return near by).
        point_ids: (N,) int32 semantic id behind each point label, UNKNOWN where no labelled return is near by; for
            evaluation (which returns lie on objects), never an input of a model.
        pixel_labels: (H, W) int8 of 1, 0, UNKNOWN.
        calibration: the sensors' geometry for ``image`` as given here.
    """

    id: str
    group: str
    kind: str
    image: NDArray[np.uint8]
    points: NDArray[np.float32]
    frame_label: int
    point_labels: NDArray[np.int8]
    point_ids: NDArray[np.int32]
    pixel_labels: NDArray[np.int8]
    calibration: Calibration


@dataclass(frozen=True, kw_only=True)
class FrameKey:
    """Where a frame sits in its data set, without reading its sensors."""

    id: str
    group: str
    kind: str
    index: int
    """0-based position of the frame inside its scenario (sorted by frame counter)."""


def unknown_key(path: Path, what: str, key: FrameKey) -> LayoutError:
    """The error of a key that a source never gave; ``what``: "image", "frame"."""
    return LayoutError(
        f"no {what} '{key.id}'",
        file=path,
        expected="a key that keys() gave",
        found=key.id,
        fix="the data changed since the keys were read: read them again",
    )


class FrameSource(Protocol):
    """A readable data set of frames: what every driving format offers."""

    def keys(self) -> list[FrameKey]: ...

    def read(self, key: FrameKey) -> Frame: ...

    def content_hash(self, key: FrameKey) -> str: ...
