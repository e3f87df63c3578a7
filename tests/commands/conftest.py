"""One small training through the command line, for all tests of the commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from veritrain.record import RunFolder
from watched.calls import watched_environment

SMALL = ("--epochs", "1", "--controls", "none", "--threads", "1", "--width", "8")


def veritrain(
    *words: object, cwd: Path | None = None, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "veritrain", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=cwd, env=env)


@pytest.fixture(scope="session")
def command():
    """Calls ``veritrain`` in a process of its own."""
    return veritrain


@pytest.fixture(scope="session")
def calls_of_training(tmp_path_factory) -> Path:
    """What the training of ``trained`` tried to reach; to be read after it."""
    return tmp_path_factory.mktemp("calls") / "training"


@pytest.fixture(scope="session")
def trained(small_world, tmp_path_factory, calls_of_training):
    """(what the process said, the run folder) of one epoch on the small world; read only, or use ``own_run``."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "small")
    words = ("train", "anomaly", "--data", small_world, "--run", folder.path, "--seed", "1", *SMALL)
    return veritrain(*words, env=watched_environment(calls_of_training)), folder


@pytest.fixture
def own_run(trained, tmp_path) -> RunFolder:
    """A copy of the trained run that a test may change."""
    shutil.copytree(trained[1].path, tmp_path / "copy")
    return RunFolder(tmp_path / "copy")
