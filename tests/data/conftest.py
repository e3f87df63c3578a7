"""What several tests of data share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def world(small_world, tmp_path) -> Path:
    """A world of its own with one static scenario, to be damaged."""
    scenario = sorted(path.parent for path in small_world.glob("AnoVox_Static*/*/*/sensor_setup.json"))[0]
    copy = tmp_path / "world" / scenario.relative_to(small_world)
    shutil.copytree(scenario, copy)
    return tmp_path / "world"
