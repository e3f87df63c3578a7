"""What the ego vehicle does in one frame: AnoVox's ACTION files (arXiv 2405.07865, the generator's csv writer)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from veritrain.data.anovox_labels import VEHICLE_KEYS, demand_keys, read_pairs
from veritrain.errors import BrokenFileError

MAX_TEXT = 10_000
"""Characters of one value; a matrix takes a few hundred."""


@dataclass(frozen=True, kw_only=True)
class ActionRecord:
    """One ACTION file.

    Attributes:
        values: every ``key ; value`` pair, as text.
        frame_id: the simulator's frame counter.
        vehicle: blueprint of the ego vehicle.
        speed: km/h.
        throttle: in [0, 1]; None where the file does not say, as the next four.
        steer: in [-1, 1].
        brake: in [0, 1].
        hand_brake: whether it is pulled.
        reverse: whether the vehicle drives backwards.
        matrices: every key that ends in ``matrix`` -> (4, 4) float64, in world metres.
    """

    values: Mapping[str, str]
    frame_id: int
    vehicle: str
    speed: float
    throttle: float | None
    steer: float | None
    brake: float
    hand_brake: bool | None
    reverse: bool | None
    matrices: Mapping[str, NDArray[np.float64]]


def read_action(path: Path) -> ActionRecord:
    """An ACTION file.

    Raises:
        BrokenFileError: unreadable text, a missing key, a value that is not of its type, a matrix that is not 4 x 4.
    """
    values = read_pairs(path)
    demand_keys(path, values, VEHICLE_KEYS)
    number = _finite(path, values, "frame_id")
    return ActionRecord(
        values=values,
        frame_id=int(number),
        vehicle=values["vehicle_type_id"],
        speed=_finite(path, values, "speed (km/h)"),
        throttle=_finite(path, values, "throttle") if "throttle" in values else None,
        steer=_finite(path, values, "steer") if "steer" in values else None,
        brake=_finite(path, values, "brake"),
        hand_brake=_truth(path, values, "hand_brake"),
        reverse=_truth(path, values, "reverse"),
        matrices={key: _matrix(path, values, key) for key in values if key.endswith("matrix")},
    )


def _finite(path: Path, values: Mapping[str, str], key: str) -> float:
    try:
        number = float(values[key])
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise _wrong(path, key, "a finite number", values[key])
    return number


def _truth(path: Path, values: Mapping[str, str], key: str) -> bool | None:
    if key not in values:
        return None
    if values[key] not in ("True", "False"):
        raise _wrong(path, key, "True or False", values[key])
    return values[key] == "True"


def _matrix(path: Path, values: Mapping[str, str], key: str) -> NDArray[np.float64]:
    text = values[key]
    try:
        rows: Any = json.loads(text) if len(text) <= MAX_TEXT else None
        matrix = np.array(rows, dtype=np.float64)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise _wrong(path, key, "four rows of four numbers", text) from error
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
        raise _wrong(path, key, "four rows of four finite numbers", text)
    return matrix


def _wrong(path: Path, key: str, expected: str, found: str) -> BrokenFileError:
    return BrokenFileError(
        f"key '{key}' has another value",
        file=path,
        expected=expected,
        found=repr(found[:80]),
        fix="extract the file again",
    )
