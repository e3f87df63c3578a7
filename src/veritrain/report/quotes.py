"""The cited lines themselves, read once per file and cut to a length that a page can hold."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

MOST_BYTES = 32_000_000
MOST_CHARACTERS = 200
UNQUOTED = frozenset({".json", ".jsonl"})
"""Files for machines: naming the line is enough."""


class Quotes:
    """Names citations relative to a folder and quotes the lines they point at.

    Args:
        folder: files inside it are named without it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lines: dict[Path, list[str]] = {}

    def name(self, citation: Mapping[str, Any]) -> str:
        """``file:line`` as a person would type it."""
        path = Path(str(citation["file"]))
        whole, root = path.absolute(), self.folder.absolute()
        short = whole.relative_to(root) if whole.is_relative_to(root) else path
        line = citation.get("line")
        return str(short) if line is None else f"{short}:{line}"

    def text(self, citation: Mapping[str, Any]) -> str:
        """The line that is cited, or nothing where it cannot be read."""
        line = citation.get("line")
        path = Path(str(citation["file"]))
        if line is None or path.suffix in UNQUOTED:
            return ""
        lines = self._read(path)
        quoted = lines[line - 1].strip() if 0 < line <= len(lines) else ""
        return quoted if len(quoted) <= MOST_CHARACTERS else quoted[:MOST_CHARACTERS] + " ..."

    def _read(self, path: Path) -> list[str]:
        if path not in self._lines:
            try:
                readable = path.is_file() and path.stat().st_size <= MOST_BYTES
                text = path.read_text(encoding="utf-8", errors="replace") if readable else ""
            except OSError:
                text = ""
            self._lines[path] = text.split("\n")
        return self._lines[path]
