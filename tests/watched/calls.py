"""What a process and its children tried to reach outside this machine: nothing of Veritrain may try, ever."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ON_PATH = Path(__file__).resolve().parent / "on_path"


def watched_environment(log: Path) -> Mapping[str, str]:
    """The environment of a process that is watched; ``log`` gets a line for each thing it does."""
    path = os.pathsep.join(part for part in (str(ON_PATH), os.environ.get("PYTHONPATH")) if part)
    return {**os.environ, "PYTHONPATH": path, "VERITRAIN_TEST_CALLS": str(log)}


def calls_in(log: Path, kind: str) -> list[Mapping[str, Any]]:
    """Lines of one kind: ``watched`` (one a process), ``outside`` (refused), ``program`` (started)."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    return [line for line in lines if line["kind"] == kind]
