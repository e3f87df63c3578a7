"""Where the frames of a split are between two reads: in memory, or on disk and decoded when asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, overload

import numpy as np
from numpy.typing import NDArray

from veritrain.data.options import Hold
from veritrain.data.sample import Frame, FrameKey


class Grouped(Protocol):
    """What is known of a frame without its sensors."""

    @property
    def group(self) -> str: ...


class LabelledSource(Protocol):
    """A data set whose frames can be read one by one, and their labels without their sensors."""

    def read(self, key: FrameKey) -> Frame: ...

    def frame_label(self, key: FrameKey) -> int: ...


@dataclass(frozen=True, kw_only=True)
class FrameHead:
    """A frame without its sensors: see :class:`Frame`."""

    id: str
    group: str
    kind: str
    frame_label: int


class StoredFrames(Sequence[Frame]):
    """Frames of a source, read at each access and kept by nobody.

    Args:
        source: where they are read. keys: which, in order.

    An access raises BrokenFileError when files that were whole when the source was opened no longer are.
    """

    def __init__(self, source: LabelledSource, keys: Sequence[FrameKey]) -> None:
        self._source, self.keys = source, list(keys)

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, index: int) -> Frame: ...
    @overload
    def __getitem__(self, index: slice) -> StoredFrames: ...
    def __getitem__(self, index: int | slice) -> Frame | StoredFrames:
        if isinstance(index, slice):
            return StoredFrames(self._source, self.keys[index])
        return self._source.read(self.keys[index])

    def __iter__(self) -> Iterator[Frame]:
        return (self._source.read(key) for key in self.keys)

    def heads(self) -> list[FrameHead]:
        """What is known without reading any sensor."""
        return [
            FrameHead(id=key.id, group=key.group, kind=key.kind, frame_label=self._source.frame_label(key))
            for key in self.keys
        ]


def heads_of(frames: Sequence[Frame]) -> list[FrameHead]:
    """Names, groups and labels; stored frames are not read for it."""
    if isinstance(frames, StoredFrames):
        return frames.heads()
    return [
        FrameHead(id=frame.id, group=frame.group, kind=frame.kind, frame_label=frame.frame_label) for frame in frames
    ]


def exchanged_groups(frames: Sequence[Grouped], seed: int) -> list[int]:
    """For each frame, the frame whose labels it gets: groups exchange whole sequences, across types.

    A group's k-th frame takes the labels of the other group's k-th frame (cyclically when lengths differ).
    With more than one group no group keeps its own labels.
    """
    members: dict[str, list[int]] = {}
    for index, frame in enumerate(frames):
        members.setdefault(frame.group, []).append(index)
    groups = sorted(members)
    order = np.random.default_rng([seed, 104729]).permutation(len(groups))
    giver = {groups[a]: groups[b] for a, b in zip(order, np.roll(order, 1), strict=True)}
    donor = [0] * len(frames)
    for group, indices in members.items():
        theirs = members[giver[group]]
        for position, index in enumerate(indices):
            donor[index] = theirs[position % len(theirs)]
    return donor


def bytes_of(frame: Frame) -> int:
    """Memory of a decoded frame."""
    return sum(
        array.nbytes for array in (frame.image, frame.points, frame.point_labels, frame.point_ids, frame.pixel_labels)
    )


def bytes_of_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> int:
    return sum(array.nbytes for array in arrays.values())


def choose_hold(asked: Literal["auto", "memory", "disk"], *, needed: float, budget_mb: int) -> tuple[Hold, str]:
    """Where frames are held, and a sentence that says so.

    Args:
        asked: the recipe's word; auto takes memory where it suffices.
        needed: bytes that holding takes, estimated.
        budget_mb: megabytes that auto may use.
    """
    estimate = f"holding them in memory takes about {needed / 1e6:,.0f} MB"
    if asked != "auto":
        return asked, f"frames are held {WORDS[asked]}, as the recipe says ({estimate})"
    chosen: Hold = "memory" if needed <= budget_mb * 1e6 else "disk"
    return chosen, f"frames are held {WORDS[chosen]}: {estimate}, and memory_mb is {budget_mb:,}"


WORDS: dict[Hold, str] = {"memory": "in memory", "disk": "on disk and decoded when asked for"}
