"""The folder that a recipe names as its data: that it is there, and what it holds where it is another task's."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from veritrain import catalog, config
from veritrain.errors import DataError, LayoutError
from veritrain.tasks.options import READS, RECIPES


@contextlib.contextmanager
def opening(recipe: Any) -> Iterator[None]:
    """While a recipe's data are opened: a folder of another known format is named, with the task that reads it.

    Raises:
        LayoutError: there is nothing at ``recipe.data``, or it holds the format of another task. Any other error of
            what opens it stays as it is.
    """
    inner, path = recipe._recipe if isinstance(recipe, config.Tracked) else recipe, Path(recipe.data)
    task = next((name for name, kind in RECIPES.items() if isinstance(inner, kind)), None)
    if task is None:  # a recipe of somebody's own task, whose data need be no folder
        yield
        return
    _demand_there(path)
    try:
        yield
    except DataError as error:
        other = _of_another_task(task, path)
        if other is None:
            raise
        raise other from error


def _demand_there(path: Path) -> None:
    if path.exists():
        return
    above = next((one for one in path.parents if one.is_dir()), Path())
    raise LayoutError(
        "the data folder does not exist",
        file=path,
        expected="a folder that holds a data set (data is relative to the folder you are in)",
        found=f"no such folder; {above} is there" if above != Path() else "no such folder",
        fix="correct --data; `veritrain data make WORLD OUT` makes a data set",
    )


def _of_another_task(task: str, path: Path) -> LayoutError | None:
    """What to say where no format of this task recognises ``path`` and one of another does; else None."""
    found = next((name for name in catalog.FORMATS if catalog.resolve("formats", name).recognises(path)), None)
    if found is None or any(catalog.resolve("formats", name).recognises(path) for name in READS[task]):
        return None
    tasks = [name for name, formats in READS.items() if found in formats]
    return LayoutError(
        f"this is a data set of another format than the task {task} reads",
        file=path,
        expected=" or ".join(READS[task]),
        found=found,
        fix=f"veritrain train {' or '.join(tasks)} reads it; or give a data set of {' or '.join(READS[task])}",
    )
