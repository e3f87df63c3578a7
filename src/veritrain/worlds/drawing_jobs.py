"""The parts of a world, drawn side by side in processes, in their order and with progress, into a folder of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from veritrain.data.free_folder import demand_free, undone_on_failure

Job = TypeVar("Job")
Drawn = TypeVar("Drawn")
Progress = Callable[[int, int], None]
"""Told how many jobs are done, of how many."""


@contextmanager
def world_folder(folder: Path, world: str, *, room: str) -> Iterator[None]:
    """A world is written below a free folder, or nothing is.

    Args:
        world: its name. room: what it needs, such as "about 0.5 MB a frame".

    Raises:
        UsageError: the folder holds something.
        StorageError: the disk is full or read-only; what was written is removed again.
    """
    demand_free(folder)
    expected = f"a writable folder with room for {room}"
    fix = "free some space or choose another folder; what was written is removed again"
    with undone_on_failure(folder, f"the {world} world", expected=expected, fix=fix):
        yield


def drawn(
    draw: Callable[[Job], Drawn],
    jobs: Sequence[Job],
    progress: Progress | None = None,
    *,
    workers: int | None = None,
    chunk: int = 1,
) -> Iterator[Drawn]:
    """``draw`` of each job, in the order of the jobs, whatever the number of workers.

    Args:
        draw: a function of a module, so that it reaches a process.
        workers: processes; None takes one per processor, 1 draws here.
        chunk: jobs that a process takes at a time.
    """
    workers = workers or os.cpu_count() or 1
    if workers == 1 or len(jobs) == 1:
        yield from _reported(map(draw, jobs), len(jobs), progress)
        return
    with ProcessPoolExecutor(max_workers=max(1, min(workers, len(jobs)))) as pool:
        yield from _reported(pool.map(draw, jobs, chunksize=chunk), len(jobs), progress)


def _reported(results: Iterable[Drawn], total: int, progress: Progress | None) -> Iterator[Drawn]:
    for done, result in enumerate(results, start=1):
        if progress is not None:
            progress(done, total)
        yield result
