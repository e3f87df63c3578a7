"""Every error Veritrain raises on purpose, and its exit code.

VeritrainError                 70   internal: our fault
├── UsageError                 64   the command line or the recipe asks for something that does not exist
│   └── ConfigError            64   an unknown, unread or impossible option
│       └── UnconnectedTaskError 64 the loss of a task does not reach the network that it is to train
├── DataError                  65   a data set on disk is not what its format says
│   ├── BrokenFileError        65   one file is truncated, of another shape, of another type
│   ├── LayoutError            65   folders are missing, mixed or do not match
│   └── SplitError             65   a split cannot carry the claim (one class, no group)
├── MissingExtraError          69   an optional dependency is not installed
├── UnreachableError           69   a server that was to give a file does not
├── ArtefactError               2   a path cannot be read as a training artefact
├── RecordError                66   a run folder is missing, torn or of another version
├── CheckpointError            66   no checkpoint verifies, or it belongs to another recipe
├── StorageError               74   the disk is full or read-only
├── NonFiniteError              4   a loss or a gradient stopped being a number
├── RunInUseError               5   another process writes this run
└── Interrupted           130/143   SIGINT or SIGTERM: the step was finished and saved
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class VeritrainError(Exception):
    """An error that says what was expected, what was found and what to do.

    Args:
        message: one sentence, no full stop needed.
        expected: what the code was prepared for.
        found: what it met instead.
        fix: an action a person can take.
        file: the file at fault, if there is one.
        line: 1-based line in ``file``.
    """

    exit_code = 70

    def __init__(
        self,
        message: str,
        *,
        expected: str | None = None,
        found: str | None = None,
        fix: str | None = None,
        file: str | Path | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.found = found
        self.fix = fix
        self.file = None if file is None else str(file)
        self.line = line

    def __str__(self) -> str:
        place = "" if self.file is None else self.file + ("" if self.line is None else f":{self.line}")
        parts = [self.message if not place else f"{place}: {self.message}"]
        if self.expected is not None:
            parts.append(f"  expected: {self.expected}")
        if self.found is not None:
            parts.append(f"  found:    {self.found}")
        if self.fix is not None:
            parts.append(f"  do:       {self.fix}")
        return "\n".join(parts)


class UsageError(VeritrainError):
    exit_code = 64


class ConfigError(UsageError):
    pass


class UnconnectedTaskError(ConfigError):
    pass


class DataError(VeritrainError):
    exit_code = 65


class BrokenFileError(DataError):
    pass


class LayoutError(DataError):
    pass


class SplitError(DataError):
    pass


class MissingExtraError(VeritrainError):
    exit_code = 69


class UnreachableError(VeritrainError):
    exit_code = 69


class ArtefactError(VeritrainError):
    exit_code = 2


class RecordError(VeritrainError):
    exit_code = 66


class CheckpointError(VeritrainError):
    exit_code = 66


class StorageError(VeritrainError):
    exit_code = 74


class NonFiniteError(VeritrainError):
    exit_code = 4


class RunInUseError(VeritrainError):
    exit_code = 5


class Interrupted(VeritrainError):
    """A signal ended the run after its last whole step was saved."""

    def __init__(self, message: str, *, signal_number: int, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.exit_code = 128 + signal_number


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"did you mean 'x'?"`` for the nearest known word, else the list of all."""
    words = sorted(known)
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"did you mean '{near[0]}'?" if near else "choose from: " + ", ".join(words)
