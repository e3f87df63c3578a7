"""A small driving world, a small echo world and a small aerial world, made once for all tests."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings

from tiny_echo import tiny_echo
from veritrain.worlds.aerial import AerialWorld
from veritrain.worlds.driving import DrivingWorld
from veritrain.worlds.echo import EchoWorld
from veritrain.worlds.options import AerialOptions, DrivingOptions, EchoWorldOptions

# Before any test module imports torch, and for the processes that tests start: networks as small as these are slower on
# two threads that sleep between operations (docs/LOG.md).
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test by the clock: the first example of a property may be slow on a loaded machine.
settings.register_profile("veritrain", deadline=None)
settings.load_profile("veritrain")

SMALL = DrivingOptions(scenarios=12, frames=4, height=64, width=96, seed=3)
SMALL_AERIAL = AerialOptions(images=120, per_scene=2, height=128, width=128, seed=5)
SMALL_ECHO = EchoWorldOptions(patients=9, videos=2, frames=3, height=96, width=128, seed=5, unknown_views=0.05)


@pytest.fixture(scope="session")
def small_options() -> DrivingOptions:
    """What ``small_world`` was made with: 12 scenarios x 4 frames at 64 x 96."""
    return SMALL


@pytest.fixture(scope="session")
def small_world_2023(tmp_path_factory) -> Path:
    """The streets of ``small_world`` in the layout of the 2023 sample; to read only."""
    out = tmp_path_factory.mktemp("driving_2023") / "world"
    DrivingWorld(replace(SMALL, layout="2023")).write(out)
    return out


@pytest.fixture(scope="session")
def small_world(tmp_path_factory) -> Path:
    """A driving world to read only; copy it before changing a file."""
    out = tmp_path_factory.mktemp("driving") / "world"
    DrivingWorld(SMALL).write(out)
    return out


@pytest.fixture(scope="session")
def echo_options() -> EchoWorldOptions:
    """What ``echo_world`` was made with: 9 patients x 2 videos x 3 frames at 96 x 128, three files without a view."""
    return SMALL_ECHO


@pytest.fixture(scope="session")
def echo_world(tmp_path_factory) -> Path:
    """An echo world to read only; copy it before changing a file."""
    out = tmp_path_factory.mktemp("echo") / "world"
    EchoWorld(SMALL_ECHO).write(out)
    return out


@pytest.fixture(scope="session")
def aerial_options() -> AerialOptions:
    """What ``aerial_world`` was made with: 60 scenes x 2 images of 128 x 128."""
    return SMALL_AERIAL


@pytest.fixture(scope="session")
def aerial_world(tmp_path_factory) -> Path:
    """An aerial world to read only, with all 20 classes in each split; copy it before changing a file."""
    out = tmp_path_factory.mktemp("aerial") / "world"
    AerialWorld(SMALL_AERIAL).write(out)
    return out


@pytest.fixture(scope="session")
def small_echo(tmp_path_factory) -> Path:
    """An echo world to read only: 12 patients x 3 frames at 96 x 128."""
    return tiny_echo(tmp_path_factory.mktemp("echo") / "world")
