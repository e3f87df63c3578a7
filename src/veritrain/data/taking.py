"""Files of a data set copied or linked into a folder of their own: nothing is written over, nothing half is left."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from veritrain.data.free_folder import demand_free, undone_on_failure
from veritrain.errors import LayoutError, StorageError, UsageError

WORLD = "veritrain_world.json"
"""The card of a made data set; a part of made data is made data."""

CARD = "subset.json"
"""In the folder of a part: what was taken, by which words."""


def demand_apart(folder: Path, root: Path) -> None:
    """Refuse a folder for a part of the data set at ``root``.

    Raises:
        UsageError: it holds something, or lies inside the data set.
    """
    demand_free(folder)
    if folder.resolve().is_relative_to(root.resolve()):
        raise UsageError(
            "the subset would lie inside the data set",
            file=folder,
            expected="a folder outside",
            found=f"a folder below {root}",
            fix="choose another folder: the data set would hold twice what is taken",
        )


def take(file: Path, target: Path, *, link: bool) -> None:
    """Copy one file, or make a hard link to it; raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        os.link(file, target)
    else:
        shutil.copyfile(file, target)


@contextmanager
def whole_or_nothing(folder: Path, *, link: bool) -> Iterator[None]:
    """While it is open, ``folder`` (empty, or not there) is written; where that fails it is as it was before.

    Raises:
        StorageError: the disk is full, read-only, or cannot link.
    """
    existed = folder.exists()
    expected = "a writable folder with room" + (", on the disk of the data set (--link)" if link else "")
    fix = "leave out --link" if link else "free some space or choose another folder"
    try:
        with undone_on_failure(folder, "the subset", expected=expected, fix=fix):
            yield
    except StorageError:
        if not existed:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def place_below(root: Path, file: Path) -> str:
    """Where a file lies below the data set, with "/".

    Raises:
        LayoutError: it lies beside or above.
    """
    place = os.path.relpath(file, root).replace(os.sep, "/")
    if place.startswith("../"):
        raise LayoutError(
            "the data set has files outside of its folder",
            file=file,
            expected=f"everything below {root}",
            found="a folder beside or above it",
            fix="give the folder, or the data.yaml, that lies above all of them",
        )
    return place


def world_card(places: Sequence[Path]) -> Path | None:
    """The card of a made data set that lies in one of these folders, the first that has one; None without."""
    return next((place / WORLD for place in places if (place / WORLD).is_file()), None)


def write_card(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes ``subset.json``: what was asked, of what, and what was taken; raises OSError."""
    (folder / CARD).write_text(json.dumps({"schema": 1, **content}, indent=1) + "\n", encoding="utf-8")
