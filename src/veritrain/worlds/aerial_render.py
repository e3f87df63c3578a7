"""One image of a scene: the ground cut out, shadows, things, smoke, light; and the boxes of what is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from veritrain.worlds.aerial_land import TALL, Thing
from veritrain.worlds.aerial_sheet import GROUND, Sheet
from veritrain.worlds.aerial_sketch import Colour

SMOKE, SMOKE_STRENGTH = (232, 232, 232), 88

Corners = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Label:
    """A labelled thing of an image.

    Attributes:
        name: its class.
        box: (xmin, ymin, xmax, ymax), pixels counted from 1, both ends included, as DIOR's.
        corners: left top, right top, right bottom, left bottom of the box turned with it, counted alike; they may lie
            outside the image.
        angle: degrees by which that box is turned clockwise, from -45 up to 45.
    """

    name: str
    box: tuple[int, int, int, int]
    corners: Corners
    angle: float


@dataclass(frozen=True, kw_only=True)
class Light:
    """What the camera makes of a scene: gain of each channel, contrast, haze (0 to 1), grain (grey values)."""

    gain: tuple[float, float, float]
    contrast: float
    haze: float
    grain: float


@dataclass(frozen=True, kw_only=True)
class Window:
    """Which part of a scene an image shows: left, top, width, height in pixels, and the places of the things drawn."""

    left: int
    top: int
    width: int
    height: int
    things: tuple[int, ...]


def finer_of(width: int, height: int) -> int:
    """Points of the sheet for a pixel, along each side."""
    return 3 if max(width, height) <= 400 else 2


def draw_things(
    ground: NDArray[np.uint8], things: Sequence[Thing], unit: float, window: Window, shade: Colour
) -> tuple[NDArray[np.uint8], NDArray[np.int32], int]:
    """The window with its things, before the camera.

    Args:
        ground: (H, W, 3) uint8 of the whole scene.
        things: of the whole scene.
        unit: pixels for a scene unit.
        window: what is shown.
        shade: as in ``draw_ground``.

    Returns:
        (h, w, 3) uint8 picture; (h * finer, w * finer) int32 owners, the n-th thing of the window as n + 1; finer.
    """
    finer = finer_of(window.width, window.height)
    part = ground[window.top : window.top + window.height, window.left : window.left + window.width]
    sheet = Sheet(part, unit, (window.left, window.top), finer)
    shown = [(owner, things[place]) for owner, place in enumerate(window.things, start=GROUND + 1)]
    for rank in range(3):
        those = [(owner, thing) for owner, thing in shown if _rank(thing) == rank]
        sheet.darken([points for _, thing in those for points in thing.sketch.shadows], shade)
        for owner, thing in those:
            for stroke in thing.sketch.strokes:
                if stroke.own:
                    sheet.paint(stroke.points, stroke.colour, owner)
                else:
                    sheet.decorate(stroke.points, stroke.colour)
    sheet.veil([points for _, thing in shown for points in thing.sketch.smoke], SMOKE, SMOKE_STRENGTH)
    return sheet.picture(), sheet.owners(), finer


def _rank(thing: Thing) -> int:
    """What lies flat comes first, then what stands on it, then what towers."""
    return 2 if thing.kind in TALL else int(thing.host >= 0)


def developed(picture: NDArray[np.uint8], light: Light, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture as a camera takes it."""
    values = picture.astype(np.float32)
    values = (values - 110) * np.float32(light.contrast) + 110
    values *= np.array(light.gain, np.float32)
    values += (np.array([206, 212, 220], np.float32) - values) * np.float32(light.haze)
    values += rng.standard_normal(values.shape, np.float32) * np.float32(light.grain)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def labels_of(owners: NDArray[np.int32], finer: int, things: Sequence[Thing], window: Window) -> list[Label]:
    """The labels of the window's things, in their order: boxes around the points that each owns, to the nearest pixel.

    Raises:
        ValueError: a thing of the window owns no point.
    """
    found = ndimage.find_objects(owners, max_label=len(window.things))
    labels = []
    for owner, (place, cut) in enumerate(zip(window.things, found, strict=True), start=1):
        if cut is None:
            raise ValueError(f"{things[place].kind} number {place} is not seen in its window")
        rows, columns = cut
        top, bottom = _edges(rows, finer)
        left, right = _edges(columns, finer)
        box = (left + 1, top + 1, right, bottom)
        turn = (np.degrees(things[place].turn) + 45) % 90 - 45
        upright = ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))
        angle = round(float(turn), 1)
        corners = _turned(owners[cut] == owner, (columns.start, rows.start), finer, angle) if angle else upright
        labels.append(Label(name=things[place].kind, box=box, corners=corners, angle=angle))
    return labels


def _edges(cut: slice, finer: int) -> tuple[int, int]:
    """The pixel edges nearest to a run of points, at least one pixel apart."""
    first = int(np.floor(cut.start / finer + 0.5))
    last = int(np.floor(cut.stop / finer + 0.5))
    return (first, last) if last > first else (cut.start // finer, cut.start // finer + 1)


def _turned(own: NDArray[np.bool_], corner: tuple[int, int], finer: int, angle: float) -> Corners:
    """Corners, counted from 1, of the rectangle at ``angle`` degrees around points of the sheet."""
    rows, columns = np.nonzero(own)
    places = (np.stack([columns, rows], axis=1) + corner + 0.5) / finer
    cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    axes = np.array([[cos, sin], [-sin, cos]])
    along = places @ axes.T
    # From the outermost centres of points to edges, and from edges to pixels that are counted from 1.
    grow = 0.5 / finer - 0.5
    low, high = along.min(axis=0) - grow, along.max(axis=0) + grow
    low, high = np.minimum(low, (low + high) / 2), np.maximum(high, (low + high) / 2)
    frame = np.array([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]) @ axes + 0.5
    one, two, three, four = (tuple(map(int, np.rint(place))) for place in frame)
    return one, two, three, four  # type: ignore[return-value]
