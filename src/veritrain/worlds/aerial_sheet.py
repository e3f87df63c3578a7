"""A sheet to paint polygons on, finer than the picture it becomes, that remembers which thing owns each point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from veritrain.worlds.aerial_sketch import Colour, Points

GROUND = 0
"""Owner of what belongs to no thing."""


class Sheet:
    """A picture ``finer`` times as fine as it will be.

    Args:
        ground: (H, W, 3) uint8, what lies there already.
        unit: pixels of the picture for a scene unit.
        origin: (x, y) pixels of the scene where the picture's left top corner lies.
        finer: points of the sheet for a pixel, along each side.
    """

    def __init__(self, ground: NDArray[np.uint8], unit: float, origin: tuple[float, float], finer: int) -> None:
        height, width = ground.shape[:2]
        size = (width * finer, height * finer)
        self._image = Image.fromarray(ground).resize(size, Image.Resampling.NEAREST)
        self._owners = Image.new("I", size, GROUND)
        self._pen, self._owner_pen = ImageDraw.Draw(self._image), ImageDraw.Draw(self._owners)
        self._unit, self._origin, self.finer = unit, np.array(origin, float), finer

    def _places(self, points: Points) -> list[int]:
        # Pillow would cut fractions towards zero, so that polygons shift at the left and top edge.
        flat: list[int] = np.floor((points * self._unit - self._origin) * self.finer).astype(int).ravel().tolist()
        return flat

    def paint(self, points: Points, colour: Colour, owner: int = GROUND) -> None:
        """A filled polygon of scene units; what it covers belongs to ``owner``."""
        places = self._places(points)
        self._pen.polygon(places, fill=colour)
        self._owner_pen.polygon(places, fill=owner)

    def decorate(self, points: Points, colour: Colour) -> None:
        """A filled polygon that leaves the owners as they are."""
        self._pen.polygon(self._places(points), fill=colour)

    def darken(self, polygons: list[Points], tint: Colour) -> None:
        """Multiplies what lies inside any of the polygons by ``tint`` / 255, once."""
        mask = Image.new("L", self._image.size, 0)
        pen = ImageDraw.Draw(mask)
        for points in polygons:
            pen.polygon(self._places(points), fill=255)
        place = mask.getbbox()
        if place is None:
            return
        table = [value * part // 255 for part in tint for value in range(256)]
        self._image.paste(self._image.crop(place).point(table), place, mask.crop(place))

    def veil(self, polygons: list[Points], colour: Colour, strength: int) -> None:
        """Mixes ``strength`` / 255 of ``colour`` into what lies inside, once for each polygon that covers it."""
        for points in polygons:
            mask = Image.new("L", self._image.size, 0)
            ImageDraw.Draw(mask).polygon(self._places(points), fill=strength)
            place = mask.getbbox()
            if place is not None:
                self._image.paste(colour, place, mask.crop(place))

    def picture(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8: the mean of the points of each pixel."""
        return np.asarray(self._image.reduce(self.finer))

    def owners(self) -> NDArray[np.int32]:
        """(H * finer, W * finer) int32: who owns each point."""
        return np.asarray(self._owners)
