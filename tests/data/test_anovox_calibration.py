"""No accepted calibration is singular."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.data.anovox_calibration import calibration, demand_size, field_of_view, stated_size
from veritrain.data.anovox_index import Sensor
from veritrain.data.options import AnoVoxOptions
from veritrain.errors import BrokenFileError, LayoutError

PLACES = st.tuples(*(st.floats(-100, 100) for _ in range(3)))


def sensor(location=(0.0, 0.0, 1.8), rotation=(0.0, 0.0, 0.0), **arguments) -> Sensor:
    folder = Path("Scenario_1/RGB-CAM")
    return Sensor(type="RGB-CAM", folder=folder, location=location, rotation=rotation, arguments=arguments, files={})


@given(st.floats(1, 179), st.integers(1, 5000), st.integers(1, 5000), PLACES, PLACES)
def test_what_is_accepted_can_be_inverted(fov, height, width, place, turn):
    made = calibration(sensor(place, turn, camera_fov=fov), sensor(turn, place), (height, width), AnoVoxOptions())
    np.testing.assert_allclose(made.intrinsics @ np.linalg.inv(made.intrinsics), np.eye(3), atol=1e-4)
    rotation = made.camera_from_lidar[:3, :3]
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)


def test_the_mono_rig_at_its_size():
    """Research section 1.3: 384 px focal length, centre (384, 256), camera = (-y, -z, x)."""
    made = calibration(sensor(camera_fov=90), sensor(), (512, 768), AnoVoxOptions())
    np.testing.assert_allclose(made.intrinsics, [[384, 0, 384], [0, 384, 256], [0, 0, 1]], atol=1e-9)
    np.testing.assert_allclose(made.camera_from_lidar[:3] @ [1, 2, 3, 1], [-2, -3, 1], atol=1e-9)


@pytest.mark.parametrize("fov", [0, 0.99, 179.5, 180, -90, float("nan"), float("inf"), None, True, "wide"])
def test_no_field_of_view_is_refused_with_the_file(fov):
    with pytest.raises(LayoutError) as caught:
        field_of_view(sensor(camera_fov=fov))
    assert caught.value.file.endswith("sensor_setup.json")


def test_sizes():
    assert stated_size(sensor()) is None and stated_size(sensor(image_height=3)) is None
    assert stated_size(sensor(image_height=3, image_width="4")) == (3, 4)
    demand_size(sensor(image_height=3, image_width=4), Path("a.png"), (3, 4))
    demand_size(sensor(), Path("a.png"), (30, 4))
    with pytest.raises(BrokenFileError, match="another size"):
        demand_size(sensor(image_height=3, image_width=4), Path("a.png"), (4, 3))
