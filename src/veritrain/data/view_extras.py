"""Arrays that only some networks read: sub-pixel places, rays of image cells, and the returns themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from veritrain.data.geometry import project
from veritrain.data.paired_view import HEIGHT_SCALE, RANGE_SCALE, ViewOptions, flat_cells, view_tokens
from veritrain.data.point_sample import point_sample
from veritrain.data.sample import Frame

REFERENCE_METRES = 20.0
"""How far out on its ray an image cell is put, since a picture has no depth."""

PADDED = ("returns", "returns_cell", "returns_pooled")
"""Keys with a row for each return; collated to one length, with ``returns_mask``."""

LISTED = "returns_at"
"""Where each of a frame's returns stands in ``returns``, -1 for one the network does not see; collated to a list."""

OF_POINTS = (*PADDED, "seen_pixels")


def extra_arrays(
    frame: Frame, options: ViewOptions, arrays: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.generic]]:
    """What ``options`` ask for beside ``arrays``, the paired view of ``frame``.

    Returns:
        with ``pixels``: ``seen_pixels`` (S, 2) float32 column and row where each token of ``seen`` projects;
        with ``rays``: ``cell_places`` (H/s W/s, 3) float32 metres in the LiDAR frame, 20 m out on the ray through the
        middle of each image cell; with ``returns``: ``returns`` (N, 5) float32 x / 30, y / 30, z / 3, intensity,
        log(1 + range) / 4, ``returns_cell`` (N,) int64 range-view cell, ``returns_pooled`` (N,) bool, the sample of
        at most that many, which stands first, and ``returns_at`` (N,) int64.
    """
    found: dict[str, NDArray[np.generic]] = {}
    if options.pixels:
        found["seen_pixels"] = _seen_pixels(frame, arrays)
    if options.rays:
        found["cell_places"] = cell_places(frame, options.image_stride)
    if options.returns:
        found |= _returns(frame, options)
    return found


def _seen_pixels(frame: Frame, arrays: Mapping[str, NDArray[np.generic]]) -> NDArray[np.float32]:
    tokens = view_tokens(np.asarray(arrays["view"], np.float32))[arrays["seen"]]
    calibration = frame.calibration
    pixels, _ = project(tokens[:, :3], calibration.intrinsics, calibration.camera_from_lidar, frame.image.shape[:2])
    return np.where(np.asarray(arrays["seen_mask"])[:, None], pixels, 0).astype(np.float32)


def cell_places(frame: Frame, stride: int) -> NDArray[np.float32]:
    """(H/s W/s, 3) metres in the LiDAR frame, ``REFERENCE_METRES`` from the camera on each image cell's ray."""
    height, width = frame.image.shape[0] // stride, frame.image.shape[1] // stride
    row, column = np.mgrid[0:height, 0:width].reshape(2, -1) * stride + stride / 2
    rays = np.linalg.solve(frame.calibration.intrinsics, np.stack([column, row, np.ones(len(row))]))
    rays *= REFERENCE_METRES / np.linalg.norm(rays, axis=0)
    places = np.linalg.solve(frame.calibration.camera_from_lidar, np.vstack([rays, np.ones(rays.shape[1])]))
    return places[:3].T.astype(np.float32)


def _returns(frame: Frame, options: ViewOptions) -> dict[str, NDArray[np.generic]]:
    xyz = frame.points[:, :3]
    distance = np.linalg.norm(xyz, axis=1)
    features = np.column_stack(
        [xyz[:, :2] * RANGE_SCALE, xyz[:, 2:] * HEIGHT_SCALE, frame.points[:, 3:4], np.log1p(distance) / 4]
    ).astype(np.float32)
    # Drawn with a fixed seed: the network sees the same returns of a frame whenever it meets it.
    sample = point_sample(frame.points, options.returns, (len(xyz), options.returns))
    left = np.ones(len(xyz), bool)
    left[sample] = False
    order = np.concatenate([sample, np.flatnonzero(left)])
    place = np.empty(len(xyz), np.int64)
    place[order] = np.arange(len(xyz))
    return {
        "returns": features[order],
        "returns_cell": flat_cells(frame.points, options)[order],
        "returns_pooled": np.arange(len(xyz)) < len(sample),
        LISTED: place,
    }


def collate_extras(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The keys of single returns: padded with zeros to the longest, ``returns_mask`` (B, N) beside them."""
    if LISTED not in samples[0]:
        return {}
    lengths = torch.tensor([len(sample["returns"]) for sample in samples])
    found: dict[str, Any] = {}
    for key in PADDED:
        rows = [torch.as_tensor(sample[key]) for sample in samples]
        # One row at least: there are networks to pass it through when every sweep is empty.
        found[key] = rows[0].new_zeros(len(rows), max(1, int(lengths.max())), *rows[0].shape[1:])
        for padded, row in zip(found[key], rows, strict=True):
            padded[: len(row)] = row
    found["returns_mask"] = torch.arange(found["returns"].shape[1]) < lengths[:, None]
    return found | {LISTED: [torch.as_tensor(sample[LISTED]) for sample in samples]}


def scores_of_returns(own: Tensor, at: Tensor, cells: Tensor) -> Tensor:
    """(N',) scores of single returns, (N,) where each of a frame's returns stands, (N,) its cell's score -> (N,)."""
    return torch.where(at >= 0, own[at.clamp(min=0)], cells) if len(own) else cells
