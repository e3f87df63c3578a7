"""Text as a terminal would show it: carriage returns, colours and progress bars undone, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from veritrain.readers.decoding import head_of
from veritrain.readers.mojibake import looks_garbled, repair_line
from veritrain.readers.names import plain_map

_CHUNK = 1 << 20
_LONGEST = 20_000
FREQUENT = 3000
_SHAPES = 50_000
_SPARSEST = 4096
_DIGITS = re.compile(r"\d+")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WIDE_SIGNS = str.maketrans("：，（）％｜；＝～【】＋－／，、“”", ':,()%|;=~[]+-/,,""')
_PREFIX = re.compile(
    r"^\s*(?:wandb:\s+|\[?\d{4}[-/]\d\d?[-/]\d\d?[ T]\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?\]?\s*(?:[-|]\s*)?"
    r"(?:\[?(?:INFO|DEBUG|WARNING|ERROR)\]?\s*(?:[-|:]\s*)?)?|(?:INFO|DEBUG|WARNING)(?::[\w.]+:|\s*[:|-]\s*))+"
)
_BAR = re.compile(r"^(?P<who>.{0,80}?)\s*\d{1,3}%\|[^|]*\|\s*\d+/\d+")
_KERAS_BAR = re.compile(r"^\s*(?P<done>\d+)/(?P<total>\d+)\s*(?:\[[=>.\s]*\]|[━╸╺\s]{3,}|\x1b|-)")


@dataclass(frozen=True, kw_only=True)
class Line:
    """One shown line.

    Attributes:
        number: 1-based line of the file as it lies on disk.
        said: the text as a person reads it (repaired, without colours).
        text: the same with ASCII punctuation, without emphasis, time stamps and spelled-out mAP thresholds.
        indent: leading blanks of ``said``.
        bar: it is a progress bar in its last state.
    """

    number: int
    said: str
    text: str
    indent: int
    bar: bool = False


def lines_of(path: Path) -> tuple[Iterator[Line], bool]:
    """The shown lines of a text file and whether they had to be repaired from a wrong decoding."""
    head, encoding = head_of(path)
    garbled = looks_garbled(head)
    return _open_lines(path, encoding, garbled), garbled


def _open_lines(path: Path, encoding: str, garbled: bool) -> Iterator[Line]:
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        pieces = thinned(segments(file))
        yield from shown((number, repair_line(text) if garbled else text) for number, text in pieces)


def segments(file: TextIO) -> Iterator[tuple[int, str]]:
    r"""Pieces between line breaks and carriage returns with the number of their line; ``\r\n`` is one break."""
    number, rest = 1, ""
    while chunk := file.read(_CHUNK):
        pieces = re.split(r"(\r\n|\n|\r)", rest + chunk)
        rest = pieces.pop()
        if rest == "" and pieces and pieces[-1] == "\r":
            # The line feed of this break may stand in the next chunk.
            rest = pieces[-2] + "\r"
            pieces = pieces[:-2]
        for text, end in zip(pieces[::2], pieces[1::2], strict=False):
            yield number, text[:_LONGEST]
            number += end != "\r"
        rest = rest if len(rest) < _CHUNK else rest[:_LONGEST]
    if rest.strip("\r"):
        yield number, rest.strip("\r")[:_LONGEST]


def thinned(pieces: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Of lines that differ in digits only, thousands are enough: the first, ever fewer, the last of each stretch.

    A log of millions of steps is read in bounded time; a line with other words (``nan``, an error, a validation) is
    never passed over, and before it the newest of the lines that were passed over comes out.
    """
    seen: dict[str, int] = {}
    held: dict[str, tuple[int, str]] = {}
    for number, text in pieces:
        shape = _DIGITS.sub("0", text)
        count = seen.get(shape, 0) + 1
        if len(seen) > _SHAPES:
            seen.clear()
        seen[shape] = count
        if count <= FREQUENT:
            yield from sorted(held.values())
            held.clear()
            yield number, text
        elif count % min(2 ** (count // FREQUENT), _SPARSEST):
            held[shape] = (number, text)
        else:
            held.pop(shape, None)
            yield number, text
    yield from sorted(held.values())


def shown(pieces: Iterable[tuple[int, str]]) -> Iterator[Line]:
    """Lines with each progress bar in its last state only."""
    pending: Line | None = None
    pending_key: tuple[str, str] | None = None
    for number, raw in pieces:
        said = _ANSI.sub("", raw).replace("\x08", "").replace("\x00", "").rstrip()
        key = _bar_key(said)
        line = _line(number, said, bar=key is not None)
        if pending is not None and key != pending_key:
            yield pending
            pending = None
        if key is None:
            yield line
        else:
            pending, pending_key = line, key
    if pending is not None:
        yield pending


def _line(number: int, said: str, *, bar: bool) -> Line:
    text = said.translate(_WIDE_SIGNS).replace("**", "").replace("`", "")
    text = plain_map(_PREFIX.sub("", text, count=1))
    return Line(number=number, said=said, text=text, indent=len(said) - len(said.lstrip()), bar=bar)


def _bar_key(said: str) -> tuple[str, str] | None:
    found = _BAR.match(said)
    if found:
        return "bar", found["who"].strip()
    found = _KERAS_BAR.match(said)
    return ("keras", found["total"]) if found else None
