"""Reports that people (or their assistants) wrote about a training: Markdown or text, with tables, claims and code."""

from __future__ import annotations

import re
from pathlib import Path

from veritrain.readers.mojibake import repair
from veritrain.readers.training_text import read_text, speaks_of_training
from veritrain.record import RunRecord

_MARKS = re.compile(r"^(?:#{1,6} \S|\s*[-*] \*\*|\|.*\|\s*$|\s*```|>\s)", re.MULTILINE)
_LOG_MARKS = re.compile(r"^\[?\d{4}-\d\d-\d\d \d\d:\d\d|^\s*\d+%\|", re.MULTILINE)


class ReportReader:
    """Markdown and text reports with tables and claims; wrongly decoded ones are repaired."""

    name = "report"

    def recognises(self, path: Path, head: str) -> bool:
        if len(_MARKS.findall(head)) < 3 or len(_LOG_MARKS.findall(head)) > len(_MARKS.findall(head)):
            return False
        return speaks_of_training(repair(head)[0])

    def read(self, path: Path) -> RunRecord:
        return read_text(path, self.name)
