"""Plain text logs, in English, simplified and traditional Chinese."""

from __future__ import annotations

from pathlib import Path

from veritrain.readers.training_text import read_text, speaks_of_training
from veritrain.record import RunRecord


class TextLogReader:
    """Plain text logs of training loops, progress bars and all."""

    name = "text_log"

    def recognises(self, path: Path, head: str) -> bool:
        return speaks_of_training(head)

    def read(self, path: Path) -> RunRecord:
        return read_text(path, self.name)
