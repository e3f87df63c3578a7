"""Tables inside text: Markdown tables, column tables under a header line, the tables of YOLO and scikit-learn."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from veritrain.readers.names import Name, canonical, counter, split_word
from veritrain.readers.numbers import Number, parse_number

_RULE = re.compile(r"^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_YOLO_ALL = re.compile(r"^\s*all\s+(\d+)\s+(\d+)\s+((?:\d[\d.eE+-]*\s+){3,}\d[\d.eE+-]*)\s*$")
_YOLO_TOP = re.compile(r"^\s*all\s+([01](?:\.\d+)?)\s+([01](?:\.\d+)?)\s*$")
_YOLO_COLUMNS = ("precision", "recall", "map_50", "map")
_REPORT_ACCURACY = re.compile(r"^\s*accuracy\s+((?:\d*\.\d+\s+)*\d*\.\d+)(?:\s+(\d+)(?:\.0+)?)?\s*$", re.IGNORECASE)
_YOLO_LOSSES = frozenset({"box", "obj", "cls", "dfl", "seg", "pose", "kobj"})
_FIRST = frozenset(["initial", "初始", "start", "开始", "first", "epoch1"])
_LAST = frozenset(["final", "最终", "end", "last", "最後", "最后"])
_TOP = frozenset(["best", "最佳", "最好", "最优", "max"])


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One number of a table: its name as written and understood, and its place in training when the row tells."""

    raw: str
    name: Name
    number: Number
    epoch: float | None = None
    subject: str | None = None


class MarkdownTable:
    """Follows ``| a | b |`` rows: an epoch column makes a series, a first column of metrics makes a list of values."""

    def __init__(self) -> None:
        self._header: list[str] | None = None
        self._ruled = False

    @staticmethod
    def is_row(text: str) -> bool:
        return text.strip().startswith("|") and text.strip().count("|") >= 3

    @property
    def header(self) -> Sequence[str]:
        return self._header or ()

    def end(self) -> None:
        self._header, self._ruled = None, False

    def feed(self, text: str, section: str | None) -> list[Cell]:
        """The numbers of one row; ``section`` is the split that the heading above the table speaks of."""
        if _RULE.match(text):
            self._ruled = self._header is not None
            return []
        cells = [cell.strip(" *`") for cell in text.strip().strip("|").split("|")]
        if not self._ruled:
            self._header = cells
            return []
        return self._row(cells, section)

    def _row(self, cells: list[str], section: str | None) -> list[Cell]:
        header = self._header or []
        pairs = list(zip(header, cells, strict=False))
        if counter(header[0]) == "epoch" or counter(header[0]) == "step":
            return self._series(pairs)
        first = canonical(cells[0])
        if first is not None and (parse_number(header[0]) is None):
            return self._listed(pairs[1:], cells[0], first, section)
        return [
            Cell(raw=raw, name=name, number=number, subject=cells[0])
            for raw, text in pairs[1:]
            if (name := canonical(raw)) is not None and (number := parse_number(text)) is not None
        ]

    @staticmethod
    def _series(pairs: list[tuple[str, str]]) -> list[Cell]:
        place = parse_number(pairs[0][1].partition("/")[0])
        if place is None or place.value is None:
            return []
        return [
            Cell(raw=raw, name=name, number=number, epoch=place.value)
            for raw, text in pairs[1:]
            if (name := canonical(raw)) is not None and (number := parse_number(text)) is not None
        ]

    @staticmethod
    def _listed(pairs: list[tuple[str, str]], raw: str, first: Name, section: str | None) -> list[Cell]:
        found = []
        for head, text in pairs:
            number = parse_number(text)
            if number is None:
                continue
            word = head.lower().strip()
            place = "first" if word in _FIRST else "best" if word in _TOP else first.place
            split = first.split or split_word(head) or section
            many = len(pairs) > 1 and word not in _FIRST | _TOP | _LAST
            name = Name(name=first.name, split=split, place=place)
            found.append(Cell(raw=raw, name=name, number=number, subject=head if many else None))
        return found


class ColumnTable:
    """Follows rows of numbers under a header such as ``Epoch   Loss   Accuracy`` or ``Epoch gpu_mem box obj``."""

    def __init__(self) -> None:
        self._columns: list[tuple[str, Name | None]] = []

    def take_header(self, text: str) -> bool:
        words = [word for word in re.split(r"\s{2,}|\t", text.strip()) if word]
        if len(words) < 3:
            words = text.split()
        if len(words) < 2 or counter(words[0]) != "epoch" or any(re.search(r"[:=|]|^\d", word) for word in words):
            return False
        self._columns = [(word, self._name(word)) for word in words]
        if not any(name for _, name in self._columns):
            self._columns = []
        return bool(self._columns)

    @staticmethod
    def _name(word: str) -> Name | None:
        if word.lower() in _YOLO_LOSSES:
            return Name(name=f"loss/{word.lower()}", split="train")
        found = canonical(word)
        if found is not None and word.lower() in {f"{term}_loss" for term in _YOLO_LOSSES}:
            return Name(name=found.name, split="train")
        return found

    def row(self, text: str) -> tuple[float, float | None, list[Cell]] | None:
        """Epoch, planned epochs and the numbers of a row; None when the line is none."""
        if not self._columns:
            return None
        words = text.split()
        place = re.fullmatch(r"(\d+)(?:/(\d+))?", words[0]) if words else None
        if place is None or len(words) < len(self._columns):
            return None
        cells = [
            Cell(raw=raw, name=name, number=number, epoch=float(place[1]))
            for (raw, name), word in zip(self._columns[1:], words[1:], strict=False)
            if name is not None and (number := parse_number(word)) is not None
        ]
        planned = float(place[2]) if place[2] else None
        return (float(place[1]), planned, cells) if cells else None

    def end(self) -> None:
        self._columns = []


def yolo_all(text: str) -> tuple[float, list[Cell]] | None:
    """Number of images and the scores of YOLO's ``all`` row."""
    found = _YOLO_ALL.match(text)
    if found is None:
        return None
    numbers = [parse_number(word) for word in found[3].split()]
    cells = [
        Cell(raw=f"all {name}", name=Name(name=name, split="val"), number=number)
        for name, number in zip(_YOLO_COLUMNS, numbers, strict=False)
        if number is not None
    ]
    return float(found[1]), cells


def yolo_classes(text: str) -> list[Cell]:
    """The scores of the ``all`` row of YOLO's classifier: top-1 and top-5."""
    found = _YOLO_TOP.match(text)
    if found is None:
        return []
    names = (Name(name="accuracy", split="val"), Name(name="accuracy_top5", split="val"))
    numbers = (parse_number(found[1]), parse_number(found[2]))
    return [Cell(raw="all", name=name, number=number) for name, number in zip(names, numbers, strict=True) if number]


def report_accuracy(text: str) -> Cell | None:
    """The accuracy row of scikit-learn's classification report."""
    found = _REPORT_ACCURACY.match(text)
    if found is None:
        return None
    number = parse_number(found[1].split()[0])
    if number is None:
        return None
    return Cell(
        raw="classification report accuracy", name=Name(name="accuracy"), number=number, subject="classification report"
    )
