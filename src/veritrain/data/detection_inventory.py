"""What a set of images with boxes holds in numbers, and what of it cannot be meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from veritrain.errors import BrokenFileError


@dataclass(frozen=True, kw_only=True)
class FileProblem:
    """Something that cannot be meant: what (a word for machines), where, why, and whether its image is left out.

    ``element`` is the part of the file: "object 3 (ship), bndbox"; "" where the line says it or the file is meant.
    """

    name: str
    file: str
    line: int | None
    reason: str
    left_out: bool
    element: str = ""


@dataclass(frozen=True, kw_only=True)
class DetectionInventory:
    """What a data set holds and what was left out.

    Attributes:
        frames: images with readable labels, those without any object among them.
        objects: their boxes.
        groups: patients, scenes, or what stands for them.
        videos: recordings, or what stands for them.
        classes: class names.
        views: view names; empty where no image has a view.
        polygons: boxes that are the extent of a polygon.
        assumed: what the files do not say and the reader takes for granted, in sentences.
        problems: what was left out or repeated, with file, line and reason.
    """

    frames: int
    objects: int
    groups: int
    videos: int
    classes: tuple[str, ...]
    views: tuple[str, ...]
    polygons: int
    assumed: list[str]
    problems: list[FileProblem]


class AnnotationError(BrokenFileError):
    """A part of an annotation file that cannot be meant.

    Args:
        message: as every error's, and its other arguments.
        name: what is wrong, for machines.
        element: the part of the file; it opens the message.
    """

    def __init__(self, message: str, *, name: str = "", element: str = "", **told: Any) -> None:
        super().__init__(f"{element}: {message}" if element else message, **told)
        self.name, self.element = name, element

    def as_problem(self, *, left_out: bool) -> FileProblem:
        """What an inventory lists of it."""
        found = f" (found {self.found})" if self.found else ""
        reason = self.message.removeprefix(f"{self.element}: ") + found
        return FileProblem(
            name=self.name,
            file=str(self.file),
            line=self.line,
            reason=reason,
            left_out=left_out,
            element=self.element,
        )
