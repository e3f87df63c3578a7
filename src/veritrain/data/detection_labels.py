"""One label file of a detection set: boxes and, where there is one, the view.

A line is read by itself: a class and four numbers are a box (centre and size), a class and three or more points are a
polygon, which stands for its extent, and as many ones and zeros as there are views, one of them a one, are the view. A
line of ones and zeros is never a box: read as one it would have no area. All numbers are shares of the image's width
and height.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from veritrain.data.detection_sample import FrameLabels
from veritrain.data.sample import UNKNOWN
from veritrain.errors import BrokenFileError

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
OVERHANG = 1e-3
"""Share of the image by which the edge of a box given as centre and size may stand out: six digits round that far."""
LEAST_SIDE = 1e-6
"""A side below a millionth of the image is none."""
MOST_CLASSES = 2**31
BOX_TOKENS, POLYGON_TOKENS = 5, 7
"""A class and four numbers; a class and three points."""
POLYGON_SETS = 0.75
"""From this share of polygons on, five numbers are a polygon of two points and no box (``geometry`` "auto")."""


class LabelError(BrokenFileError):
    """A label file that cannot be meant.

    Args:
        message: as every error's, and its other arguments.
        name: what is wrong, for machines: "class_unknown", "coordinate_outside", "too_few_points", "token_count",
            "not_a_number", "zero_area", "view_length", "view_not_one_hot", "two_views", "not_text", "repeated_line".
    """

    def __init__(self, message: str, *, name: str = "", **told: Any) -> None:
        super().__init__(message, **told)
        self.name = name


@dataclass(frozen=True, kw_only=True)
class LabelSchema:
    """What a line of this data set can be.

    Attributes:
        classes: number of classes; None where nobody says it, then any whole number from 0 is one.
        views: ones and zeros of a view line; 0 where the data set has no views.
        polygons_only: five numbers are then a polygon of two points, which is none.
    """

    classes: int | None
    views: int
    polygons_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Survey:
    """Lines of a whole data set by their shape, before any is judged.

    Attributes:
        boxes: lines of a class and four numbers.
        polygons: lines of a class and three or more points.
        view_lengths: length of a line of zeros and a single one -> number of files that have one.
        files: files looked at.
    """

    boxes: int
    polygons: int
    view_lengths: Counter[int]
    files: int

    @property
    def views(self) -> int:
        """Ones and zeros of a view line: the most frequent length (three before others), 0 without any.

        A length that an object may have too (5, 7, 9, ...) is believed where at least half of the files have it.
        """
        believed = {
            length: files
            for length, files in self.view_lengths.items()
            if not _may_be_object(length) or 2 * files >= self.files
        }
        return min(believed, key=lambda length: (-believed[length], length != 3, length), default=0)

    @property
    def polygons_only(self) -> bool:
        return self.polygons > 0 and self.polygons >= POLYGON_SETS * (self.polygons + self.boxes)


def survey(texts: Iterable[str]) -> Survey:
    """Counts the lines of label files by their shape, so that the data set's schema can be stated."""
    boxes = polygons = files = 0
    lengths: Counter[int] = Counter()
    for text in texts:
        files += 1
        seen = set()
        for line in text.splitlines():
            tokens = line.split()
            if _is_one_hot(tokens):
                seen.add(len(tokens))
            elif len(tokens) == BOX_TOKENS:
                boxes += 1
            elif _may_be_object(len(tokens)):
                polygons += 1
        lengths.update(seen)
    return Survey(boxes=boxes, polygons=polygons, view_lengths=lengths, files=files)


