"""The driving data of one recipe: read, split by group, spoilt where the recipe asks for it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from veritrain.data.frame_cache import CachedFrames, open_anovox
from veritrain.data.frames import FrameSet, bytes_held
from veritrain.data.held import StoredFrames, choose_hold
from veritrain.data.options import AnoVoxOptions, Augment, Hold
from veritrain.data.paired_view import ViewOptions
from veritrain.data.sample import FrameKey
from veritrain.data.splits import PARTS, of_first_groups, split_groups
from veritrain.experiments.networks import view_options
from veritrain.models.origin_facts import returns_of
from veritrain.tasks.baselines import PositionMaps
from veritrain.tasks.options import AnomalyRecipe

MADE_DATA_FILE = "veritrain_world.json"
LICENCES = {True: ("CC0-1.0 (made data)", True), False: ("see the data set's own licence", None)}


@dataclass(frozen=True, kw_only=True)
class DrivingData:
    """Three sets and what is known about them.

    Attributes:
        sets: part to its frames, labels as this run reads them.
        keys: part to the frames' keys, in the order of the set.
        card: the content of ``data.json``.
        held: a sentence: where the frames are held, and why.
    """

    sets: Mapping[str, FrameSet]
    keys: Mapping[str, Sequence[FrameKey]]
    card: Mapping[str, Any]
    held: str

    @property
    def test_groups(self) -> list[str]:
        return [key.group for key in self.keys["test"]]

    def position_maps(self) -> PositionMaps:
        """The position baseline, from the training split's own labels (never the spoilt ones)."""
        train = self.sets["train"]
        true = FrameSet(train.frames, train.views, hold=train.hold, cloud=train.cloud)
        true.share_views_with(train)
        labels = (true.labels_at(index) for index in range(len(true)))
        return PositionMaps.fit_stream(
            [head.group for head in true.heads],
            np.array([head.frame_label for head in true.heads], np.int8),
            ((one["view_labels"], one["pixel_labels"]) for one in labels),  # type: ignore[misc]
        )


def open_driving_data(recipe: AnomalyRecipe) -> DrivingData:
    """Read, split and label.

    Raises:
        DataError: a broken data set, or a split that cannot carry the claim.
    """
    options = AnoVoxOptions(on_broken=recipe.on_broken, layout=recipe.layout)
    source = open_anovox(recipe.data, options, cache=Path(recipe.cache) if recipe.cache else None)
    keys = source.keys()
    split = split_groups(keys, {key.id: source.frame_label(key) for key in keys})
    by_id = {key.id: key for key in keys}
    chosen = {part: [by_id[name] for name in getattr(split, part)] for part in PARTS}
    if recipe.train_groups:
        chosen["train"] = of_first_groups(chosen["train"], recipe.train_groups)
    if recipe.split == "val=train":
        chosen["val"] = chosen["train"]
    views = view_options(recipe)
    augment: dict[str, Augment] = {"train": recipe.augment, "val": "none", "test": "none"}
    hold, told = _hold(source, chosen, views, augment, recipe)
    sets = {
        part: FrameSet(
            StoredFrames(source, chosen[part]),
            views,
            labels=recipe.labels if part != "test" else "given",
            label_seed=recipe.seed,
            cloud=returns_of(recipe.model, recipe.cloud),
            augment=augment[part],
            hold=hold,
        )
        for part in PARTS
    }
    return DrivingData(sets=sets, keys=chosen, card=_card(source, chosen, split.sha256, recipe), held=told)


def _hold(
    source: CachedFrames,
    chosen: Mapping[str, Sequence[FrameKey]],
    views: ViewOptions,
    augment: Mapping[str, Augment],
    recipe: AnomalyRecipe,
) -> tuple[Hold, str]:
    """Where frames are held; what they take is estimated from the first. A worker makes training arrays of its own."""
    first = source.read(chosen["train"][0])
    needed = sum(
        len(chosen[part])
        * bytes_held(first, views, augment=augment[part], copies=1 + recipe.workers * (part == "train"))
        for part in PARTS
    )
    return choose_hold(recipe.hold, needed=needed, budget_mb=recipe.memory_mb)


def _card(
    source: CachedFrames, chosen: Mapping[str, Sequence[FrameKey]], digest: str, recipe: AnomalyRecipe
) -> dict[str, Any]:
    """What lies where; group names and contents as hashes."""
    made = any((folder / MADE_DATA_FILE).is_file() for folder in (Path(recipe.data), *Path(recipe.data).parents[:2]))
    licence, commercial = LICENCES[made]
    inventory = source.inventory()
    dropped = [
        {"file": _below(problem.file, Path(recipe.data)), "reason": problem.reason}
        for problem in [*inventory.skipped_scenarios, *inventory.skipped_frames, *inventory.unlabelled]
    ]
    return {
        "schema": 1,
        "format": "anovox",
        "layout": inventory.layout,
        "assumed": inventory.assumed,
        "made_data": made,
        "licence": licence,
        "commercial_use": commercial,
        "split_sha256": digest,
        "image_size": list(source.read(chosen["train"][0]).image.shape[:2]),
        "splits": {part: _part_card(source, keys) for part, keys in chosen.items()},
        "classes": ["normal", "anomalous"],
        "kinds": dict(Counter(key.kind for keys in chosen.values() for key in keys)),
        "dropped": dropped,
    }


def _below(file: str, root: Path) -> str:
    """The path inside the data set: where the data lie on this machine is nobody's business."""
    path = Path(file).resolve()
    return path.relative_to(root.resolve()).as_posix() if path.is_relative_to(root.resolve()) else path.name


def _part_card(source: CachedFrames, keys: Sequence[FrameKey]) -> dict[str, Any]:
    labels = [source.frame_label(key) for key in keys]
    return {
        "groups": sorted({short_hash(key.group) for key in keys}),
        "frames": len(keys),
        "positives": labels.count(1),
        "negatives": labels.count(0),
        "unknown": labels.count(-1),
        "contents": [source.content_hash(key)[:16] for key in keys],
    }


def short_hash(name: str) -> str:
    """A group's or sample's name as 12 hexadecimal digits, so that no name leaves the run folder."""
    return hashlib.sha256(name.encode()).hexdigest()[:12]
