"""One small training through the command line, for all tests of the commands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from veritrain.record import RunFolder

SMALL = ("--epochs", "1", "--controls", "none", "--threads", "1", "--width", "8")


def veritrain(*words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "veritrain", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, cwd=cwd, env=os.environ)


@pytest.fixture(scope="session")
def command():
    """Calls ``veritrain`` in a process of its own."""
    return veritrain


@pytest.fixture(scope="session")
def trained(small_world, tmp_path_factory):
    """(what the process said, the run folder) of one epoch on the small world; read only, or use ``own_run``."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "small")
    done = veritrain("train", "anomaly", "--data", small_world, "--run", folder.path, "--seed", "1", *SMALL)
    return done, folder


@pytest.fixture
def own_run(trained, tmp_path) -> RunFolder:
    """A copy of the trained run that a test may change."""
    shutil.copytree(trained[1].path, tmp_path / "copy")
    return RunFolder(tmp_path / "copy")
