"""A split of frames as a training set: augmented by (seed, epoch, index), labels as given or spoilt on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veritrain.data.augment import Plan, augmented, draw_plan
from veritrain.data.held import bytes_of, bytes_of_arrays, exchanged_groups, heads_of
from veritrain.data.options import Augment, Hold
from veritrain.data.paired_view import ViewOptions, flat_cells, paired_view, view_labels
from veritrain.data.point_sample import CLOUD_KEYS, cloud_of, padded_clouds
from veritrain.data.sample import UNKNOWN, Frame
from veritrain.data.spoilt import Labels, Redraw
from veritrain.data.view_extras import LISTED, OF_POINTS, PADDED, collate_extras, extra_arrays

RAGGED = ("point_cells", "point_labels", "point_ids")
"""Keys whose length differs from frame to frame; collated to lists."""

LABEL_KEYS = ("frame_label", "view_labels", "pixel_labels")

KEPT_PLANS = (Plan(), Plan(flip=True))
"""What comes again in later epochs: in memory, the arrays of these are kept."""


class FrameSet:
    """Frames of one split.

    Args:
        frames: in the order of the split.
        views: the grids of the range view and the image cells.
        labels: "given"; "permuted" (whole groups exchange their label sequences and maps, a control);
            "redrawn" (new random labels at every read: the fault of report 001, kept to be caught). In both a return
            has the label that its cell got.
        label_seed: which permutation.
        cloud: returns per frame that a batch holds as they are, for networks that read no range view; 0 is none.
        augment: what is drawn for each sample by (seed, epoch, index): "none", "flip" or "full".
        hold: "memory" decodes all frames now and keeps the arrays of those that come again; "disk" leaves
            ``frames`` as they are, asks for one at each read and keeps nothing. The bits are the same.

    Attributes:
        frames: as given; a list when held in memory.
        heads: names, groups, kinds and labels of the frames, known without decoding any.
    """

    def __init__(
        self,
        frames: Sequence[Frame],
        views: ViewOptions,
        *,
        labels: Labels = "given",
        label_seed: int = 0,
        augment: Augment = "none",
        hold: Hold = "memory",
        cloud: int = 0,
    ) -> None:
        self.heads = heads_of(frames)
        self.frames: Sequence[Frame] = list(frames) if hold == "memory" else frames
        self.views = views
        self.labels = labels
        self.augment = augment
        self.hold = hold
        self.cloud = cloud
        self._donor = exchanged_groups(self.heads, label_seed) if labels == "permuted" else None
        self._views: dict[tuple[int, Plan], dict[str, NDArray[np.generic]]] = {}
        self._redraw = Redraw()

    def __len__(self) -> int:
        return len(self.heads)

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        """Arrays of one frame; the same arguments give the same bits (unless labels are redrawn).

        The image is uint8 until the samples are a batch: see :meth:`unpack`.
        """
        plan = draw_plan(self.augment, seed=seed, epoch=epoch, index=index)
        arrays: dict[str, Any] = dict(self._view(index, plan))
        self._spoil(arrays, index, plan, arrays["view"][-1] > 0)
        if self.labels != "given":
            arrays["point_labels"] = _of_cells(arrays)
        if self.cloud:
            arrays |= cloud_of(arrays.pop("points"), arrays["point_labels"], self.cloud, (seed, epoch, index))
        return {**arrays, "index": np.int64(index)}

    def labels_at(self, index: int, *, epoch: int = 0, seed: int = 0) -> dict[str, NDArray[np.generic]]:
        """The ``LABEL_KEYS`` of :meth:`sample` alone, without the work for the other arrays where nothing is kept."""
        plan = draw_plan(self.augment, seed=seed, epoch=epoch, index=index)
        arrays, there = self._labels(index, plan)
        self._spoil(arrays, index, plan, there)
        return arrays

    def share_views_with(self, other: FrameSet) -> None:
        """Use the arrays that another set of the same frames has made; labels stay this set's own."""
        self._views = other._views

    def with_permuted_labels(self, label_seed: int) -> FrameSet:
        """The same frames with labels exchanged between groups."""
        twin = FrameSet(
            self.frames,
            self.views,
            labels="permuted",
            label_seed=label_seed,
            augment=self.augment,
            hold=self.hold,
            cloud=self.cloud,
        )
        twin.share_views_with(self)
        return twin

    def label_of(self, index: int) -> bytes:
        """All labels of one frame as training reads them, as bytes that can be compared.

        In memory a frame is decoded once; from disk it is read again, from the cache. A file of the data set that
        changes later is seen by neither.
        """
        labels = self.labels_at(index)
        return b"".join(np.asarray(labels[key]).tobytes() for key in LABEL_KEYS)

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Stack; ragged keys become lists, images float32, clouds and single returns are padded to the longest."""
        return self.unpack(self.pack(samples))

    def pack(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """As :meth:`collate`, with images still uint8: a quarter of the bytes to send from a worker or to a device."""
        stacked = {
            key: [torch.as_tensor(sample[key]) for sample in samples]
            if key in RAGGED
            else torch.from_numpy(np.stack([sample[key] for sample in samples]))
            for key in samples[0]
            if key not in (*CLOUD_KEYS, *PADDED, LISTED)
        }
        return {**stacked, **(padded_clouds(samples) if "cloud" in samples[0] else {}), **collate_extras(samples)}

    def unpack(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """A packed batch as the network reads it, on whatever device it is."""
        return {**batch, "image": unit_images(batch["image"])}

    def _view(self, index: int, plan: Plan) -> dict[str, NDArray[np.generic]]:
        kept = self._views.get((index, plan))
        if kept is not None:
            return kept
        frame = augmented(self.frames[index], plan)
        arrays = {**arrays_of(frame, self.views), **({"points": frame.points} if self.cloud else {})}
        if self.hold == "memory" and plan in KEPT_PLANS:
            self._views[index, plan] = arrays
        return arrays

    def _labels(self, index: int, plan: Plan) -> tuple[dict[str, NDArray[np.generic]], NDArray[np.bool_]]:
        """The label arrays, and where the range view has a return."""
        if self.hold == "memory" and plan in KEPT_PLANS:
            view = self._view(index, plan)
            return {key: view[key] for key in LABEL_KEYS}, view["view"][-1] > 0
        frame = augmented(self.frames[index], plan)
        cells, there = view_labels(frame, self.views)
        label = np.array(frame.frame_label, np.float32)
        return {"frame_label": label, "view_labels": cells, "pixel_labels": frame.pixel_labels}, there

    def _spoil(self, arrays: dict[str, Any], index: int, plan: Plan, there: NDArray[np.bool_]) -> None:
        """Labels as this set has them; ``arrays`` holds the frame's own."""
        if self._donor is not None:
            arrays |= self._labels(self._donor[index], plan)[0]
            # Another group's maps: a cell without a return here stays unknown.
            arrays["view_labels"] = np.where(there, arrays["view_labels"], UNKNOWN).astype(np.int8)
        if self.labels == "redrawn":
            self._draw(arrays)

    def _draw(self, arrays: dict[str, Any]) -> None:
        random = self._redraw.generator()
        anomalous = random.random() < 0.1
        arrays["frame_label"] = np.float32(anomalous)
        for key in ("view_labels", "pixel_labels"):
            drawn = anomalous & (random.random(arrays[key].shape) < 0.02)
            arrays[key] = np.where(arrays[key] == UNKNOWN, UNKNOWN, drawn).astype(np.int8)


