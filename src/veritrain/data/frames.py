"""A split of frames as a training set: read once, flipped at random, labels as given or spoilt on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from veritrain.data.paired_view import ViewOptions, flat_cells, flipped, paired_view
from veritrain.data.sample import UNKNOWN, Frame
from veritrain.data.view_extras import LISTED, OF_POINTS, PADDED, collate_extras, extra_arrays

Labels = Literal["given", "permuted", "redrawn"]

RAGGED = ("point_cells", "point_labels", "point_ids")
"""Keys whose length differs from frame to frame; collated to lists."""

LABEL_KEYS = ("frame_label", "view_labels", "pixel_labels")


class FrameSet:
    """Frames of one split, held in memory.

    Args:
        frames: in the order of the split.
        views: the grids of the range view and the image cells.
        labels: "given"; "permuted" (whole groups exchange their label sequences and maps, a control);
            "redrawn" (new random labels at every read: the fault of report 001, kept to be caught). In both a return
            has the label that its cell got.
        label_seed: which permutation.
        augment: flip half of the samples left to right, by (seed, epoch, index).
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        views: ViewOptions,
        *,
        labels: Labels = "given",
        label_seed: int = 0,
        augment: bool = False,
    ) -> None:
        self.frames = list(frames)
        self.views = views
        self.labels = labels
        self.augment = augment
        self._donor = exchanged_groups(self.frames, label_seed) if labels == "permuted" else None
        self._views: dict[tuple[int, bool], dict[str, NDArray[np.generic]]] = {}
        self._redraw = np.random.default_rng()

    def __len__(self) -> int:
        return len(self.frames)

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        """Arrays of one frame; the same arguments give the same bits (unless labels are redrawn)."""
        flip = self.augment and bool(np.random.default_rng([seed, epoch, index]).random() < 0.5)
        arrays = dict(self._view(index, flip))
        if self._donor is not None:
            self._borrow(arrays, self._donor[index], flip)
        if self.labels == "redrawn":
            self._draw(arrays)
        return {**arrays, "index": np.int64(index)}

    def share_views_with(self, other: FrameSet) -> None:
        """Use the arrays that another set of the same frames has made; labels stay this set's own."""
        self._views = other._views

    def with_permuted_labels(self, label_seed: int) -> FrameSet:
        """The same frames with labels exchanged between groups."""
        twin = FrameSet(self.frames, self.views, labels="permuted", label_seed=label_seed, augment=self.augment)
        twin.share_views_with(self)
        return twin

    def label_of(self, index: int) -> bytes:
        """All labels of one frame as training reads them, as bytes that can be compared.

        Frames are decoded once and held; a file that changes on disk later is not seen here.
        """
        sample = self.sample(index, epoch=0, seed=0)
        return b"".join(np.asarray(sample[key]).tobytes() for key in LABEL_KEYS)

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Stack; ragged keys become lists, single returns are padded."""
        stacked = {
            key: [torch.as_tensor(sample[key]) for sample in samples]
            if key in RAGGED
            else torch.from_numpy(np.stack([sample[key] for sample in samples]))
            for key in samples[0]
            if key not in (*PADDED, LISTED)
        }
        return stacked | collate_extras(samples)

    def _view(self, index: int, flip: bool) -> dict[str, NDArray[np.generic]]:
        if (index, flip) not in self._views:
            frame = flipped(self.frames[index]) if flip else self.frames[index]
            arrays = paired_view(frame, self.views)
            self._views[index, flip] = {**arrays, **extra_arrays(frame, self.views, arrays), **self._points_of(frame)}
        return self._views[index, flip]

    def _points_of(self, frame: Frame) -> dict[str, NDArray[np.generic]]:
        return {
            "point_cells": flat_cells(frame.points, self.views),
            "point_labels": frame.point_labels,
            "point_ids": frame.point_ids,
        }

    def _borrow(self, arrays: dict[str, Any], donor: int, flip: bool) -> None:
        """Another group's label sequence and maps; a cell without a return here stays unknown."""
        given = self._view(donor, flip)
        there = arrays["view"][-1] > 0
        for key in LABEL_KEYS:
            arrays[key] = given[key]
        arrays["view_labels"] = np.where(there, given["view_labels"], UNKNOWN).astype(np.int8)
        arrays["point_labels"] = _of_cells(arrays)

    def _draw(self, arrays: dict[str, Any]) -> None:
        anomalous = self._redraw.random() < 0.1
        arrays["frame_label"] = np.float32(anomalous)
        for key in ("view_labels", "pixel_labels"):
            drawn = anomalous & (self._redraw.random(arrays[key].shape) < 0.02)
            arrays[key] = np.where(arrays[key] == UNKNOWN, UNKNOWN, drawn).astype(np.int8)
        arrays["point_labels"] = _of_cells(arrays)


def _of_cells(arrays: Mapping[str, Any]) -> NDArray[np.int8]:
    """(N,) the label of each return's cell: labels that were spoilt cell by cell are spoilt for single returns too."""
    labels: NDArray[np.int8] = arrays["view_labels"].reshape(-1)[arrays["point_cells"]]
    return labels


class ExchangedInput:
    """A set in which one input comes from another group's frame; labels and the rest stay.

    Args:
        frames: the set. name: "image" or "points". seed: which exchange.
    """

    keys_of: Mapping[str, tuple[str, ...]] = {
        "image": ("image",),
        "points": ("view", "seen", "seen_mask", "window", "window_mask", "neighbours", "neighbours_mask"),
    }

    def __init__(self, frames: FrameSet, name: str, *, seed: int = 0) -> None:
        self.frames, self.name = frames, name
        self._donor = exchanged_groups(frames.frames, seed)

    def __len__(self) -> int:
        return len(self.frames)

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        own = self.frames.sample(index, epoch=epoch, seed=seed)
        other = self.frames.sample(self._donor[index], epoch=epoch, seed=seed)
        mixed = {**own, **{key: other[key] for key in self.keys_of[self.name]}}
        if self.name == "points":
            mixed |= {key: other[key] for key in OF_POINTS if key in other}
            mixed |= {LISTED: np.full_like(own[LISTED], -1)} if LISTED in own else {}
        return mixed

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return self.frames.collate(samples)


def exchanged_groups(frames: Sequence[Frame], seed: int) -> list[int]:
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
