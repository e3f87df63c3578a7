"""The images of a boxed set looked at without training: which are there, decode, have the stated size, are copies."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from veritrain.data.boxed_images import BoxedImages, size_differs
from veritrain.data.detection_inventory import AnnotationError, FileProblem
from veritrain.data.image_file import image_size, read_image
from veritrain.errors import BrokenFileError

SAMPLE = 2000
"""Images that are decoded without another word; sizes are read of all."""


@dataclass(frozen=True, kw_only=True)
class ImagePresence:
    """What was found.

    Attributes:
        counts: "annotated", "present", "missing", "decoded", "broken", "other_size".
        copies: "sets" of equal bytes under several names, "files" in them, sets "across_splits".
        problems: those that do not decode or are of another size than stated.
    """

    counts: dict[str, int]
    copies: dict[str, int]
    problems: list[FileProblem]


def look_at_images(source: BoxedImages, sample: int = SAMPLE) -> ImagePresence:
    """Reads the size and the bytes of every image that is there, and decodes ``sample`` of them, evenly spaced."""
    keys = [key for key in source.keys() if source.about(key).present]  # noqa: SIM118 - a format is no mapping
    spaced = np.unique(np.rint(np.linspace(0, len(keys) - 1, min(sample, len(keys)))).astype(np.int64))
    decoded = {keys[place].id for place in spaced}
    problems: list[FileProblem] = []
    sets: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        one = source.about(key)
        try:
            sets[hashlib.sha256(one.image.read_bytes()).hexdigest()].append(key.published)
            size = image_size(one.image)
            if key.id in decoded:
                read_image(one.image)
            if size != (one.width, one.height):
                raise size_differs(one, size)
        except AnnotationError as error:
            problems.append(error.as_problem(left_out=True))
        except (BrokenFileError, OSError) as error:
            problems.append(_broken(error, str(one.image)))
    several = [parts for parts in sets.values() if len(parts) > 1]
    names = [problem.name for problem in problems]
    counts = {
        "annotated": len(source.keys()),
        "present": len(keys),
        "missing": len(source.keys()) - len(keys),
        "decoded": len(decoded),
        "broken": names.count("image_broken"),
        "other_size": names.count("size_differs"),
    }
    copies = {
        "sets": len(several),
        "files": sum(map(len, several)),
        "across_splits": sum(len(set(parts)) > 1 for parts in several),
    }
    return ImagePresence(counts=counts, copies=copies, problems=problems)


def _broken(error: BrokenFileError | OSError, file: str) -> FileProblem:
    reason = f"{error.message} (found {error.found})" if isinstance(error, BrokenFileError) else str(error.strerror)
    return FileProblem(name="image_broken", file=file, line=None, reason=reason, left_out=True)
