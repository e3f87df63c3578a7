"""How scenes are chosen, and how scenes or images are dealt out to train, val and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from veritrain.worlds.aerial_scene import ScenePlan
from veritrain.worlds.aerial_sites import SITES
from veritrain.worlds.options import AerialOptions
from veritrain.worlds.whole_numbers import whole_numbers

PARTS = ("train", "val", "test")
SERVED = ("train", "test", "val")
"""Who gets a class first that is too rare for all."""
FEWEST_SCENES = 3
"""Of each site, in a world with room for them: each part can have one."""


def plan_scenes(options: AerialOptions) -> list[ScenePlan]:
    """Sites and covers of all scenes; the same for the same options."""
    rng = np.random.default_rng([options.seed, 67])
    total = -(-options.images // options.per_scene)
    weights = [site.weight if options.balance == "long_tail" else 1.0 for site in SITES.values()]
    counts = whole_numbers(weights, total, fewest=min(FEWEST_SCENES, total // len(SITES)))
    names = [name for name, count in zip(SITES, counts, strict=True) for _ in range(count)]
    plans = []
    for number, place in enumerate(rng.permutation(total)):
        covers = SITES[names[place]].covers
        left = options.images - number * options.per_scene
        plans.append(
            ScenePlan(
                number=number,
                site=names[place],
                cover=covers[int(rng.integers(len(covers)))],
                images=min(options.per_scene, left),
            )
        )
    return plans


def deal(
    kinds: Sequence[frozenset[str]], sizes: Sequence[int], shares: Sequence[float], rng: np.random.Generator
) -> list[str]:
    """The part of each unit (a scene or an image).

    First every part gets a unit with each class, rare classes first, as far as there are enough; then units go where
    the most is missing.

    Args:
        kinds: classes of each unit. sizes: images of each unit.
        shares: of the images, for each of ``PARTS``; a part with share 0 gets nothing.
        rng: of the order.
    """
    order = [int(place) for place in rng.permutation(len(kinds))]
    share_of = dict(zip(PARTS, shares, strict=True))
    parts = [part for part in PARTS if share_of[part] > 0]
    dealt: dict[int, str] = {}
    has: dict[str, Counter[str]] = {part: Counter() for part in parts}
    held = Counter(dict.fromkeys(parts, 0))

    def give(unit: int, part: str) -> None:
        dealt[unit] = part
        has[part].update(kinds[unit])
        held[part] += sizes[unit]

    counted = Counter(kind for unit in kinds for kind in unit)
    for kind in sorted(counted, key=lambda name: (counted[name], name)):
        for part in [part for part in SERVED if share_of[part] > 0]:
            free = next((unit for unit in order if unit not in dealt and kind in kinds[unit]), None)
            if not has[part][kind] and free is not None:
                give(free, part)
    total = sum(sizes)
    for unit in order:
        if unit not in dealt:
            give(unit, max(parts, key=lambda part: share_of[part] * total - held[part]))
    return [dealt[unit] for unit in range(len(kinds))]
