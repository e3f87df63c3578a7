"""Splits by group: no scenario is ever on both sides, and each side has both classes.

A split is fixed by the data (the frames' ids), never by the training seed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from veritrain.data.sample import FrameKey
from veritrain.errors import SplitError

PARTS = ("train", "val", "test")
SHARES = (0.5, 1 / 6, 1 / 3)
"""Shares of groups in train, val, test: 36, 12 and 24 of 72."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Which frames train, select and test a model.

    Attributes:
        train: frame ids.
        val: frame ids.
        test: frame ids.
        groups: part -> its groups, sorted.
        counts: part -> {"frames", "positive", "negative", "unknown"}.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]
    counts: dict[str, dict[str, int]]

    @property
    def sha256(self) -> str:
        """Hex digest of the three id lists."""
        content = json.dumps([list(getattr(self, part)) for part in PARTS], ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Writes the split and its digest as JSON, whole or not at all."""
        content = {"schema": 1, "sha256": self.sha256, **asdict(self)}
        beside = path.with_name(f"{path.name}.{os.getpid()}.part")
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        beside.replace(path)


def split_groups(
    keys: Sequence[FrameKey], labels: Mapping[str, int], shares: tuple[float, float, float] = SHARES
) -> Split:
    """Splits frames by group, stratified by scenario type and by whether a group has a positive frame.

    Args:
        keys: the frames.
        labels: frame id -> 1, 0 or UNKNOWN; for every key.
        shares: of train, val and test; they add up to 1.

    Returns:
        The same split for the same ids and labels, whatever their order and whatever the training seed.

    Raises:
        SplitError: shares do not add up, labels are missing, or a part would lack a class.
    """
    demand_shares(shares)
    _demand_labels(keys, labels)
    part_of = _assign(keys, labels, shares)
    frames = {part: tuple(sorted(key.id for key in keys if part_of[key.group] == part)) for part in PARTS}
    groups = {part: tuple(sorted(group for group, where in part_of.items() if where == part)) for part in PARTS}
    counts = {part: _counts(frames[part], labels) for part in PARTS}
    _demand_classes(counts, groups)
    return Split(train=frames["train"], val=frames["val"], test=frames["test"], groups=groups, counts=counts)


def of_first_groups(keys: Sequence[FrameKey], count: int) -> list[FrameKey]:
    """The frames of ``count`` groups, in the order given: a learning curve's training set.

    Groups are ranked by their names' digests within each scenario type, types interleaved by their shares. So a
    smaller count takes a subset of a larger one's groups, and every count has the types in proportion.

    Raises:
        SplitError: there are fewer groups, or ``count`` is not positive.
    """
    kinds: dict[str, set[str]] = defaultdict(set)
    for key in keys:
        kinds[key.kind].add(key.group)
    groups = sum(map(len, kinds.values()))
    if not 0 < count <= groups:
        raise SplitError(
            "the training split has not that many groups",
            expected=f"a number of groups from 1 to {groups}, or 0 for all",
            found=str(count),
            fix="ask for fewer groups, or make a larger data set",
        )
    place: dict[str, tuple[float, str]] = {}
    for names in kinds.values():
        ranked = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        place |= {name: ((rank + 0.5) / len(ranked), name) for rank, name in enumerate(ranked)}
    chosen = set(sorted(place, key=place.__getitem__)[:count])
    return [key for key in keys if key.group in chosen]


def load_split(path: Path) -> Split:
    """A stored split.

    Raises:
        SplitError: unreadable, of another schema, changed since it was stored, or with one group in two parts.
    """
    content = _read(path)
    try:
        split = Split(
            train=tuple(content["train"]),
            val=tuple(content["val"]),
            test=tuple(content["test"]),
            groups={part: tuple(content["groups"][part]) for part in PARTS},
            counts={part: dict(content["counts"][part]) for part in PARTS},
        )
        stated = content["sha256"]
    except (KeyError, TypeError, AttributeError) as error:
        raise _unreadable(path, f"no or malformed {error}") from error
    if split.sha256 != stated:
        raise SplitError(
            "the split was changed after it was stored",
            file=path,
            expected=f"sha256 {stated}",
            found=f"sha256 {split.sha256}",
            fix="make the split again; results with another split cannot be compared",
        )
    demand_disjoint(split)
    return split


def demand_shares(shares: tuple[float, float, float]) -> None:
    """Refuses shares of train, val and test that make no split.

    Raises:
        SplitError: they are not three positive numbers that add up to 1.
    """
    if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise SplitError(
            "the shares make no split",
            expected="three positive numbers that add up to 1",
            found=str(shares),
            fix="for example (0.5, 1/6, 1/3)",
        )


def demand_disjoint(split: Split) -> None:
    """Refuses a split with a frame or a group in two parts.

    Raises:
        SplitError: naming the first shared one.
    """
    for first, second in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = set(getattr(split, first)) & set(getattr(split, second))
        shared |= set(split.groups[first]) & set(split.groups[second])
        if shared:
            raise SplitError(
                f"{first} and {second} share {len(shared)} frames or groups",
                expected="no frame and no group in two parts",
                found=f"the first: {min(shared)}",
                fix="make the split again with split_groups",
            )


def _assign(keys: Sequence[FrameKey], labels: Mapping[str, int], shares: tuple[float, float, float]) -> dict[str, str]:
    """Group -> part: within each stratum the groups, in the order of their names' digests, are dealt out so that
    all strata together come nearest to the shares."""
    strata = _strata(keys, labels)
    groups = sum(len(members) for members in strata.values())
    debt = dict.fromkeys(PARTS, 0.0)
    part_of: dict[str, str] = {}
    targets = _whole_targets(groups, shares)
    for _, members in sorted(strata.items()):
        for part, share in zip(PARTS, shares, strict=True):
            debt[part] += share * len(members)
        for group in sorted(members, key=lambda name: hashlib.sha256(name.encode()).hexdigest()):
            open_parts = [part for part in PARTS if targets[part] > 0]
            part = max(open_parts, key=lambda name: debt[name])
            part_of[group] = part
            debt[part] -= 1
            targets[part] -= 1
    return part_of


def _strata(keys: Sequence[FrameKey], labels: Mapping[str, int]) -> dict[tuple[str, bool], list[str]]:
    kinds: dict[str, str] = {}
    positive: dict[str, bool] = defaultdict(bool)
    for key in keys:
        kinds[key.group] = key.kind
        positive[key.group] |= labels[key.id] == 1
    strata: dict[tuple[str, bool], list[str]] = defaultdict(list)
    for group, kind in kinds.items():
        strata[kind, positive[group]].append(group)
    return strata


def _whole_targets(groups: int, shares: tuple[float, float, float]) -> dict[str, int]:
    """Whole numbers of groups nearest to the shares that add up to ``groups`` (largest remainder)."""
    exact = {part: share * groups for part, share in zip(PARTS, shares, strict=True)}
    whole = {part: int(value + 1e-9) for part, value in exact.items()}
    by_remainder = sorted(PARTS, key=lambda part: whole[part] - exact[part])
    for part in by_remainder[: groups - sum(whole.values())]:
        whole[part] += 1
    return whole


def _counts(ids: Sequence[str], labels: Mapping[str, int]) -> dict[str, int]:
    values = [labels[one] for one in ids]
    known = {"positive": values.count(1), "negative": values.count(0)}
    return {"frames": len(values), **known, "unknown": len(values) - sum(known.values())}


def _demand_labels(keys: Sequence[FrameKey], labels: Mapping[str, int]) -> None:
    missing = [key.id for key in keys if key.id not in labels]
    if missing or not keys:
        raise SplitError(
            "frames without an entry in the labels" if keys else "there are no frames to split",
            expected="a label (1, 0 or UNKNOWN) for every frame, and at least one frame",
            found=f"{len(missing)} of {len(keys)} missing" + (f", the first: {missing[0]}" if missing else ""),
            fix="read the labels of all keys",
        )


def _demand_classes(counts: dict[str, dict[str, int]], groups: dict[str, tuple[str, ...]]) -> None:
    for part in PARTS:
        lacking = [name for name in ("positive", "negative") if counts[part][name] == 0]
        if lacking:
            raise SplitError(
                f"the {part} part has no {' and no '.join(lacking)} frame",
                expected="anomalous and normal frames in train, val and test",
                found=f"{part}: {counts[part]} in {len(groups[part])} groups",
                fix="add scenarios of other types: one class alone shows nothing",
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(content, dict) or content.get("schema") != 1:
        raise _unreadable(
            path, f"schema {content.get('schema') if isinstance(content, dict) else type(content).__name__}"
        )
    return content


def _unreadable(path: Path, found: str) -> SplitError:
    return SplitError(
        "cannot be read as a split",
        file=path,
        expected="a file that Split.save wrote",
        found=found,
        fix="make it again",
    )
