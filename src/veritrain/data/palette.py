"""Colours of the 2023 sample's semantic images and clouds, back to AnoVox ids.

Source: CARLA 0.9.14's public palette for ids 0 to 28; AnoVox (arXiv 2405.07865) ``Definitions.py`` for anomalies,
agents and the ego vehicle; the palette of AnoVox's benchmark, which paints anomalies otherwise. The three agree where
they overlap, but for one colour: (245, 0, 0) stands for home, airplane, falling and for abnormal behaviour.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

UNKNOWN_COLOUR = 255
"""The id of a pixel or return whose colour no palette has: no official id, so its label is UNKNOWN."""

SHARED_COLOUR = (245, 0, 0)
SHARED_IDS = (29, 33, 34, 100)
"""Ids that SHARED_COLOUR may stand for. All are anomalous, so the label is sure; which one it was is lost."""
REPRESENTATIVE = 29
"""The id that SHARED_COLOUR becomes: the first of SHARED_IDS, which the 2023 sample's raw voxels carry too."""

_CARLA = """
0 0 0, 128 64 128, 244 35 232, 70 70 70, 102 102 156, 190 153 153, 153 153 153, 250 170 30, 220 220 0, 107 142 35,
152 251 152, 70 130 180, 220 20 60, 255 0 0, 0 0 142, 0 0 70, 0 60 100, 0 80 100, 0 0 230, 119 11 32, 110 190 160,
170 120 50, 55 90 80, 45 60 150, 157 234 50, 81 0 81, 150 100 100, 230 150 140, 180 165 180
"""


def _colour(text: str) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in text.split())
    return red, green, blue


COLOURS: dict[tuple[int, int, int], int] = {
    **{_colour(text): number for number, text in enumerate(_CARLA.split(","))},
    **{(245, number, 0): number for number in (29, 30, 31, 32, 33, 34)},
    SHARED_COLOUR: REPRESENTATIVE,
    (250, 128, 114): 29, (255, 36, 0): 30, (224, 17, 95): 31, (184, 15, 10): 32,  # the benchmark's anomalies
    (220, 20, 61): 112, (255, 0, 1): 113, (3, 0, 143): 114, (0, 0, 71): 115, (0, 60, 101): 116,  # agents
    (0, 0, 231): 118, (119, 11, 33): 119,
    (0, 0, 1): 214,
}  # fmt: skip
"""(red, green, blue) -> AnoVox id."""


@cache
def _table() -> NDArray[np.uint8]:
    """(2**24,) id of every packed colour."""
    table: NDArray[np.uint8] = np.full(2**24, UNKNOWN_COLOUR, dtype=np.uint8)
    for (red, green, blue), number in COLOURS.items():
        table[red << 16 | green << 8 | blue] = number
    return table


def ids_from_colours(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(...,) AnoVox ids of (..., 3) uint8 red, green, blue; UNKNOWN_COLOUR where no palette has the colour."""
    return _table()[packed(colours)]


def ids_from_packed(colours: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """(N,) AnoVox ids of (N,) colours packed as 0xAARRGGBB; the alpha byte is not read."""
    return _table()[colours & np.uint32(0xFFFFFF)]


def packed(colours: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(...,) uint32 0x00RRGGBB of (..., 3) uint8."""
    red, green, blue = (colours[..., channel].astype(np.uint32) for channel in range(3))
    return red << np.uint32(16) | green << np.uint32(8) | blue


def without_distinction(ids: NDArray[np.integer]) -> NDArray[np.integer]:
    """``ids`` as a palette of 2023 leaves them: SHARED_IDS become REPRESENTATIVE."""
    return np.where(np.isin(ids, SHARED_IDS), ids.dtype.type(REPRESENTATIVE), ids)
