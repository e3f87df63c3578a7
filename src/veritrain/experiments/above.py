"""The sweep from above, coloured by score: forward is up, the ego vehicle in the middle."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from veritrain.data.sample import Frame

METRES = 40.0
"""From the ego vehicle to each edge."""
SIDE = 480
STRIP = 60
"""Pixels of the square map, and of the strip with its legend below."""
RINGS = (10, 20, 30, 40)
LOUD = 0.5
"""A return with at least this score is drawn larger."""

GROUND = (16, 16, 20)
FAINT = (74, 74, 82)
WORDS = (214, 214, 220)
OUTLINE = (0, 158, 115)
"""Okabe-Ito green around what is labelled anomalous."""
UNSCORED = (110, 110, 116)
EGO = (240, 240, 244)

NOTHING, WITHOUT = -2.0, -1.0
"""In the map of scores: no return, a return without a score."""


def from_above(frame: Frame, scores: NDArray[np.float32]) -> Image.Image:
    """Returns within 40 m, bright yellow where the score in [0, 1] is high, with metres, ego mark, legend and bar.

    Args:
        scores: (N,) of the frame's returns, NaN where the network gave none (drawn grey). A square of pixels that
            several returns share has the highest score. Labelled anomalous returns lie in a green ring.
    """
    column, row = places(frame.points)
    canvas = np.full((SIDE + STRIP, SIDE, 3), GROUND, np.uint8)
    picture = Image.fromarray(canvas)
    _rings(ImageDraw.Draw(picture))
    canvas = np.array(picture)
    level = highest_scores(column, row, scores)
    canvas[:SIDE][level > NOTHING] = coloured(level[level > NOTHING])
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    ego(draw)
    labelled = frame.point_labels == 1
    inside = labelled & (np.abs(frame.points[:, :2]) <= METRES).all(axis=1)
    if inside.any():
        x, y = column[inside], row[inside]
        draw.ellipse([x.min() - 7, y.min() - 7, x.max() + 7, y.max() + 7], outline=OUTLINE, width=3)
    _strip(picture, draw, unscored=bool(np.isnan(scores).any()), labelled=bool(inside.any()))
    return picture


def places(points: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) pixel column and row of each return; outside 0 to SIDE - 1 it lies beyond the map."""
    scale = SIDE / 2 / METRES
    column = np.floor(SIDE / 2 - points[:, 1] * scale).astype(np.int64)
    return column, np.floor(SIDE / 2 - points[:, 0] * scale).astype(np.int64)


def highest_scores(
    column: NDArray[np.int64], row: NDArray[np.int64], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """(SIDE, SIDE) the highest score of the returns drawn over each pixel; WITHOUT, NOTHING.

    A return takes 2 x 2 pixels, one with a score of LOUD or more 4 x 4.
    """
    level = np.where(np.isnan(scores), np.float32(WITHOUT), scores)
    flat = np.full(SIDE * SIDE, NOTHING, np.float32)
    for chosen, reach in ((level < LOUD, np.arange(2)), (level >= LOUD, np.arange(-1, 3))):
        across, down = (part.ravel() for part in np.meshgrid(reach, reach))
        x, y = column[chosen, None] + across, row[chosen, None] + down
        inside = (x >= 0) & (x < SIDE) & (y >= 0) & (y < SIDE)
        value = np.broadcast_to(level[chosen, None], x.shape)[inside]
        np.maximum.at(flat, (y * SIDE + x)[inside], value)
    return flat.reshape(SIDE, SIDE)


def coloured(level: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(M,) scores -> (M, 3) colours; grey for WITHOUT."""
    found = (mpl.colormaps["inferno"](0.25 + 0.75 * np.clip(level, 0, 1))[:, :3] * 255).astype(np.uint8)
    found[level < 0] = UNSCORED
    return found


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Matplotlib brings."""
    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def _rings(draw: ImageDraw.ImageDraw) -> None:
    middle, scale = SIDE / 2, SIDE / 2 / METRES
    draw.line([middle, 0, middle, SIDE], fill=FAINT)
    draw.line([0, middle, SIDE, middle], fill=FAINT)
    for radius in RINGS:
        r = radius * scale
        draw.ellipse([middle - r, middle - r, middle + r, middle + r], outline=FAINT)


def ego(draw: ImageDraw.ImageDraw) -> None:
    """A small arrow that points ahead, and how far out each ring lies, over everything else."""
    middle, scale = SIDE / 2, SIDE / 2 / METRES
    draw.polygon(
        [(middle, middle - 9), (middle + 6, middle + 7), (middle, middle + 3), (middle - 6, middle + 7)], fill=EGO
    )
    for radius in RINGS:
        words = f"{radius} m" if radius == RINGS[-1] else str(radius)
        place = (middle + radius * scale * np.sqrt(0.5), middle + radius * scale * np.sqrt(0.5))
        draw.text(place, words, font=font(14), fill=WORDS, anchor="mm", stroke_width=2, stroke_fill=GROUND)
    draw.text((middle + 6, 3), "ahead", font=font(14), fill=WORDS, stroke_width=2, stroke_fill=GROUND)


def _strip(picture: Image.Image, draw: ImageDraw.ImageDraw, *, unscored: bool, labelled: bool) -> None:
    """The colour bar from 0 to 1, and what the marks mean."""
    top, left, width = SIDE + 10, 60, 160
    ramp = coloured(np.linspace(0, 1, width, dtype=np.float32))
    picture.paste(Image.fromarray(np.repeat(ramp[None], 14, axis=0)), (left, top))
    draw.text((8, top + 7), "score", font=font(14), fill=WORDS, anchor="lm")
    for share, words in ((0.0, "0"), (0.5, "0.5"), (1.0, "1")):
        draw.text((left + share * width, top + 18), words, font=font(14), fill=WORDS, anchor="ma")
    draw.polygon([(250, top + 1), (255, top + 13), (250, top + 10), (245, top + 13)], fill=EGO)
    draw.text((262, top + 7), "ego", font=font(14), fill=WORDS, anchor="lm")
    if labelled:
        draw.ellipse([304, top, 318, top + 14], outline=OUTLINE, width=3)
        draw.text((324, top + 7), "labelled anomalous", font=font(14), fill=WORDS, anchor="lm")
    if unscored:
        draw.rectangle([307, top + 24, 315, top + 32], fill=UNSCORED)
        draw.text((324, top + 28), "no score", font=font(14), fill=WORDS, anchor="lm")
