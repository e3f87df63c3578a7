"""Which groups and frames a part of a data set takes: words, a share of each stratum, frames spread over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from veritrain.errors import ConfigError

T = TypeVar("T")

Stratum = tuple[int, ...]
"""Whole numbers that name a stratum; beside the seed they are the key of its drawing."""

NO_CLASS = 2**31
"""Stands for "no object at all" where groups are drawn class by class."""


def demand_possible(*, share: float, frames: int, seed: int, example: int) -> None:
    """Refuse options of a part that no part can have.

    Args:
        share: of the groups. frames: of each scenario or video. seed: of the drawing.
        example: a number of frames that the message advises.

    Raises:
        ConfigError: share is not above 0 and at most 1, or another is below 0.
    """
    if not 0 < share <= 1 or frames < 0 or seed < 0:
        raise ConfigError(
            "no such part",
            expected="share above 0 and at most 1; frames and seed not below 0",
            found=f"share {share}, frames {frames}, seed {seed}",
            fix=f"--share 0.25 --frames {example}",
        )


def words_of(text: str) -> list[str]:
    """The words of an option that are separated by commas."""
    return [word.strip() for word in text.split(",") if word.strip()]


def draw_groups(strata: Mapping[str, Iterable[Stratum]], share: float, seed: int) -> set[str]:
    """``share`` of the groups of each stratum, rounded, at least one.

    The stratum that fewest groups have is drawn first; groups drawn for one stratum count for the others they have.
    Who is drawn depends on the seed, the strata and the names only.

    Args:
        strata: group -> the strata it is of, at least one.
        share: above 0 and at most 1.
    """
    members: dict[Stratum, list[str]] = defaultdict(list)
    for group in sorted(strata):
        for stratum in strata[group]:
            members[stratum].append(group)
    taken: set[str] = set()
    for stratum, groups in sorted(members.items(), key=lambda one: (len(one[1]), one[0])):
        wanted = max(1, int(len(groups) * share + 0.5))
        rest = [group for group in groups if group not in taken]
        lacking = wanted - (len(groups) - len(rest))
        order = np.random.default_rng([seed, *stratum]).permutation(len(rest))
        taken |= {rest[place] for place in order[: max(lacking, 0)]}
    return taken


def draw_by_class(classes: Mapping[str, set[int]], share: float, seed: int) -> set[str]:
    """``share`` of the groups of each class, as :func:`draw_groups` draws; those without any object are a class too.

    Args:
        classes: group -> numbers of the classes that it has.
        share: above 0 and at most 1.
    """
    strata = {name: {(number,) for number in those or (NO_CLASS,)} for name, those in classes.items()}
    return draw_groups(strata, share, seed)


def spaced(frames: Sequence[T], count: int) -> list[T]:
    """``count`` of the frames, evenly spaced in place, or all where ``count`` is 0 or there are no more."""
    if count == 0 or count >= len(frames):
        return list(frames)
    return [frames[(2 * place + 1) * len(frames) // (2 * count)] for place in range(count)]
