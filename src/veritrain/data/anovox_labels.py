"""AnoVox's official semantic ids and what they mean for evaluation; its ``key ; value`` files.

Source: AnoVox (arXiv 2405.07865), ``Definitions.py`` and the generator's csv writer.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from veritrain.data.sample import UNKNOWN
from veritrain.errors import BrokenFileError

_WORDS = """
unlabeled road sidewalk building wall fence pole traffic_light traffic_sign vegetation terrain sky pedestrian rider car
truck bus train motorcycle bicycle static dynamic other water road_line ground bridge rail_track guard_rail home animal
nature special airplane falling
"""
_AGENTS = {112: "pedestrian", 113: "rider", 114: "car", 115: "truck", 116: "bus", 118: "motorcycle", 119: "bicycle"}

NAMES: dict[int, str] = {
    **dict(enumerate(_WORDS.split())),
    **{number: f"agent_{name}" for number, name in _AGENTS.items()},
    100: "anomaly",
    214: "ego",
}
"""Every official id: CARLA 0.9.14's tags, AnoVox's anomalies, agents (tag + 100) and the ego vehicle."""

ROAD_LINE = 24
ANOMALY_IDS: frozenset[int] = frozenset({29, 30, 31, 32, 33, 34, 100})
"""Home, animal, nature, special, airplane, falling, and abnormal behaviour."""
IGNORED_IDS: frozenset[int] = frozenset({112, 113, 114, 115, 116, 118, 119, 214})
"""Agents and the ego vehicle: not judged."""
OBJECT_IDS: frozenset[int] = frozenset(range(12, 23))
"""Ordinary objects: people, vehicles, bicycles, static and dynamic props, other. What an anomaly must be told from;
ground, buildings, vegetation and street furniture are not among them."""

STATIC_KEYS = ("frame_id", "scenario_id", "anomaly_id", "anomaly_type_id", "anomaly_is_alive")
"""Keys that an ANOMALY file of a static object must have."""
VEHICLE_KEYS = ("frame_id", "scenario_id", "vehicle_id", "vehicle_type_id", "speed (km/h)", "brake")
"""Keys that an ANOMALY file of a braking vehicle must have: the ACTION key set, without a liveness key."""

_TABLE: NDArray[np.int8] = np.full(65536, UNKNOWN, dtype=np.int8)
_TABLE[list(NAMES)] = 0
_TABLE[list(ANOMALY_IDS)] = 1
_TABLE[[0, *IGNORED_IDS]] = UNKNOWN


def labels_from_ids(ids: NDArray[np.integer] | NDArray[np.floating]) -> NDArray[np.int8]:
    """int8 labels of equal shape: 1 anomaly ids, 0 other official ids, UNKNOWN ignored, unlabelled, unofficial ids."""
    values = np.asarray(ids)
    known = (values >= 0) & (values <= 65535)
    return _TABLE[np.where(known, values, 0).astype(np.int64)]


def frame_label(point_ids: NDArray[np.floating] | None, pixel_ids: NDArray[np.integer] | None, minimum: int) -> int:
    """1 if at least ``minimum`` points or pixels carry an anomaly id, 0 if both were read and do not, else UNKNOWN.

    Args:
        point_ids: (N,) ids of SEMANTIC-LIDAR, None where the file is missing.
        pixel_ids: (H, W) ids of SEMANTIC-CAM, None where the file is missing.
        minimum: k, how many make an anomaly visible.
    """
    counts = [None if ids is None else int((labels_from_ids(ids) == 1).sum()) for ids in (point_ids, pixel_ids)]
    if any(count is not None and count >= minimum for count in counts):
        return 1
    return UNKNOWN if any(count is None for count in counts) else 0


@dataclass(frozen=True, kw_only=True)
class AnomalyRecord:
    """One ANOMALY file.

    Attributes:
        values: every ``key ; value`` pair, as text.
        is_alive: what the file says of a static object, None for a braking vehicle (its key set has no such key).
    """

    values: dict[str, str]
    is_alive: bool | None


def read_pairs(path: Path) -> dict[str, str]:
    """The ``key ; value`` lines of an ACTION or ANOMALY file.

    Raises:
        BrokenFileError: unreadable text, or a line without the separator.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenFileError(
            "cannot be read as text",
            file=path,
            expected="UTF-8 lines 'key ; value'",
            found=str(error),
            fix="extract the file again",
        ) from error
    pairs: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        key, separator, value = line.partition(" ; ")
        if not separator and not line.rstrip().endswith(" ;"):
            raise BrokenFileError(
                "a line has no separator",
                file=path,
                line=number,
                expected="'key ; value'",
                found=repr(line[:80]),
                fix="extract the file again",
            )
        pairs[key.strip().removesuffix(" ;")] = value.strip()
    return pairs


def read_anomaly(path: Path) -> AnomalyRecord:
    """An ANOMALY file of either key set.

    Raises:
        BrokenFileError: a key of the set is missing, or ``anomaly_is_alive`` is neither True nor False.
    """
    values = read_pairs(path)
    if "vehicle_id" in values:
        demand_keys(path, values, VEHICLE_KEYS)
        return AnomalyRecord(values=values, is_alive=None)
    demand_keys(path, values, STATIC_KEYS)
    alive = values["anomaly_is_alive"]
    if alive not in ("True", "False"):
        raise BrokenFileError(
            "key 'anomaly_is_alive' has no truth value",
            file=path,
            expected="True or False",
            found=repr(alive),
            fix="extract the file again; a frame is never taken as normal for want of this value",
        )
    return AnomalyRecord(values=values, is_alive=alive == "True")


def demand_keys(path: Path, values: dict[str, str], keys: tuple[str, ...]) -> None:
    """Refuses a file without one of ``keys``.

    Raises:
        BrokenFileError: names the first that is missing.
    """
    missing = [key for key in keys if key not in values]
    if missing:
        raise BrokenFileError(
            f"key '{missing[0]}' is missing",
            file=path,
            expected="the keys " + ", ".join(keys),
            found=("the keys " + ", ".join(sorted(values))) if values else "no key",
            fix="extract the file again; a frame is never taken as normal for want of a label",
        )