def read_text(path: Path) -> str:
    """The text of a label file, without a byte-order mark.

    Raises:
        LabelError: it is no UTF-8. OSError: it cannot be read.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelError(
            "the label file is no text",
            name="not_text",
            file=path,
            line=None,
            expected="lines of numbers in UTF-8",
            found=f"byte {error.object[error.start]:#04x} at place {error.start}",
            fix="write the labels again",
        ) from error


def parse_labels(text: str, schema: LabelSchema, file: Path | str) -> FrameLabels:
    """The boxes and the view of one label file.

    Args:
        text: the whole file; an empty one is an image without any object.
        schema: what a line can be.
        file: named in errors.

    Raises:
        LabelError: a line cannot be meant; it names file and line.
    """
    boxes: list[tuple[float, ...]] = []
    classes: list[int] = []
    lines: list[int] = []
    repeated: list[int] = []
    seen: set[tuple[int, tuple[float, ...]]] = set()
    view, polygons = UNKNOWN, 0
    for number, line in enumerate(text.splitlines(), start=1):
        tokens = line.split()
        if not tokens:
            continue
        reader = _Line(tokens, schema, file, number)
        found = reader.view()
        if found is not None:
            if view != UNKNOWN:
                reader.refuse("two_views", "a second view line", "one line that names the view", " ".join(tokens))
            view = found
            continue
        one = reader.object()
        if one in seen:
            repeated.append(number)
            continue
        seen.add(one)
        classes.append(one[0])
        boxes.append(one[1])
        lines.append(number)
        polygons += len(tokens) > BOX_TOKENS
    return FrameLabels(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        classes=np.array(classes, np.int64),
        view=view,
        lines=tuple(lines),
        polygons=polygons,
        repeated=tuple(repeated),
        objects=len(lines) + len(repeated),
    )


class _Line:
    """One line that is not blank."""

    def __init__(self, tokens: list[str], schema: LabelSchema, file: Path | str, number: int) -> None:
        self.tokens, self.schema, self.file, self.number = tokens, schema, file, number
        self.values = [self._value(token) for token in tokens]

    def refuse(self, name: str, message: str, expected: str, found: str, fix: str = "correct the line") -> NoReturn:
        raise LabelError(message, name=name, file=self.file, line=self.number, expected=expected, found=found, fix=fix)

    def view(self) -> int | None:
        """The number of the view, or None where the line is no view line."""
        views, length = self.schema.views, len(self.values)
        if not views or any(value not in (0.0, 1.0) for value in self.values):
            return None
        ones = self.values.count(1.0)
        told, expected = " ".join(self.tokens), f"{views} numbers, one of them 1"
        if length == views:
            if ones != 1:
                self.refuse("view_not_one_hot", f"a view line with {ones} ones", expected, told)
            return self.values.index(1.0)
        if ones == 1 or not _may_be_object(length):
            self.refuse("view_length", f"a view line of {length} numbers", expected, told)
        return None

    def object(self) -> tuple[int, tuple[float, ...]]:
        """Class and (centre x, centre y, width, height)."""
        length = len(self.values)
        if length in (1, 3) or (length == BOX_TOKENS and self.schema.polygons_only):
            points = (length - 1) // 2
            self.refuse(
                "too_few_points",
                f"a polygon of {points} point{'s' * (points != 1)}",
                "a class and at least three points",
                " ".join(self.tokens),
                "add the missing points"
                if length != BOX_TOKENS
                else "write a box among polygons as four corners, or say that both kinds stand here: --geometry mixed",
            )
        if not _may_be_object(length):
            self.refuse(
                "token_count",
                f"a line of {length} numbers",
                "a class and 4 numbers, or a class and 3 or more points"
                + (f", or {self.schema.views} ones and zeros" if self.schema.views else ""),
                " ".join(self.tokens),
            )
        return self._class(), self._box() if length == BOX_TOKENS else self._extent()

    def _value(self, token: str) -> float:
        if not NUMBER.fullmatch(token):
            self.refuse("not_a_number", f"'{token}' is no number", "numbers alone", token)
        return float(token)

    def _class(self) -> int:
        value, classes = self.values[0], self.schema.classes
        if not value.is_integer() or not 0 <= value < (MOST_CLASSES if classes is None else classes):
            known = "a whole number from 0" + ("" if classes is None else f" to {classes - 1}, as data.yaml has names")
            self.refuse("class_unknown", f"class {self.tokens[0]} does not exist", known, self.tokens[0])
        return int(value)

    def _box(self) -> tuple[float, ...]:
        x, y, width, height = self._inside(self.values[1:])
        self._demand_area(width, height)
        for centre, size, along in ((x, width, "x"), (y, height, "y")):
            low, high = centre - size / 2, centre + size / 2
            if low < -OVERHANG or high > 1 + OVERHANG:
                self.refuse(
                    "coordinate_outside",
                    "the box stands out of the image",
                    "centre and size of a box inside [0, 1]",
                    f"{along} from {low:g} to {high:g}",
                )
        return x, y, width, height

    def _extent(self) -> tuple[float, ...]:
        values = self._inside(self.values[1:])
        across, down = values[0::2], values[1::2]
        left, right, top, bottom = min(across), max(across), min(down), max(down)
        self._demand_area(right - left, bottom - top)
        return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top

    def _inside(self, values: list[float]) -> list[float]:
        for value, token in zip(values, self.tokens[1:], strict=True):
            if not 0 <= value <= 1:
                self.refuse(
                    "coordinate_outside",
                    f"coordinate {token} lies outside of the image",
                    "shares of the image's width and height from 0 to 1",
                    token,
                    "divide pixels by the image's width and height",
                )
        return values

    def _demand_area(self, width: float, height: float) -> None:
        if min(width, height) < LEAST_SIDE:
            self.refuse("zero_area", "a box without area", "a width and a height above 0", f"{width:g} x {height:g}")


def _may_be_object(length: int) -> bool:
    """A box, or a class and at least three points."""
    return length == BOX_TOKENS or (length >= POLYGON_TOKENS and length % 2 == 1)


def _is_one_hot(tokens: list[str]) -> bool:
    """At least two zeros and ones of which one is a one, written as whole numbers."""
    return len(tokens) > 1 and set(tokens) <= {"0", "1"} and tokens.count("1") == 1
