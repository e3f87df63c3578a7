"""A scene as a structure of arrays of upright boxes above a striped ground."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

GROUND_Z = -1.8
"""Height of the ground in the sensor frame: the sensors sit 1.8 m above it (AnoVox mono rig)."""


class Pattern(IntEnum):
    """How a box is painted with its two colours."""

    PLAIN = 0
    WINDOWS = 1
    STRIPES = 2
    CHECKER = 3
    LEAVES = 4
    CAR = 5
    BARS = 6


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """B boxes that stand upright, each turned about z.

    Attributes:
        centre: (B, 3) float64 metres; x forward, y left, z up from the sensor's height.
        half: (B, 3) float64 half edge lengths in metres.
        yaw: (B,) float64 radians, counter-clockwise seen from above.
        velocity: (B, 3) float64 metres per frame.
        semantic: (B,) int64 AnoVox ids.
        instance: (B,) int64, equal for boxes of one object.
        colour: (B, 3) float64 RGB in [0, 255].
        second: (B, 3) float64 second colour of the pattern.
        pattern: (B,) int64 of :class:`Pattern`.
        period: (B,) float64 metres per repeat of the pattern.
        light: (B,) float64 in [0, 1], how bright rear lights shine.
        camera: (B,) bool, the camera sees it.
        lidar: (B,) bool, the LiDAR sees it.
        frame: (B,) int64, the one frame in which it is there; -1 is every frame.
    """

    centre: NDArray[np.float64]
    half: NDArray[np.float64]
    yaw: NDArray[np.float64]
    velocity: NDArray[np.float64]
    semantic: NDArray[np.int64]
    instance: NDArray[np.int64]
    colour: NDArray[np.float64]
    second: NDArray[np.float64]
    pattern: NDArray[np.int64]
    period: NDArray[np.float64]
    light: NDArray[np.float64]
    camera: NDArray[np.bool_]
    lidar: NDArray[np.bool_]
    frame: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.yaw)

    def where(self, mask: NDArray[np.bool_]) -> Boxes:
        """The boxes for which ``mask`` (B,) holds."""
        return Boxes(**{field.name: getattr(self, field.name)[mask] for field in fields(self)})

    def at(self, frame: float, ego: NDArray[np.float64]) -> Boxes:
        """The boxes after ``frame`` frames, seen from ``ego`` (3,) metres."""
        return replace(self, centre=self.centre + self.velocity * frame - ego)


@dataclass
class BoxBuilder:
    """Collects boxes one at a time and stacks them once."""

    rows: list[dict[str, Any]]
    next_instance: int = 1

    @classmethod
    def empty(cls) -> BoxBuilder:
        return cls(rows=[])

    def new_object(self) -> int:
        """An instance number that no box uses yet."""
        self.next_instance += 1
        return self.next_instance - 1

    def add(
        self,
        *,
        centre: tuple[float, float, float],
        half: tuple[float, float, float],
        semantic: int,
        colour: tuple[float, float, float],
        second: tuple[float, float, float] | None = None,
        pattern: Pattern = Pattern.PLAIN,
        period: float = 1.0,
        yaw: float = 0.0,
        velocity: tuple[float, float, float] = (0.0, 0.0, 0.0),
        instance: int | None = None,
        light: float = 0.0,
        camera: bool = True,
        lidar: bool = True,
        frame: int = -1,
    ) -> None:
        """One box; ``centre`` z counts from the ground, everything else as in :class:`Boxes`."""
        self.rows.append(
            {
                "centre": (centre[0], centre[1], centre[2] + GROUND_Z),
                "half": half,
                "yaw": yaw,
                "velocity": velocity,
                "semantic": semantic,
                "instance": self.new_object() if instance is None else instance,
                "colour": colour,
                "second": colour if second is None else second,
                "pattern": int(pattern),
                "period": period,
                "light": light,
                "camera": camera,
                "lidar": lidar,
                "frame": frame,
            }
        )

    def build(self) -> Boxes:
        """All collected boxes as arrays."""
        return Boxes(**{name: self._column(name, dtype, width) for name, (dtype, width) in _COLUMNS.items()})

    def _column(self, name: str, dtype: type, width: int) -> NDArray[Any]:
        values: NDArray[Any] = np.array([row[name] for row in self.rows], dtype=dtype)
        return values.reshape((len(self.rows), width) if width else (len(self.rows),))


_COLUMNS: dict[str, tuple[type, int]] = {
    "centre": (np.float64, 3),
    "half": (np.float64, 3),
    "yaw": (np.float64, 0),
    "velocity": (np.float64, 3),
    "semantic": (np.int64, 0),
    "instance": (np.int64, 0),
    "colour": (np.float64, 3),
    "second": (np.float64, 3),
    "pattern": (np.int64, 0),
    "period": (np.float64, 0),
    "light": (np.float64, 0),
    "camera": (np.bool_, 0),
    "lidar": (np.bool_, 0),
    "frame": (np.int64, 0),
}
