"""The driving world's sensors as the 2023 sample stores them: colours instead of ids, ``.pcd`` instead of ``.npy``.

Source: the folders and colours that AnoVox's benchmark reads (arXiv 2405.07865). Written apart from the reader's
palette (:mod:`veritrain.data.palette`), so that the two check each other; only the ``.pcd`` container is shared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from veritrain.worlds.render import Moment

ANOMALY_RED = (245, 0, 0)
"""One colour for home (29), airplane (33), falling (34) and abnormal behaviour (100): the sample's known confusion."""
FIRST_OF_RED = 29
"""The id that voxels carry where ANOMALY_RED was looked up."""

PALETTE: dict[int, tuple[int, int, int]] = {
    0: (0, 0, 0), 1: (128, 64, 128), 2: (244, 35, 232), 3: (70, 70, 70), 4: (102, 102, 156), 5: (190, 153, 153),
    6: (153, 153, 153), 7: (250, 170, 30), 8: (220, 220, 0), 9: (107, 142, 35), 10: (152, 251, 152),
    11: (70, 130, 180), 12: (220, 20, 60), 13: (255, 0, 0), 14: (0, 0, 142), 15: (0, 0, 70), 16: (0, 60, 100),
    17: (0, 80, 100), 18: (0, 0, 230), 19: (119, 11, 32), 20: (110, 190, 160), 21: (170, 120, 50), 22: (55, 90, 80),
    23: (45, 60, 150), 24: (157, 234, 50), 25: (81, 0, 81), 26: (150, 100, 100), 27: (230, 150, 140),
    28: (180, 165, 180), 29: ANOMALY_RED, 30: (255, 36, 0), 31: (224, 17, 95), 32: (184, 15, 10),
    33: ANOMALY_RED, 34: ANOMALY_RED, 100: ANOMALY_RED,
    112: (220, 20, 61), 113: (255, 0, 1), 114: (3, 0, 143), 115: (0, 0, 71), 116: (0, 60, 101), 118: (0, 0, 231),
    119: (119, 11, 33), 214: (0, 0, 1),
}  # fmt: skip
"""AnoVox id -> red, green, blue."""

_COLOURS: NDArray[np.uint8] = np.zeros((256, 3), dtype=np.uint8)
_COLOURS[list(PALETTE)] = list(PALETTE.values())


def images(moment: Moment, depth: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Folder -> (H, W, 3) uint8: the image, the depth code and the class colours."""
    return {"RGB_IMG": moment.image, "DEPTH_IMG": depth, "SEMANTIC_IMG": _COLOURS[moment.semantic]}


def clouds(moment: Moment) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Folder -> field -> (N,) float32: x, y, z with intensity, or with the class colour packed as Open3D packs it."""
    plain, labelled = moment.lidar, moment.semantic_lidar
    colours = _COLOURS[labelled[:, 3].astype(np.int64)].astype(np.uint32)
    rgb = colours[:, 0] << 16 | colours[:, 1] << 8 | colours[:, 2]
    return {
        "PCD": {name: plain[:, place] for place, name in enumerate(("x", "y", "z", "intensity"))},
        "SEMANTIC_PCD": {
            **{name: labelled[:, place].astype(np.float32) for place, name in enumerate(("x", "y", "z"))},
            "rgb": rgb.astype(np.uint32).view(np.float32),
        },
    }


def voxels_by_colour(voxels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """(M, 4) voxels whose ids were looked up by colour: what shares ANOMALY_RED becomes FIRST_OF_RED."""
    red = np.isin(voxels[:, 3], [number for number, colour in PALETTE.items() if colour == ANOMALY_RED])
    looked_up = voxels.copy()
    looked_up[red, 3] = FIRST_OF_RED
    return looked_up
