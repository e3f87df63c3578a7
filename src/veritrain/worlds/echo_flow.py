"""Blood flow as colour Doppler sees it: velocity along the beam, aliased at the Nyquist velocity, in a colour box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from veritrain.worlds.echo_shapes import Field, Point

WALL_FILTER = 0.10
"""Slower than this share of the Nyquist velocity is shown as no flow."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A stream or a jet, placed before the probe.

    Attributes:
        start: millimetres to the right of the probe, and deep.
        way: unit vector.
        length: millimetres.
        width: millimetres at the widest.
        bend: how far it curves sideways at its end, in shares of its length.
        speed: of the core, in units of the Nyquist velocity.
        turbulence: 0 laminar, 1 mosaic.
        jet: widens from a narrow neck and is ragged; else it is a plug with soft ends.
    """

    start: Point
    way: Point
    length: float
    width: float
    bend: float
    speed: float
    turbulence: float
    jet: bool

    def weight(self, x: Field, z: Field, ragged: Field) -> Field:
        """How much of the flow is at places (x, z): above 0.5 inside, for a jet with a sharp ragged edge."""
        along, across = self._axes(x, z)
        share = along / np.float32(self.length)
        if not self.jet:
            middle = 1 - (2 * across / np.float32(self.width)) ** 2
            ends = np.clip(np.minimum(share, 1 - share) * 5, 0, 1)
            return np.asarray(np.clip(middle, 0, 1) * ends, np.float32)
        inside = np.clip(share, 0, 1)
        half = 1.6 + (self.width / 2 - 1.6) * inside**0.55 * np.sqrt(np.maximum(1 - inside**5, 0))
        edge = np.abs(across) / np.float32(1e-3 + half) * (1 + 0.16 * ragged)
        found = np.where((share >= 0) & (share <= 1), 1 - edge / 2, 0)
        return np.asarray(np.clip(found, 0, 1), np.float32)

    def velocity(self, x: Field, z: Field) -> Field:
        """Velocity towards the probe where the flow's weight is 1, in units of the Nyquist velocity.

        A jet fans out from its orifice, so that one across the beam is seen as well.
        """
        reach = np.maximum(np.hypot(x, z), np.float32(1e-3))
        towards = -(np.float32(self.way[0]) * x + np.float32(self.way[1]) * z) / reach
        if self.jet:
            _, across = self._axes(x, z)
            normal = -(np.float32(-self.way[1]) * x + np.float32(self.way[0]) * z) / reach
            towards = towards + normal * across / np.float32(self.width) * np.float32(1.4)
        return np.asarray(self.speed * towards, np.float32)

    def corners(self) -> NDArray[np.float64]:
        """(4, 2) places around the flow, for choosing a colour box that holds it."""
        way, side = np.array(self.way), np.array([-self.way[1], self.way[0]])
        start, end = np.array(self.start), np.array(self.start) + way * self.length
        return np.array([place + sign * side * self.width / 2 for place in (start, end) for sign in (-1, 1)])

    def _axes(self, x: Field, z: Field) -> tuple[Field, Field]:
        """Millimetres along the flow and across it, straightened where it bends."""
        dx, dz = x - np.float32(self.start[0]), z - np.float32(self.start[1])
        along = dx * np.float32(self.way[0]) + dz * np.float32(self.way[1])
        across = dz * np.float32(self.way[0]) - dx * np.float32(self.way[1])
        return along, np.asarray(across - np.float32(self.bend / self.length) * along * along, np.float32)


def aliased(velocity: Field) -> Field:
    """Velocities folded into [-1, 1): above the Nyquist velocity they come back from the other side."""
    return np.asarray((velocity + 1) % 2 - 1, np.float32)


def colour_table(style: int) -> NDArray[np.uint8]:
    """(256, 3) RGB from fast away (0) over still (128) to fast towards the probe (255).

    Styles 0 and 1: dark to bright red and yellow towards, blue and cyan away. Style 2 (held out): orange and violet.
    """
    stops = {
        0: ([(120, 240, 255), (0, 110, 255), (0, 0, 150)], [(120, 0, 0), (235, 40, 0), (255, 240, 90)]),
        1: ([(80, 220, 240), (30, 70, 220), (25, 10, 110)], [(95, 10, 10), (200, 60, 20), (250, 220, 60)]),
        2: ([(230, 170, 255), (130, 60, 230), (40, 10, 110)], [(110, 40, 0), (230, 120, 0), (240, 255, 150)]),
    }[style]
    half = np.linspace(0, 1, 128)
    tables = [
        np.stack([np.interp(half, (0, 0.5, 1), [stop[channel] for stop in side]) for channel in range(3)], axis=1)
        for side in stops
    ]
    return np.rint(np.concatenate(tables)).astype(np.uint8)
