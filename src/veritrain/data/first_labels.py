"""What is lost where an image with boxes is given one class: that of its first box, as report 002 did."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class FirstLabels:
    """Facts about first labels.

    Attributes:
        images: with an object. empty: without; they have no first label.
        several: images with objects of several classes, all but one of which become wrong answers.
        not_most_frequent: images whose first class is not the one that most of their objects have.
        entropy: nats of the first labels, what a constant answer costs in cross-entropy at least.
        majority: share of the most frequent first label, what a constant answer scores.
        never_first: classes of the vocabulary that are no image's first label.
    """

    images: int
    empty: int
    several: int
    not_most_frequent: int
    entropy: float | None
    majority: float | None
    never_first: tuple[int, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def first_labels(images: Iterable[NDArray[np.int64]], classes: int) -> FirstLabels:
    """Facts about the first of each image's classes.

    Args:
        images: (n,) classes of each image's objects, in the order of its file; n may be 0.
        classes: of the vocabulary.
    """
    every = [one.tolist() for one in images]
    labelled = [one for one in every if one]
    firsts = Counter(one[0] for one in labelled)
    shares = [count / len(labelled) for count in firsts.values()]
    return FirstLabels(
        images=len(labelled),
        empty=len(every) - len(labelled),
        several=sum(len(set(one)) > 1 for one in labelled),
        # Of equally frequent classes the first is as good as any other.
        not_most_frequent=sum(one.count(one[0]) < max(Counter(one).values()) for one in labelled),
        entropy=-sum(share * math.log(share) for share in shares) + 0.0 if labelled else None,
        majority=max(shares) if labelled else None,
        never_first=tuple(number for number in range(classes) if number not in firsts),
    )