def _of_cells(arrays: Mapping[str, Any]) -> NDArray[np.int8]:
    """(N,) the label of each return's cell: labels that were spoilt cell by cell are spoilt for single returns too."""
    labels: NDArray[np.int8] = arrays["view_labels"].reshape(-1)[arrays["point_cells"]]
    return labels


def arrays_of(frame: Frame, views: ViewOptions) -> dict[str, NDArray[np.generic]]:
    """All arrays of a sample: :func:`paired_view`, what ``views`` ask for beside it; per return its cell, label, id."""
    cells = flat_cells(frame.points, views)
    points: dict[str, NDArray[np.generic]] = {
        "point_cells": cells,
        "point_labels": frame.point_labels,
        "point_ids": frame.point_ids,
    }
    view = paired_view(frame, views, cells=cells)
    return {**view, **extra_arrays(frame, views, view), **points}


def unit_images(images: Tensor) -> Tensor:
    """uint8 0 to 255 -> float32 in [-1, 1]: x / 127.5 - 1, the same bits on every device.

    The divisor lies on the device: CUDA multiplies by the reciprocal of a number from the CPU.
    """
    divisor = torch.full((), 127.5, device=images.device)
    return images.to(torch.float32).div_(divisor).sub_(1)


def bytes_held(frame: Frame, views: ViewOptions, *, augment: Augment, copies: int = 1) -> int:
    """Memory that one frame like this takes in a set that is held in memory.

    Args:
        augment: of the set: a flip keeps two versions of the arrays, "full" never comes back to one.
        copies: processes that make arrays of their own: the workers.
    """
    versions = {"none": 1, "flip": 2, "full": 0}[augment]
    return bytes_of(frame) + versions * copies * bytes_of_arrays(arrays_of(frame, views))


class ExchangedInput:
    """A set in which one input comes from another group's frame; labels and the rest stay.

    Args:
        frames: the set. name: "image" or "points". seed: which exchange.
    """

    keys_of: Mapping[str, tuple[str, ...]] = {
        "image": ("image",),
        "points": ("view", "seen", "seen_mask", "window", "window_mask", "neighbours", "neighbours_mask", "cloud"),
    }

    def __init__(self, frames: FrameSet, name: str, *, seed: int = 0) -> None:
        self.frames, self.name = frames, name
        self._donor = exchanged_groups(frames.heads, seed)

    def __len__(self) -> int:
        return len(self.frames)

    def sample(self, index: int, *, epoch: int, seed: int) -> dict[str, Any]:
        own = self.frames.sample(index, epoch=epoch, seed=seed)
        other = self.frames.sample(self._donor[index], epoch=epoch, seed=seed)
        mixed = {**own, **{key: other[key] for key in self.keys_of[self.name] if key in other}}
        if self.name == "points":
            mixed |= {key: other[key] for key in OF_POINTS if key in other}
            mixed |= {LISTED: np.full_like(own[LISTED], -1)} if LISTED in own else {}
        return mixed

    def collate(self, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return self.frames.collate(samples)
