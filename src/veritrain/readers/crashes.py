"""Tracebacks and other violent ends inside a log."""

from __future__ import annotations

import re

_START = "Traceback (most recent call last)"
_ERROR = re.compile(
    r"^\s*(?P<name>(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit|Timeout|Killed))\b\s*(?::|$)"
)
_BARE = re.compile(
    r"Segmentation fault|core dumped|CUDA out of memory|^Killed\b|Out of memory|returned non-zero exit status|"
    r"Process finished with exit code (?!0\b)-?\d+|terminate called|Bus error"
)


class CrashFinder:
    """Fed line by line; says when a crash is complete and which lines belong to a traceback."""

    def __init__(self) -> None:
        self.inside = False
        self._since = 0
        self._ignored = 0

    def feed(self, number: int, text: str) -> str | None:
        """The error of a crash that ends on this line, else None."""
        if "Exception ignored in" in text:
            self._ignored = number
        if _START in text:
            self.inside, self._since = True, number
            return None
        if self.inside:
            found = _ERROR.match(text)
            if found:
                self.inside = False
                # Python says so itself: an error while an object is taken down stops nothing.
                ignored = self._ignored and self._since - self._ignored in (0, 1)
                return None if ignored else text.strip()[:300]
            # A traceback that was cut off: code lines are indented, anything else ends it.
            if text.strip() and not text.startswith((" ", "\t")) and number > self._since + 200:
                self.inside = False
            return None
        if _BARE.search(text):
            return text.strip()[:300]
        return None
