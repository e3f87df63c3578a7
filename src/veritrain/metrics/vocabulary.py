"""Which classes a detector is asked for: all of them, those it trained on (base), those it never saw (novel).

Source of the terms: Bansal et al., "Zero-Shot Object Detection", ECCV 2018. Two protocols, to be named beside a number:

- **GZSD** (generalised): the vocabulary is all classes, every image counts; reported are the means over base and over
  novel classes, and their harmonic mean 2bn / (b + n).
- **ZSD**: the vocabulary is the novel classes alone (no base class competes), on the images that hold a novel object.
  :func:`asked_for` makes its detections, labels and images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from veritrain.errors import UsageError
from veritrain.metrics.boxes import Detections, Truths
from veritrain.metrics.detection import mean_of_defined
from veritrain.metrics.matching import Floats, Integers

PARTS = ("all", "base", "novel", "harmonic")
"""What a mean over classes can be asked for; without novel classes only "all"."""


@dataclass(frozen=True)
class Vocabulary:
    """The names of C classes, in the order of their numbers, and which of them are novel.

    Raises:
        UsageError: a name twice, a novel name that is none of the classes, only novel classes or none at all.
    """

    names: tuple[str, ...]
    novel: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        strange = sorted(set(self.novel) - set(self.names))
        doubled = sorted({name for name in self.names if self.names.count(name) > 1})
        if not self.names or doubled or strange or (self.novel and set(self.novel) == set(self.names)):
            raise UsageError(
                "these are no base and novel classes",
                expected="different names, some of them novel and some not (or none novel)",
                found=f"names {doubled} twice, novel {strange} unknown; {len(self.novel)} of {len(self.names)} novel",
            )

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of :data:`PARTS` that exist."""
        return PARTS if self.novel else PARTS[:1]

    def classes_of(self, part: str) -> tuple[int, ...]:
        """The class numbers of a part; of "harmonic": all.

        Raises:
            UsageError: an unknown part, or base and novel where no class is novel.
        """
        if part not in self.parts:
            raise UsageError(f"no part '{part}' of the vocabulary", expected=", ".join(self.parts), found=part)
        wanted = {"base": (False,), "novel": (True,)}.get(part, (False, True))
        return tuple(number for number, name in enumerate(self.names) if (name in self.novel) in wanted)

    def mean(self, each: ArrayLike, part: str = "all") -> Floats:
        """(K, C) scores of classes, NaN undefined -> (K,) the mean over those of a part that are defined."""
        scores = np.asarray(each, np.float64)
        if part == "harmonic":
            return harmonic_mean(self.mean(scores, "base"), self.mean(scores, "novel"))
        return mean_of_defined(scores[:, list(self.classes_of(part))])


class Asked(NamedTuple):
    """What a vocabulary leaves of a set: ``images`` (n,) are the kept images' former numbers, ascending; the boxes are
    numbered anew by them, classes keep their numbers."""

    detections: Detections
    truths: Truths
    images: Integers


def harmonic_mean(base: ArrayLike, novel: ArrayLike) -> Floats:
    """(K,) and (K,) of 0..1 -> (K,) 2bn / (b + n); NaN where either is undefined, 0 where either is 0."""
    b, n = np.asarray(base, np.float64), np.asarray(novel, np.float64)
    undefined = np.isnan(b) | np.isnan(n)
    total = np.where(undefined, 0.0, b + n)
    value = np.divide(2 * b * n, total, out=np.zeros(np.broadcast(b, n).shape), where=total > 0)
    return np.where(undefined, np.nan, value)


def asked_for(
    detections: Detections, truths: Truths, classes: Sequence[int], *, only_images_with: bool = True
) -> Asked:
    """Detections and labels of some classes, as if the vocabulary were these alone.

    Args:
        classes: the numbers asked for.
        only_images_with: leave out images without an object of these classes (ZSD); False keeps those with any box.
    """
    found, there = np.isin(detections.classes, classes), np.isin(truths.classes, classes)
    holding = truths.images[there] if only_images_with else np.concatenate([truths.images, detections.images])
    images = np.unique(holding)
    found &= np.isin(detections.images, images)
    there &= np.isin(truths.images, images)
    kept, labels = detections.taken(found), truths.taken(there)
    return Asked(
        Detections(np.searchsorted(images, kept.images), kept.boxes, kept.scores, kept.classes),
        labels.taken(np.arange(len(labels)), np.searchsorted(images, labels.images)),
        images,
    )
