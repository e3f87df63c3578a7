"""Masks as COCO annotations: run lengths, boxes and areas of connected components. NumPy and SciPy only.

Source: the COCO data format (cocodataset.org, "Data format") and its run-length encoding: runs of 0 and 1 by turns,
down the columns, written as text with five bits to a character. Tests hold it against pycocotools.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CATEGORY = {"id": 1, "name": "anomaly", "supercategory": "anomaly"}
EIGHT_NEIGHBOURS = np.ones((3, 3), np.int64)


def image_number(frame_id: str) -> int:
    """COCO's ``image_id`` of a frame: the same number in every file, so that files can be held against each other.

    The first 52 bits of the name's SHA-256: exact in a float64, and two of 100,000 frames meet once in a million sets.
    """
    return int(hashlib.sha256(frame_id.encode()).hexdigest()[:13], 16)


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """(H, W) bool -> lengths of runs down the columns, the first one of False (0 where the first pixel is True)."""
    return _runs_of(np.flatnonzero(mask.ravel(order="F")), mask.size)


def _runs_of(places: NDArray[np.int64], size: int) -> list[int]:
    """Ascending places of True in a flat mask of ``size`` -> run lengths, starting with False."""
    if not places.size:
        return [size]
    breaks = np.flatnonzero(np.diff(places) > 1)
    starts = places[np.concatenate([[0], breaks + 1])]
    ends = places[np.concatenate([breaks, [places.size - 1]])] + 1
    edges = np.concatenate([[0], np.stack([starts, ends], axis=1).ravel(), [size]])
    runs = np.diff(edges)
    return [int(run) for run in (runs[:-1] if runs[-1] == 0 else runs)]


def compressed(runs: Sequence[int]) -> str:
    """Run lengths as COCO's text.

    From the fourth on a run is written as its difference to the one two before it; each number takes five bits a
    character, the lowest first, a sixth bit says that more follow, and the sign is that of the last five.
    """
    text = []
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text.append(chr(48 + (bits | 0x20 if more else bits)))
    return "".join(text)


def components(mask: NDArray[np.bool_], scores: NDArray[np.floating] | None = None) -> list[dict[str, Any]]:
    """One annotation for each 8-connected part of a mask, without ids.

    Args:
        mask: (H, W) bool.
        scores: (H, W) in [0, 1], of which a part's ``score`` is the highest; no ``score`` without them.

    Returns:
        ``segmentation`` {size [H, W], counts}, ``bbox`` [x, y, width, height] in pixels, ``area`` in pixels, in the
        order of each part's first pixel.
    """
    numbers, count = ndimage.label(mask, EIGHT_NEIGHBOURS)
    height, width = mask.shape
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(numbers, max_label=count), start=1):
        part = numbers[rows, columns] == number
        row, column = np.nonzero(part)
        places = np.sort((column + columns.start) * height + row + rows.start)
        one: dict[str, Any] = {
            "segmentation": {"size": [height, width], "counts": compressed(_runs_of(places, mask.size))},
            "bbox": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
            "area": int(part.sum()),
        }
        if scores is not None:
            one["score"] = round(float(scores[rows, columns][part].max()), 6)
        found.append(one)
    return found
