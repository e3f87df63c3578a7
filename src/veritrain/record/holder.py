"""Whether a process holds a run, told without disturbing it."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

LOCKS = Path("/proc/locks")


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds the run's lock.

    Attributes:
        state: held, free, or unknown (no lock file: a copy of a run; or a file system without locks).
        pid: of the process that holds it, where the system tells.
    """

    state: Literal["held", "free", "unknown"]
    pid: int | None = None


def holder_of(lock: Path) -> Holder:
    """Look at the lock of a run's writer.

    The kernel's own list is read first: that touches nothing. Only a lock that is not in it (free, or held on another
    machine) is tried, shared and for an instant; a writer that starts in that instant tries again
    (``record/writer.py``).
    """
    try:
        status = lock.stat()
    except OSError:
        return Holder(state="unknown")
    pid = _listed(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
    return Holder(state="held", pid=pid) if pid is not None else _tried(lock)


def _listed(major: int, minor: int, inode: int) -> int | None:
    """The process that the kernel lists for this file, as ``1: FLOCK ADVISORY WRITE pid major:minor:inode 0 EOF``."""
    try:
        text = LOCKS.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    wanted = f"{major:02x}:{minor:02x}:{inode}"
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[3] == "WRITE" and words[5] == wanted:
            return int(words[4])
    return None


def _tried(lock: Path) -> Holder:
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return Holder(state="held")
    except OSError:
        return Holder(state="unknown")
    return Holder(state="free")
