"""The keys that ``data check --json`` has for every format with boxes; each adds its own beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any


def check_form(
    *,
    name: str,
    annotation: str,
    objects: int,
    classes: Mapping[str, tuple[int, int]],
    splits: Mapping[str, tuple[int, int, int]],
    shared_groups: int,
    malformed: int,
) -> dict[str, Any]:
    """The common keys.

    Args:
        name: of the format, as the catalogue has it. annotation: "horizontal" or "oriented".
        objects: that the files hold, malformed ones among them.
        classes: class -> (objects, images with one). splits: published split -> (images, objects, groups).
        shared_groups: groups that lie in several published splits. malformed: objects that cannot be meant.
    """
    return {
        "format": name,
        "annotation": annotation,
        "objects": objects,
        "classes": {one: {"objects": held, "images": images} for one, (held, images) in classes.items()},
        "splits": {
            one: {"images": images, "objects": held, "groups": groups} for one, (images, held, groups) in splits.items()
        },
        "shared_groups": shared_groups,
        "malformed": malformed,
    }


def shared_between(groups: Mapping[str, Iterable[str]]) -> int:
    """How many groups lie in several splits; ``groups``: split -> its groups, repeated or not."""
    found: dict[str, set[str]] = defaultdict(set)
    for split, those in groups.items():
        for group in those:
            found[group].add(split)
    return sum(len(splits) > 1 for splits in found.values())
