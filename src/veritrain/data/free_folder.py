"""A folder that may be written to: nothing is ever written over, and nothing is left half written."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from veritrain.errors import StorageError, UsageError


def demand_free(folder: Path) -> None:
    """Refuses a folder that holds something.

    Raises:
        UsageError: it is a file, or not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(
            "the folder holds something already",
            file=folder,
            expected="a folder that does not exist or is empty",
            found="a file" if not folder.is_dir() else f"{sum(1 for _ in folder.iterdir())} entries",
            fix="choose another folder, or remove this one",
        )


@contextmanager
def undone_on_failure(folder: Path, what: str, *, expected: str, fix: str) -> Iterator[None]:
    """What is written below a free folder meanwhile stays only if all of it could be written.

    Args:
        what: is written. expected, fix: of the error.

    Raises:
        StorageError: the disk is full or read-only; what was written is removed again.
    """
    try:
        yield
    except OSError as error:
        for made in list(folder.iterdir()) if folder.is_dir() else []:
            shutil.rmtree(made, ignore_errors=True) if made.is_dir() else made.unlink(missing_ok=True)
        raise StorageError(
            f"{what} cannot be written", file=folder, expected=expected, found=str(error), fix=fix
        ) from error
