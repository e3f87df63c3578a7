"""DIOR's files to the letter: both kinds of annotation, lists of a split, names of folders."""

from __future__ import annotations

from collections.abc import Sequence

from veritrain.worlds.aerial_render import Label

HORIZONTAL, ORIENTED = "Horizontal Bounding Boxes", "Oriented Bounding Boxes"
PUBLISHED = "/{0}.zip/{0}/{0}"
"""What ``folder`` and ``path`` of oriented annotations hold: the images' place in the published archive."""
CORNERS = ("left_top", "right_top", "right_bottom", "left_bottom")


def image_folder(part: str) -> str:
    """Where the images of a part lie."""
    return "JPEGImages-test" if part == "test" else "JPEGImages-trainval"


def annotation_folder(kind: str, names: str) -> str:
    """The folder of ``HORIZONTAL`` or ``ORIENTED`` boxes below Annotations; ``names`` is "spaces" or "underscores"."""
    return kind if names == "spaces" else kind.replace(" ", "_")


def split_text(ids: Sequence[str]) -> str:
    """A file of ImageSets/Main: an id a line, with CR and LF."""
    return "".join(f"{one}\r\n" for one in ids)


def horizontal_xml(filename: str, width: int, height: int, labels: Sequence[Label]) -> str:
    """Upright boxes: tabs, CR and LF, no declaration, neither ``difficult`` nor ``truncated``."""
    lines = ["<annotation>", *_indented(1, _text("filename", filename))]
    lines += _indented(1, "<source>", "\t<database>DIOR</database>", "</source>")
    lines += _indented(1, *_size(width, height, "\t"), _text("segmented", 0))
    for label in labels:
        sides = zip(("xmin", "ymin", "xmax", "ymax"), label.box, strict=True)
        box = ["<bndbox>", *[f"\t{_text(side, value)}" for side, value in sides], "</bndbox>"]
        lines += _indented(1, "<object>")
        lines += _indented(2, _text("name", label.name), _text("pose", "Unspecified"), *box)
        lines += _indented(1, "</object>")
    return "".join(f"{line}\r\n" for line in [*lines, "</annotation>"])


def oriented_xml(filename: str, part: str, width: int, height: int, labels: Sequence[Label]) -> str:
    """Turned boxes: four spaces, LF, a declaration; four corners and an angle in degrees."""
    place = PUBLISHED.format(image_folder(part))
    inner = [_text("folder", place), _text("filename", filename), _text("path", place)]
    inner += ["<source>", "    <database>Unknown</database>", "</source>", *_size(width, height, "    ")]
    inner.append(_text("segmented", 0))
    for label in labels:
        corners = [
            line
            for name, (x, y) in zip(CORNERS, label.corners, strict=True)
            for line in (_text(f"x_{name}", x), _text(f"y_{name}", y))
        ]
        fields = [_text("type", "robndbox"), _text("name", label.name), _text("pose", "Unspecified")]
        fields += [_text("truncated", 0), _text("difficult", 0), "<robndbox>"]
        fields += [f"    {line}" for line in corners]
        fields += ["</robndbox>", _text("angle", f"{label.angle:g}")]
        inner += ["<object>", *[f"    {line}" for line in fields], "</object>"]
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', "<annotation>", *[f"    {line}" for line in inner]]
    return "".join(f"{line}\n" for line in [*lines, "</annotation>"])


def _text(tag: str, value: str | int) -> str:
    return f"<{tag}>{value}</{tag}>"


def _size(width: int, height: int, indent: str) -> list[str]:
    sides = (("width", width), ("height", height), ("depth", 3))
    return ["<size>", *[indent + _text(side, value) for side, value in sides], "</size>"]


def _indented(depth: int, *lines: str) -> list[str]:
    return ["\t" * depth + line for line in lines]
