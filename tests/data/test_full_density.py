"""The published size, end to end: 512 x 768 pixels and 64 x 1,563 rays, written and read (research section 1.1)."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.inspection import inspect
from veritrain.worlds.driving import DrivingWorld
from veritrain.worlds.options import DrivingOptions

OFFICIAL = DrivingOptions(scenarios=1, frames=2, height=512, width=768, density="official", broken=0)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> AnoVoxFormat:
    out = tmp_path_factory.mktemp("official") / "world"
    DrivingWorld(OFFICIAL).write(out, workers=1)
    return AnoVoxFormat(out)


def test_frames_have_the_published_size(source):
    for key in list(source.keys()):
        frame = source.read(key)
        assert frame.image.shape == (512, 768, 3) and frame.pixel_labels.shape == (512, 768)
        assert 60_000 < len(frame.points) <= 64 * 1563
        assert (frame.point_labels != -1).mean() > 0.5
        np.testing.assert_allclose(frame.calibration.intrinsics, [[384, 0, 384], [0, 384, 256], [0, 0, 1]])
        assert source.read_depth(key).shape == (512, 768)


def test_and_the_check_finds_nothing_wrong(source):
    found = inspect(source)
    assert found.usable and found.sampled == {"of": 2, "read": 2, "broken": 0}
    assert found.round_trip["iou_least"] > 0.99
