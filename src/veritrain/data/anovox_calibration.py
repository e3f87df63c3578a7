"""The geometry of a scenario's sensors: checked when the scenario is found, so that no frame is read without it.

A calibration cannot be singular once its parts are checked: the focal length is W / (2 tan(fov / 2)) with a field of
view from 1 to 179 degrees and an image of at least one pixel, and poses are made of finite numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from veritrain.data import geometry
from veritrain.data.anovox_index import MONO_FIELD_OF_VIEW, MONO_LOCATION, Sensor
from veritrain.data.options import AnoVoxOptions
from veritrain.data.sample import Calibration
from veritrain.errors import BrokenFileError, LayoutError

ASSUMED = (
    f"the 2023 layout stores no calibration: camera and LiDAR are taken to stand at {MONO_LOCATION} without rotation, "
    f"with a field of view of {MONO_FIELD_OF_VIEW:g} degrees (AnoVox's mono rig)"
)
"""What is said wherever frames of the 2023 layout are counted."""


def demand_calibration(camera: Sensor) -> None:
    """Refuses a camera whose arguments give no calibration.

    Raises:
        LayoutError: no field of view from 1 to 179 degrees, or a stated image size that is none.
    """
    field_of_view(camera)
    stated_size(camera)


def field_of_view(camera: Sensor) -> float:
    """Degrees across the image, from ``camera_fov`` in ``sensor_setup.json``.

    Raises:
        LayoutError: the value is missing or not between 1 and 179.
    """
    value: Any = camera.arguments.get("camera_fov")
    try:
        degrees = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        degrees = float("nan")
    if not 1.0 <= degrees <= 179.0:
        raise LayoutError(
            "camera_fov is missing or impossible",
            file=setup_of(camera),
            expected="degrees from 1 to 179",
            found=repr(value)[:80],
            fix="extract the scenario again: without it points cannot be projected",
        )
    return degrees


def stated_size(camera: Sensor) -> tuple[int, int] | None:
    """(height, width) in pixels as ``sensor_setup.json`` states them, None where it does not.

    Raises:
        LayoutError: a value is no whole number of at least 1.
    """
    values = [camera.arguments.get(name) for name in ("image_height", "image_width")]
    if None in values:
        return None
    try:
        sides = [int(side) for side in values if side is not None and float(side) == int(side) >= 1]
    except (TypeError, ValueError, OverflowError):
        sides = []
    if len(sides) != 2:
        raise LayoutError(
            "the image size is impossible",
            file=setup_of(camera),
            expected="image_height and image_width of at least 1",
            found=f"{values[0]!r} x {values[1]!r}"[:80],
            fix="extract the scenario again: without it the calibration is singular",
        )
    return sides[0], sides[1]


def demand_size(camera: Sensor, file: Path, size: tuple[int, int]) -> None:
    """Refuses an image that is not as large as its sensor says.

    Raises:
        BrokenFileError: another size.
    """
    stated = stated_size(camera)
    if stated is not None and stated != size:
        raise BrokenFileError(
            "the image has another size than its sensor",
            file=file,
            expected=f"{stated[0]} x {stated[1]} as in sensor_setup.json",
            found=f"{size[0]} x {size[1]}",
            fix="extract the scenario again; scaled images would not fit the calibration",
        )


def calibration(camera: Sensor, lidar: Sensor, size: tuple[int, int], options: AnoVoxOptions) -> Calibration:
    """The sensors' geometry for an image of ``size`` (height, width) that is given as ``options`` ask."""
    matrix = geometry.intrinsics(*size, field_of_view(camera))
    if options.image_height is not None and options.image_width is not None:
        scale = np.array([options.image_width / size[1], options.image_height / size[0], 1.0])
        matrix = scale[:, None] * matrix
    extrinsics = geometry.camera_from_lidar(
        geometry.pose(camera.location, camera.rotation), geometry.pose(lidar.location, lidar.rotation)
    )
    return Calibration(intrinsics=matrix, camera_from_lidar=extrinsics)


def setup_of(sensor: Sensor) -> Path:
    """The ``sensor_setup.json`` that states a sensor."""
    return sensor.folder.parent / "sensor_setup.json"
