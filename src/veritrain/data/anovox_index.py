"""What lies in an AnoVox folder: archives, scenarios, sensors, frames; found by names alone.

Sensor folders are named ``<type><location><rotation>_<hash>``; the hash is salted per generator process, so it is
never compared: a folder is matched by type, place and ``sensor_setup.json`` (AnoVox, arXiv 2405.07865).
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from veritrain.errors import LayoutError

SENSOR_FOLDER = re.compile(
    r"(?P<type>RGB-CAM|DEPTH_CAM|SEMANTIC-CAM|INSTANCE-CAM|SEMANTIC-LIDAR|LIDAR)"
    r"(?P<location>\([^()]*\))(?P<rotation>\([^()]*\))_(?P<hash>\d+)"
)
ARCHIVE = re.compile(r"AnoVox_(?P<type>Normality|Static|Dynamic)_(?P<rig>Mono|Stereo|Multi)_(?P<town>\w+)")
CONFIGURATION = "Scenario_Configuration_Files"
KINDS = {
    "Normality": "normality",
    "Static": "static",
    "Dynamic": "sudden_braking",
    "NORMALITY": "normality",
    "STATIC": "static",
    "SUDDEN_BREAKING_OF_VEHICLE_AHEAD": "sudden_braking",
}
OLD_FOLDERS = frozenset({"RGB_IMG", "SEMANTIC_IMG", "PCD", "SEMANTIC_PCD"})


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something missing or broken: where, what, and why.

    Attributes:
        scenario: folder name or group.
        frame: frame number, None where the whole scenario is meant.
        file: the file or folder at fault.
        reason: a sentence.
        left_out: whether the frame or scenario is left out; False where only a label is unknown.
    """

    scenario: str
    frame: int | None
    file: str
    reason: str
    left_out: bool = True


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """One sensor of a scenario: its folder on disk and its entry in ``sensor_setup.json``."""

    type: str
    folder: Path
    location: tuple[float, float, float]
    rotation: tuple[float, float, float]
    arguments: dict[str, Any]
    files: dict[int, Path]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One readable scenario.

    Attributes:
        path: its folder.
        group: "<town>/<folder name>".
        kind: "normality", "static", "sudden_braking" or "unknown".
        sensors: the chosen sensor of each type; RGB-CAM and LIDAR are always there.
        anomaly: frame number -> ANOMALY file.
        frames: frame numbers that have both camera and LiDAR, sorted as numbers.
        problems: frames that lack a sensor, and labels that are missing.
    """

    path: Path
    group: str
    town: str
    kind: str
    sensors: dict[str, Sensor]
    anomaly: dict[int, Path]
    frames: list[int]
    problems: list[Problem] = field(default_factory=list)


def scenario_folders(root: Path) -> list[Path]:
    """All ``Scenario_*`` folders at most three levels below ``root`` (or ``root`` itself), sorted; the folder of
    configuration files, which bears such a name too, is none."""
    if _is_scenario_name(root):
        return [root]
    found = [path for depth in ("*", "*/*", "*/*/*") for path in root.glob(depth) if _is_scenario_name(path)]
    return sorted(found)


def _is_scenario_name(path: Path) -> bool:
    return path.name.startswith("Scenario_") and path.name != CONFIGURATION and path.is_dir()


def index_scenario(path: Path) -> Scenario:
    """Everything that a scenario's names and its ``sensor_setup.json`` tell.

    Raises:
        LayoutError: no or unreadable ``sensor_setup.json``, no camera, no LiDAR, no common frame, or the 2023 layout.
    """
    setup = _read_setup(path)
    sensors = _choose_sensors(path, setup)
    town, kind = _town_and_kind(path)
    anomaly = _frames_of(path / "ANOMALY", "csv") if (path / "ANOMALY").is_dir() else {}
    frames = sorted(set(sensors["RGB-CAM"].files) & set(sensors["LIDAR"].files))
    if not frames:
        raise LayoutError(
            "no frame has both camera and LiDAR",
            file=path,
            expected="equal frame numbers at the end of the file names",
            found=f"{len(sensors['RGB-CAM'].files)} images, {len(sensors['LIDAR'].files)} clouds, none common",
            fix="extract the scenario again",
        )
    problems = _unmatched(path, sensors, frames)
    group = f"{town}/{path.name}"
    return Scenario(
        path=path, group=group, town=town, kind=kind, sensors=sensors, anomaly=anomaly, frames=frames, problems=problems
    )


def _read_setup(path: Path) -> dict[str, dict[str, Any]]:
    file = path / "sensor_setup.json"
    if not file.is_file():
        old = sorted(child.name for child in path.iterdir() if child.name in OLD_FOLDERS)
        raise LayoutError(
            "sensor_setup.json is missing",
            file=file,
            expected="a JSON object: sensor folder name -> its type, place and arguments",
            found="the 2023 sample's layout: " + ", ".join(old) if old else "no such file",
            fix="extract the scenario again, or leave it out (on_broken='skip')",
        )
    try:
        setup = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LayoutError(
            "sensor_setup.json cannot be read", file=file, expected="JSON", found=str(error), fix="extract it again"
        ) from error
    if not isinstance(setup, dict) or not all(isinstance(entry, dict) for entry in setup.values()):
        raise LayoutError(
            "sensor_setup.json has another shape",
            file=file,
            expected="an object of objects",
            found=type(setup).__name__,
            fix="extract it again",
        )
    return setup


def _choose_sensors(path: Path, setup: dict[str, dict[str, Any]]) -> dict[str, Sensor]:
    """The first camera and the first LiDAR by name, with the labelled sensors at their places."""
    found = [sensor for name in sorted(setup) if (sensor := _sensor(path, name, setup[name])) is not None]
    chosen: dict[str, Sensor] = {}
    for kind, labelled in (("RGB-CAM", "SEMANTIC-CAM"), ("LIDAR", "SEMANTIC-LIDAR")):
        main = next((sensor for sensor in found if sensor.type == kind and sensor.files), None)
        if main is None:
            raise LayoutError(
                f"no {kind} with files",
                file=path,
                expected=f"a folder {kind}(x, y, z)(rx, ry, rz)_<hash> that sensor_setup.json names",
                found=", ".join(sorted({sensor.type for sensor in found})) or "no sensor folder",
                fix="extract the scenario again",
            )
        chosen[kind] = main
        for sensor in found:
            if sensor.type == labelled and (sensor.location, sensor.rotation) == (main.location, main.rotation):
                chosen.setdefault(labelled, sensor)
    return chosen


def _sensor(path: Path, name: str, entry: dict[str, Any]) -> Sensor | None:
    match = SENSOR_FOLDER.fullmatch(name)
    if match is None:
        return None
    folder = path / name if (path / name).is_dir() else _same_place(path, match)
    if folder is None:
        return None
    ending = "npy" if "LIDAR" in match["type"] else "png"
    return Sensor(
        type=match["type"],
        folder=folder,
        location=_triple(path, name, entry.get("location", match["location"])),
        rotation=_triple(path, name, entry.get("rotation", match["rotation"])),
        arguments=dict(entry.get("args", {})),
        files=_frames_of(folder, ending),
    )


def _same_place(path: Path, match: re.Match[str]) -> Path | None:
    """A folder of equal type and place whose salted hash differs from the one in ``sensor_setup.json``."""
    for child in sorted(path.iterdir()):
        other = SENSOR_FOLDER.fullmatch(child.name)
        if other and all(other[part] == match[part] for part in ("type", "location", "rotation")):
            return child
    return None


def _triple(path: Path, name: str, value: Any) -> tuple[float, float, float]:
    try:
        numbers = ast.literal_eval(value) if isinstance(value, str) else value
        x, y, z = (float(number) for number in numbers)
    except (ValueError, TypeError, SyntaxError) as error:
        raise LayoutError(
            f"the place of {name} cannot be read",
            file=path / "sensor_setup.json",
            expected="three numbers",
            found=repr(value),
            fix="extract the scenario again",
        ) from error
    return x, y, z


def _frames_of(folder: Path, ending: str) -> dict[int, Path]:
    """Frame number (the last ``_`` token) -> file."""
    files = {}
    for file in folder.glob(f"*.{ending}"):
        token = file.stem.rsplit("_", 1)[-1]
        if token.isdecimal():
            files[int(token)] = file
    return files


def _town_and_kind(path: Path) -> tuple[str, str]:
    for parent in path.parents:
        match = ARCHIVE.fullmatch(parent.name)
        if match:
            return match["town"], KINDS[match["type"]]
    return _from_configuration(path)


def _from_configuration(path: Path) -> tuple[str, str]:
    """Town and type as the JSON files beside the scenario say, where no archive name does."""
    for file in sorted((path.parent / CONFIGURATION).glob("*.json")):
        try:
            definition = json.loads(file.read_text(encoding="utf-8"))["scenario_definition"]
            for entry in definition["scenarios"]:
                if str(entry["id"]) == path.name.removeprefix("Scenario_"):
                    return str(definition["map"]), KINDS.get(entry["anomaly_config"]["anomalytype"], "unknown")
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a damaged configuration file says nothing; the type stays unknown, which is listed
    return "unknown", "unknown"


def _unmatched(path: Path, sensors: dict[str, Sensor], frames: list[int]) -> list[Problem]:
    """Frames that only one of camera and LiDAR has; and labelled sensors that lack a frame."""
    problems, common = [], set(frames)
    for sensor in sensors.values():
        required = sensor.type in ("RGB-CAM", "LIDAR")
        for number in sorted(set(sensor.files) - common) if required else []:
            reason = f"{sensor.type} frame {number} has no partner: left out"
            problems.append(Problem(scenario=path.name, frame=number, file=str(sensor.files[number]), reason=reason))
        for number in sorted(common - set(sensor.files)):
            reason = f"{sensor.type} lacks frame {number}: its label is unknown"
            file = str(sensor.folder)
            problems.append(Problem(scenario=path.name, frame=number, file=file, reason=reason, left_out=False))
    for labelled in sorted({"SEMANTIC-CAM", "SEMANTIC-LIDAR"} - set(sensors)):
        reason = f"no {labelled} at the sensor's place: labels are unknown"
        problems.append(Problem(scenario=path.name, frame=None, file=str(path), reason=reason, left_out=False))
    return problems
