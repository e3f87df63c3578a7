"""One annotation file of DIOR: the size of its image and its objects, horizontal or oriented, in edges of pixels.

Coordinates in the file are 1-based and inclusive, as those of PASCAL VOC: ``xmin`` 1 and ``xmax`` 800 are the first and
the last of 800 columns. Here the box spans from the left edge of its first column to the right edge of its last,
``xmin - 1`` to ``xmax``, so that 0 and 800 are the edges of the image. A coordinate of 0 stands one pixel outside; the
box is cut there. Corners of an oriented box are centres of pixels (``x - 0.5``) and may lie outside of the image; the
box around them follows the rule above and is cut at the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from veritrain.data.detection_inventory import AnnotationError
from veritrain.data.detection_labels import NUMBER
from veritrain.data.plain_xml import Element, read_xml

EDGES = ("xmin", "ymin", "xmax", "ymax")
CORNERS = tuple(
    f"{axis}_{side}_{end}"
    for side, end in (("left", "top"), ("right", "top"), ("right", "bottom"), ("left", "bottom"))
    for axis in "xy"
)
"""Clockwise from the left top, x before y."""
LONGEST_SIDE = 2**20
"""Pixels of a stated size above which no image is meant."""


class Malformed(NamedTuple):
    """A box that cannot be meant: which object of the file (from 1), what for machines, the element, and why."""

    place: int
    name: str
    line: int
    element: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """What one file says.

    Attributes:
        width, height: of the image in pixels, as stated. filename: as stated; "" without.
        names: the class name of each object, as written.
        lines: the 1-based line of each object.
        edges: (n, 4) float64 left, top, right, bottom in pixels from the image's left top; NaN of malformed boxes.
        corners: (n, 4, 2) float64 x, y in pixels, clockwise from the left top; None of horizontal boxes.
        overhanging: oriented boxes with a corner outside of the image.
        malformed: the boxes that cannot be meant.
    """

    width: int
    height: int
    filename: str
    names: tuple[str, ...]
    lines: tuple[int, ...]
    edges: NDArray[np.float64]
    corners: NDArray[np.float64] | None
    overhanging: int
    malformed: tuple[Malformed, ...]


def read_annotation(path: Path, *, oriented: bool = False) -> Annotation:
    """The content of one annotation file.

    Args:
        path: the XML file.
        oriented: its objects have ``robndbox`` with four corners, not ``bndbox`` with two.

    Raises:
        AnnotationError: no XML, cut off, with a document type, without a size; it names file, line and element.
        OSError: it cannot be read.
    """
    root = read_xml(path)
    if root.tag != "annotation":
        raise _refused(path, root, "element_missing", "the file holds no annotation", "a root <annotation>", root.tag)
    width, height = _size(root, path)
    objects = [one for one in root.children if one.tag == "object"]
    rows, malformed = [], []
    for place, one in enumerate(objects, start=1):
        found = _numbers(one, oriented)
        if not isinstance(found, str):
            wrong = _wrong_corners(found, width, height) if oriented else _wrong_edges(found, width, height)
        else:
            wrong = ("not_a_number", found)
        if wrong is not None:
            tag = "robndbox" if oriented else "bndbox"
            element = f"object {place} ({one.text_of('name')}), {tag}"
            malformed.append(Malformed(place, wrong[0], one.line, element, wrong[1]))
        rows.append([np.nan] * (8 if oriented else 4) if wrong is not None else found)
    points = np.array(rows, np.float64).reshape(-1, 4 if oriented else 2, 2)
    limits = np.array([width, height], np.float64)
    return Annotation(
        width=width,
        height=height,
        filename=root.text_of("filename"),
        names=tuple(one.text_of("name") for one in objects),
        lines=tuple(one.line for one in objects),
        edges=_edges(points, limits),
        corners=points - 0.5 if oriented else None,
        overhanging=_overhanging(points, limits) if oriented else 0,
        malformed=tuple(malformed),
    )


def is_oriented(path: Path) -> bool:
    """Whether the first object of a file has four corners; False of a file without objects.

    Raises:
        AnnotationError, OSError: as :func:`read_annotation`.
    """
    first = read_xml(path).child("object")
    return first is not None and first.child("robndbox") is not None


def _size(root: Element, path: Path) -> tuple[int, int]:
    size = root.child("size")
    if size is None:
        raise _refused(path, root, "element_missing", "the size of the image is missing", "<size>", "none")
    sides = []
    for tag in ("width", "height"):
        text = size.text_of(tag)
        if not (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= LONGEST_SIDE):
            message, expected = "the size of the image cannot be meant", f"a whole number of pixels in <{tag}>"
            raise _refused(path, size, "size_impossible", message, expected, text or "nothing")
        sides.append(int(text))
    return sides[0], sides[1]


def _numbers(one: Element, oriented: bool) -> list[float] | str:
    """The coordinates of an object as they stand, or why there are none."""
    tag, wanted = ("robndbox", CORNERS) if oriented else ("bndbox", EDGES)
    box = one.child(tag)
    if box is None:
        return f"<{tag}> is missing"
    texts = {child.tag: child.text for child in box.children}
    for name in wanted:
        text = texts.get(name)
        if text is None:
            return f"<{name}> is missing"
        if not (text.isascii() and text.isdigit()) and not NUMBER.fullmatch(text):
            return f"{name} '{text[:40]}' is no number"
    return [float(texts[name]) for name in wanted]


def _wrong_edges(box: list[float], width: int, height: int) -> tuple[str, str] | None:
    xmin, ymin, xmax, ymax = box
    for low, high, axis in ((xmin, xmax, "x"), (ymin, ymax, "y")):
        if not low < high:
            return "zero_area", f"{axis}max {high:g} is not above {axis}min {low:g}"
    for low, high, side, axis in ((xmin, xmax, width, "x"), (ymin, ymax, height, "y")):
        if low < 0 or high > side:
            return "box_outside", f"{axis} from {low:g} to {high:g} in an image of {width} x {height} pixels"
    return None


def _wrong_corners(box: list[float], width: int, height: int) -> tuple[str, str] | None:
    across, down = box[0::2], box[1::2]
    turned = zip(across, down, [*across[1:], across[0]], [*down[1:], down[0]], strict=True)
    if not abs(sum(x * below - right * y for x, y, right, below in turned)) > 0:
        return "zero_area", f"corners without area between them: {box}"
    for values, side, axis in ((across, width, "x"), (down, height, "y")):
        if max(values) < 1 or min(values) > side:
            span = f"{axis} from {min(values):g} to {max(values):g}"
            return "box_outside", f"{span} in an image of {width} x {height} pixels"
    return None


def _edges(points: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2 or 4, 2) stated points -> (n, 4) edges cut at the image."""
    if not len(points):
        return np.zeros((0, 4))
    low, high = points.min(axis=1) - 1, points.max(axis=1)
    return np.concatenate((np.clip(low, 0, limits), np.clip(high, 0, limits)), axis=1)


def _overhanging(points: NDArray[np.float64], limits: NDArray[np.float64]) -> int:
    return int(((points < 1) | (points > limits)).any(axis=(1, 2)).sum())


def _refused(path: Path, element: Element, name: str, message: str, expected: str, found: str) -> AnnotationError:
    return AnnotationError(
        message,
        name=name,
        element=element.tag,
        file=path,
        line=element.line,
        expected=expected,
        found=found,
        fix="correct the file, or leave its image out: --on_broken skip",
    )
