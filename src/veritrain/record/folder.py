"""The files of a run folder, and how one is written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from veritrain.errors import StorageError


class RunFolder:
    """Names of the files of one run."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.recipe = self.path / "recipe.yaml"
        self.record = self.path / "record.jsonl"
        self.metrics_csv = self.path / "metrics.csv"
        self.train_log = self.path / "train.log"
        self.data = self.path / "data.json"
        self.evidence = self.path / "evidence"
        self.results = self.path / "results.json"
        self.predictions = self.path / "predictions"
        self.checkpoints = self.path / "checkpoints"
        self.figures = self.path / "figures"
        self.verdict = self.path / "verdict.json"
        self.report = self.path / "report.html"
        self.card = self.path / "README.md"
        self.environment = self.path / "environment.json"
        self.loggers = self.path / "loggers"
        self.lock = self.path / ".lock"

    @staticmethod
    def next_free(parent: Path, stem: str) -> RunFolder:
        """``parent/stem-1``, ``stem-2``, ...: the first that does not exist, made at once so no other takes it."""
        number = 1
        while True:
            path = parent / f"{stem}-{number}"
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                number += 1
                continue
            return RunFolder(path)

    def is_run(self) -> bool:
        return self.record.is_file()


def missing_folders(path: Path) -> list[Path]:
    """``path`` and the folders above it that do not exist, the deepest first."""
    return [place for place in (path, *path.parents) if not place.exists()]


def finite_or_none(value: float | None) -> float | None:
    """JSON has no NaN: what is not finite becomes None."""
    return None if value is None or not math.isfinite(value) else float(value)


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as JSON, whole or not at all; see :func:`write_text`."""
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write beside the target, flush, rename: a reader never sees half a file.

    Raises:
        StorageError: the disk is full, or the place cannot be written; the old file stays.
    """
    beside = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def cannot_write(path: Path, error: OSError) -> StorageError:
    """A full disk, a folder that is a file, a place that this user may not write: in one sentence."""
    return StorageError(
        "cannot be written",
        expected="room, and a folder that this user may write",
        found=os.strerror(error.errno) if error.errno else str(error),
        fix="make room, or choose another folder",
        file=path,
    )


def nulled(content: Any) -> Any:
    """The same content with every number that is not finite as None: JSON has no NaN, and undefined is null."""
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {key: nulled(item) for key, item in content.items()}
    if isinstance(content, (list, tuple)):
        return [nulled(item) for item in content]
    return content


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
