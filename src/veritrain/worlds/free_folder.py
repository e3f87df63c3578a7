"""A folder that a world may be written to: nothing is ever written over."""

from __future__ import annotations

from pathlib import Path

from veritrain.errors import UsageError


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
