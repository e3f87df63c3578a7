"""Numbers on the page: each carries the file and place it was read from, and undefined is said in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from veritrain.report.language import both
from veritrain.report.reasons import sentence_of
from veritrain.statistics.intervals import RELIABLE_GROUPS

DECIMALS = 3
MOST_ITEMS = 6
NOT_COUNTED = "\N{EN DASH}"
HASH = re.compile(r"[0-9a-f]{40,}")
DIGITS = 12
"""Of a hash, on the page."""


def shown(value: Any) -> str:
    """A value as people read it: three decimals, two significant digits when smaller, "undefined" for None."""
    if value is None:
        return "undefined"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return _shown_float(value)
    if isinstance(value, Mapping):
        items = [f"{key} {shown(item)}" for key, item in list(value.items())[:MOST_ITEMS]]
        return ", ".join(items) + (" ..." if len(value) > MOST_ITEMS else "")
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        listed = ", ".join(shown(item) for item in value[:MOST_ITEMS])
        return f"[{listed}{' ...' if len(value) > MOST_ITEMS else ''}]"
    return str(value)


def brief(value: Any) -> Markup:
    """As :func:`shown`, escaped; of a hash twelve digits, the whole of it when pointed at."""
    if isinstance(value, str) and HASH.fullmatch(value):
        return Markup('<code title="{}">{}</code>').format(value, value[:DIGITS])
    return Markup.escape(shown(value))


def _shown_float(value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):
        return "undefined"
    if value != 0 and abs(value) < 0.5 * 10**-DECIMALS:
        return f"{value:.2g}"
    if abs(value) >= 1e6:
        return f"{value:.4g}"
    return f"{value:,.{DECIMALS}f}"


def pointer(*keys: str | int) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def look_up(content: Any, keys: Sequence[str | int]) -> Any:
    """The value at ``keys``, or None where the path ends early."""
    for key in keys:
        if isinstance(content, Mapping):
            content = content.get(key)
        elif isinstance(content, Sequence) and not isinstance(content, str) and isinstance(key, int):
            content = content[key] if key < len(content) else None
        else:
            return None
    return content


class Source:
    """One file of the run, read number by number.

    Args:
        file: its name inside the run folder.
        content: what the file holds; None when there is no such file.
    """

    def __init__(self, file: str, content: Mapping[str, Any] | Sequence[Any] | None) -> None:
        self.file = file
        self.content: Mapping[str, Any] | Sequence[Any] = content or {}

    def value(self, *keys: str | int) -> Any:
        return look_up(self.content, keys)

    def number(self, *keys: str | int) -> Markup:
        """The number at ``keys``, traceable; a list counts its items."""
        value = self.value(*keys)
        if isinstance(value, list | tuple):
            value = len(value)
        return self._traced(keys, both("undefined") if value is None else Markup.escape(shown(value)))

    def count(self, *keys: str | int) -> Markup:
        """As :meth:`number`; a dash where the file says that there is nothing to count (null)."""
        entry = self.value(*keys[:-1])
        none = isinstance(entry, Mapping) and keys[-1] in entry and entry[str(keys[-1])] is None
        return self._traced(keys, Markup.escape(NOT_COUNTED)) if none else self.number(*keys)

    def words(self, *keys: str | int) -> Markup:
        """The text at ``keys``, traceable."""
        value = self.value(*keys)
        return self._traced(keys, Markup.escape("" if value is None else str(value)))

    def sentence(self, *keys: str | int) -> Markup:
        """The sentence of the verdict or claim at ``keys`` without its word, traceable."""
        return self._traced((*keys, "sentence"), Markup.escape(sentence_of(self.value(*keys))))

    def interval(self, *keys: str | int) -> Markup:
        """[low, high], each end traceable; undefined when an end is missing."""
        ends = self.value(*keys)
        if not ends or None in ends:
            return self._traced(keys, both("undefined"))
        return Markup("[{}, {}]").format(self.number(*keys, 0), self.number(*keys, 1))

    def cell(self, *keys: str | int) -> Markup:
        """Whatever stands at ``keys``: a pair of numbers is an interval, a text is a text."""
        value = self.value(*keys)
        if isinstance(value, list) and len(value) == 2:
            return self.interval(*keys)
        if keys[-1] == "positives":
            return self.count(*keys)
        return self.words(*keys) if isinstance(value, str) else self.number(*keys)

    def columns(self, *keys: str | int) -> list[str]:
        """The keys that the entries at ``keys`` have, in the order of their first use; yes/no answers left out."""
        entries = self.value(*keys) or {}
        found = [name for entry in entries.values() for name, value in entry.items() if not isinstance(value, bool)]
        return list(dict.fromkeys(found))

    def few_groups(self, *keys: str | int) -> bool:
        """Fewer groups than an interval needs, in the entry at ``keys``."""
        groups = self.value(*keys, "groups")
        return isinstance(groups, int) and groups < RELIABLE_GROUPS

    def _traced(self, keys: Sequence[str | int], inner: Markup) -> Markup:
        return Markup('<span class="num" data-source="{}#{}">{}</span>').format(self.file, pointer(*keys), inner)
