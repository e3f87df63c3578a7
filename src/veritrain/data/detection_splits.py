"""Who trains, selects and tests: by group (a patient, a scene), or as the data set's own parts say, and what they leak.

By group, classes and views are spread over the parts by iterative stratification (Sechidis, Tsoumakas and Vlahavas,
"On the stratification of multi-label data", ECML PKDD 2011, algorithm 1): a group here is an example there.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Protocol

from veritrain.data.detection_sample import DetectionKey, FrameLabels
from veritrain.data.options import SplitPolicy
from veritrain.data.sample import UNKNOWN
from veritrain.data.splits import PARTS, SHARES, Split, demand_disjoint, demand_shares
from veritrain.errors import SplitError


class LabelledDetections(Protocol):
    """A data set whose labels are known without decoding: :class:`EchoFormat` and :class:`CachedDetections`."""

    @property
    def group_name(self) -> str: ...

    def keys(self) -> list[DetectionKey]: ...

    def labels(self, key: DetectionKey) -> FrameLabels: ...


@dataclass(frozen=True, kw_only=True)
class Leak:
    """What two parts share.

    Attributes:
        groups: groups in both. of_groups: groups of the second part.
        videos: recordings in both. of_videos: recordings of the second part.
        frames: images of the second part whose group is in the first. of_frames: images of the second part.
    """

    groups: int
    of_groups: int
    videos: int
    of_videos: int
    frames: int
    of_frames: int


@dataclass(frozen=True, kw_only=True)
class DetectionSplit:
    """A split and how it came about.

    Attributes:
        policy: "group" or "published".
        split: the ids, groups and counts of each part; ``split.sha256`` is its digest, ``split.save`` writes it.
            ``counts`` holds frames, objects, groups, videos, unknown_views and empty (images without object).
        leaks: "train/val", "train/test", "val/test" -> what both share; all zero by group.
        lacking: part -> classes and views of the data set that none of its images has.
        group_name: what a group of the data set is, "patient" or "scene".
    """

    policy: SplitPolicy
    split: Split
    leaks: Mapping[str, Leak]
    lacking: Mapping[str, tuple[str, ...]]
    group_name: str

    @property
    def leaky(self) -> bool:
        """Some group is in two parts."""
        return any(leak.groups for leak in self.leaks.values())

    def told(self) -> str:
        """A sentence for the log: what the split is worth."""
        if not self.leaky:
            return f"split by {self.policy}: no {self.group_name} is in two parts"
        shared = "; ".join(
            f"{pair}: {leak.groups} of {leak.of_groups} {self.group_name}s, {self._further(leak)}"
            for pair, leak in self.leaks.items()
            if leak.groups
        )
        return f"split by {self.policy}: IT LEAKS, scores on it say nothing about new {self.group_name}s ({shared})"

    def _further(self, leak: Leak) -> str:
        """A scene has no videos: its images are what is shared."""
        if self.group_name == "scene":
            return f"{leak.frames} of {leak.of_frames} images"
        return f"{leak.videos} of {leak.of_videos} videos"

    def as_json(self) -> dict[str, Any]:
        """Policy, digest, counts, leaks and what is lacking; no id and no group."""
        return {
            "policy": self.policy,
            "sha256": self.split.sha256,
            "counts": self.split.counts,
            "leaks": {pair: asdict(leak) for pair, leak in self.leaks.items()},
            "lacking": {part: list(names) for part, names in self.lacking.items()},
        }


def split_detections(
    source: LabelledDetections,
    policy: SplitPolicy = "group",
    *,
    shares: tuple[float, float, float] = SHARES,
    classes: Sequence[str] = (),
    views: Sequence[str] = (),
) -> DetectionSplit:
    """Train, val and test of a data set; fixed by the data, never by the training seed.

    Args:
        source: the data set.
        policy: "group" deals out groups; "published" takes the data set's own parts, whatever they share.
        shares: of groups in train, val and test, for "group"; they add up to 1.
        classes: names of the class numbers, for ``lacking``.
        views: names of the view numbers, for ``lacking``.

    Raises:
        SplitError: shares do not add up, there are fewer than three groups, or no whole split is published.
    """
    keys = source.keys()
    labels = {key.id: source.labels(key) for key in keys}
    part_of = (
        _published(keys, source.group_name)
        if policy == "published"
        else _by_group(keys, labels, shares, source.group_name)
    )
    members = {part: [key for key in keys if part_of[key.id] == part] for part in PARTS}
    split = Split(
        **{part: tuple(sorted(key.id for key in those)) for part, those in members.items()},
        groups={part: tuple(sorted({key.group for key in those})) for part, those in members.items()},
        counts={part: _counts(those, labels) for part, those in members.items()},
    )
    if policy == "group":
        demand_disjoint(split)
    leaks = {f"{one}/{two}": leak_between(members[one], members[two]) for one, two in combinations(PARTS, 2)}
    lacking = {part: _lacking(keys, those, labels, classes, views) for part, those in members.items()}
    return DetectionSplit(policy=policy, split=split, leaks=leaks, lacking=lacking, group_name=source.group_name)


def leak_between(first: Sequence[DetectionKey], second: Sequence[DetectionKey]) -> Leak:
    """What the second part shares with the first."""
    groups, videos = {key.group for key in first}, {key.video for key in first}
    theirs = {key.group for key in second}, {key.video for key in second}
    return Leak(
        groups=len(groups & theirs[0]),
        of_groups=len(theirs[0]),
        videos=len(videos & theirs[1]),
        of_videos=len(theirs[1]),
        frames=sum(key.group in groups for key in second),
        of_frames=len(second),
    )


def _published(keys: Sequence[DetectionKey], group_name: str) -> dict[str, str]:
    counts = Counter(key.published for key in keys)
    if any(not counts[part] for part in PARTS) or counts[""]:
        raise SplitError(
            "the data set publishes no whole split",
            expected="images in train, val and test, each image in one of them",
            found=", ".join(f"{part or 'in none'} {count}" for part, count in sorted(counts.items())),
            fix=f"split by {group_name}: policy 'group'",
        )
    return {key.id: key.published for key in keys}


def _by_group(
    keys: Sequence[DetectionKey],
    labels: Mapping[str, FrameLabels],
    shares: tuple[float, float, float],
    group_name: str,
) -> dict[str, str]:
    traits: dict[str, set[tuple[str, int]]] = defaultdict(set)
    frames: Counter[str] = Counter()
    for key in keys:
        one = labels[key.id]
        traits[key.group] |= {("class", int(number)) for number in one.classes}
        traits[key.group] |= {("view", one.view)} if one.view != UNKNOWN else set()
        frames[key.group] += 1
    part_of_group = stratified(traits, frames, shares, group_name=group_name)
    return {key.id: part_of_group[key.group] for key in keys}


def stratified(
    traits: Mapping[str, set[tuple[str, int]]],
    weights: Mapping[str, int],
    shares: tuple[float, float, float] = SHARES,
    *,
    group_name: str = "group",
) -> dict[str, str]:
    """Group -> part, so that each trait is in each part in about the shares of its groups.

    The trait that fewest groups still have is dealt out first, its largest group (then by digest of the name) first,
    each to the part that lacks the trait most, then groups most; and, beyond the paper, the last groups of a trait to
    parts that have none of it yet. So what three groups have reaches every part where it can, and the largest groups
    tend to the largest share.

    Args:
        traits: group -> what it has: ("class", number), ("view", number).
        weights: group -> images.
        shares: of groups in train, val and test; they add up to 1.
        group_name: what a group is, for the message.

    Raises:
        SplitError: shares do not add up, or there are fewer than three groups.
    """
    _demand_possible(traits, shares, group_name)
    wanted = {part: share * len(traits) for part, share in zip(PARTS, shares, strict=True)}
    carriers = Counter(trait for those in traits.values() for trait in those)
    lacks = {
        part: {trait: share * count for trait, count in carriers.items()}
        for part, share in zip(PARTS, shares, strict=True)
    }
    fair = {part: dict(those) for part, those in lacks.items()}
    order = sorted(traits, key=lambda name: (-weights[name], hashlib.sha256(name.encode()).hexdigest()))
    part_of: dict[str, str] = {}

    def part_for(trait: tuple[str, int] | None) -> str:
        if trait is None:
            return max(PARTS, key=lambda one: wanted[one])
        bare = [part for part in PARTS if lacks[part][trait] == fair[part][trait]]
        choice = bare if carriers[trait] <= len(bare) else PARTS
        return max(choice, key=lambda one: (round(lacks[one][trait], 9), wanted[one]))

    def deal(group: str, part: str) -> None:
        part_of[group] = part
        wanted[part] -= 1
        for one in traits[group]:
            lacks[part][one] -= 1
            carriers[one] -= 1

    while any(count > 0 for count in carriers.values()):
        rarest = min((one for one, count in carriers.items() if count > 0), key=lambda one: (carriers[one], one))
        for group in order:
            if group not in part_of and rarest in traits[group]:
                deal(group, part_for(rarest))
    for group in order:
        if group not in part_of:
            deal(group, part_for(None))
    return _without_empty_parts(part_of, order)


def _without_empty_parts(part_of: dict[str, str], order: Sequence[str]) -> dict[str, str]:
    """With few groups a part can stay empty: it gets the smallest group of the part that has most."""
    for part in PARTS:
        counts = Counter(part_of.values())
        if not counts[part]:
            fullest = max(PARTS, key=lambda one: counts[one])
            part_of[[group for group in order if part_of[group] == fullest][-1]] = part
    return part_of


def _demand_possible(traits: Mapping[str, object], shares: tuple[float, float, float], group_name: str) -> None:
    demand_shares(shares)
    if len(traits) < len(PARTS):
        raise SplitError(
            f"too few {group_name}s for a split",
            expected=f"at least 3 {group_name}s (or what stands for them)",
            found=str(len(traits)),
            fix=f"add {group_name}s: images of one {group_name} in two parts would show nothing about others",
        )


def _counts(members: Sequence[DetectionKey], labels: Mapping[str, FrameLabels]) -> dict[str, int]:
    objects = [len(labels[key.id].classes) for key in members]
    return {
        "frames": len(members),
        "objects": sum(objects),
        "groups": len({key.group for key in members}),
        "videos": len({key.video for key in members}),
        "unknown_views": sum(labels[key.id].view == UNKNOWN for key in members),
        "empty": objects.count(0),
    }


def _lacking(
    keys: Sequence[DetectionKey],
    members: Sequence[DetectionKey],
    labels: Mapping[str, FrameLabels],
    classes: Sequence[str],
    views: Sequence[str],
) -> tuple[str, ...]:
    def present(those: Sequence[DetectionKey]) -> set[tuple[str, int]]:
        found = {("class", int(one)) for key in those for one in labels[key.id].classes}
        return found | {("view", labels[key.id].view) for key in those if labels[key.id].view != UNKNOWN}

    names = {"class": classes, "view": views}
    missing = sorted(present(keys) - present(members))
    return tuple(names[kind][number] if number < len(names[kind]) else f"{kind} {number}" for kind, number in missing)
