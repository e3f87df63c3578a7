"""Sentences about images: ``captions.json`` beside them, in the form of RSICD and RSITMD."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from veritrain.data.caption_tokens import pieces_of
from veritrain.data.detection_inventory import AnnotationError, FileProblem
from veritrain.errors import LayoutError

CAPTIONS = "captions.json"
NAMED = 3
"""Names that a message lists."""
FORM = '{"images": [{"filename": "00001.jpg", "sentences": [{"raw": "two ships ."}, ...]}, ...]}'


@dataclass(frozen=True, kw_only=True)
class Captions:
    """What is said of each image.

    Attributes:
        of: image id -> its sentences, in the order of the file; one or more.
        problems: what was left out (with ``on_broken="skip"``), a line each.
    """

    of: Mapping[str, tuple[str, ...]]
    problems: tuple[FileProblem, ...] = ()


def find_captions(*folders: Path) -> Path:
    """The captions file of a data set.

    Args:
        folders: where it may lie, the likeliest first.

    Raises:
        LayoutError: it lies in none of them.
    """
    found = next((folder / CAPTIONS for folder in folders if (folder / CAPTIONS).is_file()), None)
    if found is None:
        raise LayoutError(
            "no captions: images alone cannot teach a text tower",
            file=folders[0],
            expected=f"{CAPTIONS} in the data set's folder, {FORM}",
            found="no such file",
            fix="add it; `veritrain data make aerial OUT` writes one",
        )
    return found


def read_captions(file: Path, images: Collection[str], *, on_broken: str = "error") -> Captions:
    """The sentences of every image.

    A ``filename`` names, without its ending, the image whose id it is, or the one image whose id ends in it or in whose
    id it ends, folder by folder.

    Args:
        file: as :func:`find_captions` gives it. images: ids of the images that there are.
        on_broken: "error" stops at an image that is not there or comes twice, at a sentence without words and at an
            image without sentences; "skip" leaves it out, lists and counts.

    Raises:
        LayoutError: the file is no JSON of that form, or says nothing of any image.
        AnnotationError: with ``on_broken="error"``, as above.
    """
    reader = _Reader(file, _Names(images), on_broken)
    for place, entry in enumerate(_entries(file)):
        reader.take(place, entry)
    lacking = [name for name in images if name not in reader.found]
    if len(lacking) == len(images):
        raise LayoutError(
            f"{CAPTIONS} says nothing of any image", file=file, expected="captions of the images beside it",
            found=f"{len(images)} images without any", fix="give the file that belongs to these images",
        )  # fmt: skip
    for name in lacking:
        reader.note("image_without_caption", "an image without captions", "a sentence or more", name)
    return Captions(of={name: reader.found[name] for name in images if name in reader.found},
                    problems=tuple(reader.problems))  # fmt: skip


class _Names:
    """Finds the image that a file name means."""

    def __init__(self, images: Collection[str]) -> None:
        self._ids = frozenset(images)
        self._last: dict[str, list[str]] = defaultdict(list)
        for name in images:
            self._last[PurePosixPath(name).name].append(name)

    def image_of(self, filename: str) -> str | None:
        whole = str(PurePosixPath(filename.replace("\\", "/")).with_suffix("")) if filename.strip() else ""
        if whole in self._ids:
            return whole
        alike = self._last.get(PurePosixPath(whole).name, [])
        ends = [name for name in alike if f"/{name}".endswith(f"/{whole}") or f"/{whole}".endswith(f"/{name}")]
        return ends[0] if len(ends) == 1 else None


@dataclass
class _Reader:
    file: Path
    names: _Names
    on_broken: str
    found: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[FileProblem] = field(default_factory=list)

    def take(self, place: int, entry: Mapping[str, Any]) -> None:
        filename, where = str(entry["filename"]), f"images[{place}]"
        name = self.names.image_of(filename)
        if name is None:
            expected = "the file name of an image of this data set"
            self.note("caption_of_unknown_image", "captions of an image that is not there", expected, filename, where)
        elif name in self.found:
            self.note("captions_repeated", "an image that has its captions already", "each image once", name, where)
        else:
            kept = tuple(self._said(f"{where}, {filename}", entry["sentences"]))
            if kept:
                self.found[name] = kept

    def _said(self, where: str, sentences: list[Any]) -> Iterator[str]:
        for number, sentence in enumerate(sentences):
            raw = sentence.get("raw") if isinstance(sentence, Mapping) else None
            if isinstance(raw, str) and pieces_of(raw):
                yield raw
            else:
                told, element = json.dumps(raw)[:80], f"{where}, sentences[{number}]"
                self.note("caption_empty", "a caption without words", "text as 'raw'", told, element)

    def note(self, name: str, message: str, expected: str, found: str, element: str = "") -> None:
        """An error, or a line among the problems."""
        error = AnnotationError(
            message, name=name, element=element, file=self.file, expected=expected, found=found,
            fix="correct the file; leave it out: --on_broken skip",
        )  # fmt: skip
        if self.on_broken == "error":
            raise error
        self.problems.append(error.as_problem(left_out=True))


def _entries(file: Path) -> list[Mapping[str, Any]]:
    """The entries of the file, each with a file name and a list of sentences."""
    try:
        content = json.loads(file.read_bytes().decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _refused(file, f"{type(error).__name__}: {error}") from error
    entries = content.get("images") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise _refused(file, f"{type(content).__name__} without a list 'images'")
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("filename"), str):
            raise _refused(file, f"images[{place}] without a 'filename'")
        if not isinstance(entry.get("sentences"), list):
            raise _refused(file, f"images[{place}] ({entry['filename']}) without a list 'sentences'")
    return entries


def _refused(file: Path, found: str) -> LayoutError:
    return LayoutError(f"{CAPTIONS} cannot be read", file=file, expected=FORM, found=found, fix="correct the file")


def problem_counts(problems: Collection[FileProblem]) -> dict[str, int]:
    """Name of a problem to how often it was met."""
    return dict(Counter(problem.name for problem in problems))
