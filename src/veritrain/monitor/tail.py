"""Following ``record.jsonl`` while somebody else writes it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from veritrain.errors import RecordError
from veritrain.record import OtherVersionError, event_of

REMEMBERED_BYTES = 128


class RecordTail:
    """The events of a growing record, read once each.

    Attributes:
        lines: every event so far, in order, each with its 1-based ``line``; a half-written last line is left for later.
        broken: numbers of whole lines that are no events; the audit refuses such a record, a watcher goes on.
        replaced: how often the file was replaced or became shorter; everything was read again from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[dict[str, Any]] = []
        self.broken: list[int] = []
        self.replaced = 0
        self._file: tuple[int, int] | None = None
        self._offset, self._number, self._before = 0, 0, b""

    def read(self) -> bool:
        """Take in what was written since the last call; whether there was anything new.

        Raises:
            OtherVersionError: the record is of another version.
        """
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return self._forget()
        with file:
            changed = self._forget() if self._is_another(file) else False
            status = os.fstat(file.fileno())
            self._file = (status.st_dev, status.st_ino)
            file.seek(self._offset)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break
                self._take(raw)
                changed = True
        return changed

    def _is_another(self, file: IO[bytes]) -> bool:
        """Another file by this name, a shorter one, or one whose last lines are not those that were read."""
        status = os.fstat(file.fileno())
        if self._file is None:
            return False
        if self._file != (status.st_dev, status.st_ino):
            return True
        file.seek(self._offset - len(self._before))
        return file.read(len(self._before)) != self._before

    def _forget(self) -> bool:
        had = self._file is not None
        self.replaced += had
        self.lines, self.broken, self._file = [], [], None
        self._offset, self._number, self._before = 0, 0, b""
        return had

    def _take(self, raw: bytes) -> None:
        self._offset += len(raw)
        self._number += 1
        self._before = (self._before + raw)[-REMEMBERED_BYTES:]
        text = raw.decode("utf-8", errors="replace")
        if not text.strip():
            return
        try:
            self.lines.append(event_of(text, self.path, self._number))
        except OtherVersionError:
            raise
        except RecordError:
            self.broken.append(self._number)
