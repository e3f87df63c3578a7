"""Part of a sweep, spread over all azimuths, and clouds of unlike length in one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from veritrain.data.sample import UNKNOWN

CLOUD_KEYS = ("cloud", "cloud_index", "cloud_labels")
"""Keys of a sample that has a cloud; their length differs from frame to frame."""

STREAM = 15485863
"""Keeps these draws apart from others that start from the same (seed, epoch, index)."""


def point_sample(points: NDArray[np.float32], most: int, seed: Sequence[int]) -> NDArray[np.int64]:
    """Rows of at most ``most`` returns: one of each of ``most`` slices of equally many returns by azimuth.

    Args:
        points: (N, 4) float32, x forward and y left. most: at least 1. seed: such as (seed, epoch, index); the same
            seed gives the same rows.

    Returns:
        (min(N, most),) int64, no row twice, from azimuth 180 degrees down to -180.
    """
    order = np.argsort(-np.arctan2(points[:, 1], points[:, 0]), kind="stable")
    if len(points) <= most:
        return order.astype(np.int64)
    edges = np.arange(most + 1) * len(points) // most
    draw = np.random.default_rng([*seed, STREAM]).random(most)
    return order[edges[:-1] + (draw * np.diff(edges)).astype(np.int64)].astype(np.int64)


def cloud_of(
    points: NDArray[np.float32], labels: NDArray[np.int8], most: int, seed: Sequence[int]
) -> dict[str, NDArray[np.generic]]:
    """The cloud of one sample.

    Args:
        points: (N, 4) float32 returns of the frame. labels: (N,) int8 of 1, 0, UNKNOWN as the run reads them.

    Returns:
        ``cloud`` (n, 4) float32 metres and intensity, ``cloud_index`` (n,) int64 rows of ``points``,
        ``cloud_labels`` (n,) int8.
    """
    index = point_sample(points, most, seed)
    return {"cloud": points[index], "cloud_index": index, "cloud_labels": labels[index]}


def padded_clouds(samples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Clouds in one batch, as long as the longest.

    Returns:
        ``cloud`` (B, P, 4) float32 and ``cloud_index`` (B, P) int64, ``cloud_labels`` (B, P) int8, padded with 0, -1
        and UNKNOWN; ``cloud_mask`` (B, P) bool, True where a return is.
    """
    longest = max(1, *(len(sample[key]) for sample in samples for key in CLOUD_KEYS))
    batch = len(samples)
    cloud = torch.zeros(batch, longest, 4)
    mask = torch.zeros(batch, longest, dtype=torch.bool)
    index = torch.full((batch, longest), -1)
    labels = torch.full((batch, longest), UNKNOWN, dtype=torch.int8)
    for row, sample in enumerate(samples):
        cloud[row, : len(sample["cloud"])] = torch.as_tensor(sample["cloud"])
        mask[row, : len(sample["cloud"])] = True
        index[row, : len(sample["cloud_index"])] = torch.as_tensor(sample["cloud_index"])
        labels[row, : len(sample["cloud_labels"])] = torch.as_tensor(sample["cloud_labels"])
    return {"cloud": cloud, "cloud_mask": mask, "cloud_index": index, "cloud_labels": labels}
