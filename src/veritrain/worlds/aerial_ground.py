"""The ground of a scene as pixels: patches, texture by material, buildings and trees; images are cut out of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from veritrain.worlds.aerial_land import FURROWED, GRASS, PAVED, SAND, WATER, WOOD, Land
from veritrain.worlds.aerial_sheet import Sheet
from veritrain.worlds.aerial_sketch import Colour

Field = NDArray[np.float32]
FINER = 2
SPREADS = {
    PAVED: (0.012, 0.010, 0.020, 0.020, 0.0),
    GRASS: (0.025, 0.045, 0.050, 0.050, 0.04),
    WOOD: (0.030, 0.050, 0.050, 0.060, 0.85),
    SAND: (0.015, 0.015, 0.040, 0.050, 0.10),
    WATER: (0.008, 0.018, 0.015, 0.050, 0.10),
    FURROWED: (0.020, 0.025, 0.030, 0.030, 0.02),
}
"""Material -> share of its light by which it varies from pixel to pixel, over 3, 12 and 70 units, and by relief."""
CELLS = (3.0, 12.0, 70.0)
RELIEF_CELL = 4.2
MOST_CHANGE = 0.6


def draw_ground(
    land: Land, size: tuple[int, int], unit: float, shade: Colour, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 ground of the whole land.

    Args:
        land: as it was laid out.
        size: (H, W) in pixels.
        unit: pixels for a scene unit.
        shade: what lies in shadow keeps this much of each colour, of 255.
        rng: of the texture.
    """
    height, width = size
    sheet = Sheet(np.zeros((height, width, 3), np.uint8), unit, (0.0, 0.0), FINER)
    material = Image.new("L", (width, height), PAVED)
    pen = ImageDraw.Draw(material)
    for patch in land.patches:
        sheet.decorate(patch.points, patch.colour)
        pen.polygon(np.floor(patch.points * unit).astype(int).ravel().tolist(), fill=patch.material)
    textured = _textured(sheet.picture(), np.asarray(material), land, unit, rng)
    built = Sheet(textured, unit, (0.0, 0.0), FINER)
    built.darken([points for one in land.structures for points in one.shadows], shade)
    for one in land.structures:
        for stroke in one.strokes:
            built.decorate(stroke.points, stroke.colour)
    return built.picture()


def _textured(
    flat: NDArray[np.uint8], material: NDArray[np.uint8], land: Land, unit: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    size = material.shape
    table = np.zeros((256, 5), np.float32)
    for name, spreads in SPREADS.items():
        table[name] = spreads
    table[FURROWED:] = SPREADS[FURROWED]
    change = table[material, 0] * rng.standard_normal(size, np.float32)
    for number, cell in enumerate(CELLS, start=1):
        change += table[material, number] * clouds(size, cell * unit, rng)
    crowns = clouds(size, RELIEF_CELL * unit, rng) + 0.8 * clouds(size, 0.62 * RELIEF_CELL * unit, rng)
    towards = np.rint(np.array(land.sun) / np.hypot(*land.sun) * max(1.6 * unit, 1.0)).astype(int)
    change += table[material, 4] * 0.3 * (crowns - np.roll(crowns, (-towards[1], -towards[0]), (0, 1)))
    change = np.clip(change + _rows(material, land, unit), -MOST_CHANGE, MOST_CHANGE)
    return np.asarray(np.clip(flat * (1 + change[..., None]), 0, 255), np.uint8)


def clouds(size: tuple[int, int], cell: float, rng: np.random.Generator) -> Field:
    """(H, W) float32 noise of mean 0 and about unit spread whose spots are about ``cell`` pixels wide."""
    height, width = size
    rows, columns = int(np.ceil(height / max(cell, 1.0))) + 2, int(np.ceil(width / max(cell, 1.0))) + 2
    coarse = Image.fromarray(rng.standard_normal((rows, columns), np.float32) * np.float32(1.4))
    smooth = coarse.resize((width, height), Image.Resampling.BICUBIC, box=(0.5, 0.5, columns - 0.5, rows - 0.5))
    return np.asarray(smooth, np.float32)


def _rows(material: NDArray[np.uint8], land: Land, unit: float) -> Field:
    """(H, W) float32: furrows of the fields."""
    if not land.furrows:
        return np.zeros(material.shape, np.float32)
    table = np.zeros((256, 3), np.float32)
    for number, one in enumerate(land.furrows[: 256 - FURROWED], start=FURROWED):
        wave = 2 * np.pi / (one.period * unit)
        table[number] = (np.cos(one.turn) * wave, np.sin(one.turn) * wave, one.strength)
    y, x = np.indices(material.shape, np.float32)
    return np.asarray(table[material, 2] * np.sin(table[material, 0] * x + table[material, 1] * y), np.float32)
