"""What lies in an AnoVox folder: archives, scenarios, sensors, frames; found by names alone, in either layout.

The 2024 archives: sensor folders are named ``<type><location><rotation>_<hash>``; the hash is salted per generator
process, so it is never compared: a folder is matched by type, place and ``sensor_setup.json`` (arXiv 2405.07865).
The 2023 sample: one folder a sensor (``RGB_IMG``, ``PCD``), files ``<FOLDER>_<frame>``, and no ``sensor_setup.json``:
places and field of view are those of AnoVox's mono rig.
"""

from __future__ import annotations

import ast
import json
import math
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
OLD_FOLDERS = {
    "RGB_IMG": "RGB-CAM",
    "DEPTH_IMG": "DEPTH_CAM",
    "SEMANTIC_IMG": "SEMANTIC-CAM",
    "INSTANCE_IMG": "INSTANCE-CAM",
    "PCD": "LIDAR",
    "SEMANTIC_PCD": "SEMANTIC-LIDAR",
}
"""The 2023 sample's folders, by the sensor type that the 2024 archives call them."""
MONO_LOCATION = (0.0, 0.0, 1.8)
MONO_ROTATION = (0.0, 0.0, 0.0)
MONO_FIELD_OF_VIEW = 90.0
"""AnoVox's mono rig, camera and LiDAR alike: metres, degrees. Assumed of the 2023 sample, which stores none."""
LABELLED = {"RGB-CAM": ("SEMANTIC-CAM", "DEPTH_CAM", "INSTANCE-CAM"), "LIDAR": ("SEMANTIC-LIDAR",)}
"""What is taken with a main sensor, if it stands at its place."""
FILE_FOLDERS = {"ANOMALY": "csv", "ACTION": "csv", "ROUTE_MAP": "png", "VOXEL_GRID": "npy"}
"""Folders that hold one file a frame and no sensor, in either layout."""
COUNTER = re.compile(r"[0-9]{1,18}")


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
    """One sensor of a scenario: its folder on disk, and its place and arguments (stated, or the mono rig's).

    Attributes:
        files: frame number -> file.
        refused: files that belong to no frame, and why: no counter, or one counter twice.
    """

    type: str
    folder: Path
    location: tuple[float, float, float]
    rotation: tuple[float, float, float]
    arguments: dict[str, Any]
    files: dict[int, Path]
    refused: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One readable scenario.

    Attributes:
        path: its folder.
        group: "<town>/<folder name>".
        kind: "normality", "static", "sudden_braking" or "unknown".
        layout: "2024" or "2023".
        sensors: the chosen sensor of each type, under the 2024 names; RGB-CAM and LIDAR are always there.
        others: "ANOMALY", "ACTION", "ROUTE_MAP", "VOXEL_GRID" -> frame number -> file.
        frames: frame numbers that have both camera and LiDAR, sorted as numbers.
        problems: frames that lack a sensor, and labels that are missing.
    """

    path: Path
    group: str
    town: str
    kind: str
    layout: str
    sensors: dict[str, Sensor]
    others: dict[str, dict[int, Path]]
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


def layout_of(path: Path) -> str | None:
    """ "2024" or "2023" by the folders of one scenario; None where neither kind is there.

    Raises:
        LayoutError: folders of both kinds.
    """
    children = sorted(child.name for child in path.iterdir() if child.is_dir())
    new = [name for name in children if SENSOR_FOLDER.fullmatch(name)]
    old = [name for name in children if name in OLD_FOLDERS]
    if new and old:
        raise LayoutError(
            "one scenario holds folders of both layouts",
            file=path,
            expected="sensor folders of the 2024 archives, or of the 2023 sample",
            found=f"{new[0]} (2024) and {old[0]} (2023)",
            fix="extract each into a folder of its own: frames of two recordings must not be paired",
        )
    return "2024" if new else "2023" if old else None


def index_scenario(path: Path) -> Scenario:
    """Everything that a scenario's names and its ``sensor_setup.json`` tell.

    Raises:
        LayoutError: folders of both layouts; no or unreadable ``sensor_setup.json`` (2024); a sensor at another place
            than that says; no camera, no LiDAR, no common frame.
    """
    layout = layout_of(path) or "2024"
    found = _old_sensors(path) if layout == "2023" else _new_sensors(path)
    sensors = _choose_sensors(path, found, layout)
    town, kind = _town_and_kind(path)
    others: dict[str, dict[int, Path]] = {}
    refused: list[tuple[Path, str]] = []
    for name, ending in FILE_FOLDERS.items():
        others[name], bad = _frames_of(path / name, ending)
        refused += bad
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
    problems += [
        Problem(scenario=path.name, frame=None, file=str(file), reason=f"{reason}: not read", left_out=False)
        for file, reason in refused
    ]
    return Scenario(
        path=path,
        group=f"{town}/{path.name}",
        town=town,
        kind=kind,
        layout=layout,
        sensors=sensors,
        others=others,
        frames=frames,
        problems=problems,
    )


def _read_setup(path: Path) -> dict[str, dict[str, Any]]:
    file = path / "sensor_setup.json"
    if not file.is_file():
        raise LayoutError(
            "sensor_setup.json is missing",
            file=file,
            expected="a JSON object: sensor folder name -> its type, place and arguments",
            found="no such file",
            fix="extract the scenario again, or leave it out (--on_broken skip)",
        )
    try:
        setup = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
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


def _new_sensors(path: Path) -> list[Sensor]:
    """What ``sensor_setup.json`` names and the disk has, in the order of names."""
    setup = _read_setup(path)
    _demand_places(path, setup)
    return [sensor for name in sorted(setup) if (sensor := _sensor(path, name, setup[name])) is not None]


def _old_sensors(path: Path) -> list[Sensor]:
    """The 2023 sample's folders, all at the place of the mono rig."""
    found = []
    for name, kind in OLD_FOLDERS.items():
        if not (path / name).is_dir():
            continue
        files, refused = _frames_of(path / name, *(("pcd", "npy") if "PCD" in name else ("png",)))
        sensor = Sensor(
            type=kind,
            folder=path / name,
            location=MONO_LOCATION,
            rotation=MONO_ROTATION,
            arguments={"camera_fov": MONO_FIELD_OF_VIEW} if kind.endswith("CAM") else {},
            files=files,
            refused=tuple(refused),
        )
        found.append(sensor)
    return found


def _choose_sensors(path: Path, found: list[Sensor], layout: str) -> dict[str, Sensor]:
    """The first camera and the first LiDAR by name, with the other sensors at their places."""
    chosen: dict[str, Sensor] = {}
    for kind, companions in LABELLED.items():
        main = next((sensor for sensor in found if sensor.type == kind and sensor.files), None)
        if main is None:
            old = next(name for name, known in OLD_FOLDERS.items() if known == kind)
            raise LayoutError(
                f"no {kind} with files" if layout == "2024" else f"no {old} with files (the 2023 sample's layout)",
                file=path,
                expected=f"a folder {kind}(x, y, z)(rx, ry, rz)_<hash> that sensor_setup.json names"
                if layout == "2024"
                else f"files {old}/{old}_<frame>",
                found=", ".join(sorted({sensor.type for sensor in found})) or "no sensor folder",
                fix="extract the scenario again",
            )
        chosen[kind] = main
        for sensor in found:
            if sensor.type in companions and _sees_the_same(sensor, main):
                chosen.setdefault(sensor.type, sensor)
    return chosen


def _sees_the_same(sensor: Sensor, main: Sensor) -> bool:
    """Whether the labels of one lie on the data of the other: equal place and, where both state one, field of view."""
    views = [one.arguments.get("camera_fov") for one in (sensor, main)]
    same_view = None in views or views[0] == views[1]
    return same_view and (sensor.location, sensor.rotation) == (main.location, main.rotation)


def _demand_places(path: Path, setup: dict[str, dict[str, Any]]) -> None:
    """Refuses a sensor folder whose type and place no entry of ``sensor_setup.json`` names, where an entry lacks its
    folder: the sensor then stands elsewhere than the file says."""
    stated = {_placed(match): name for name in setup if (match := SENSOR_FOLDER.fullmatch(name))}
    there = {_placed(match): child.name for child in path.iterdir() if (match := SENSOR_FOLDER.fullmatch(child.name))}
    for place, name in sorted(there.items()):
        lacking = [other for other in sorted(stated) if other[0] == place[0] and other not in there]
        if place not in stated and lacking:
            raise LayoutError(
                f"a {place[0]} stands elsewhere than sensor_setup.json says",
                file=path / "sensor_setup.json",
                expected=f"the folder {stated[lacking[0]]}",
                found=f"the folder {name}",
                fix="extract the scenario again: files of two recordings were mixed",
            )


def _placed(match: re.Match[str]) -> tuple[str, str, str]:
    return match["type"], match["location"], match["rotation"]


def _sensor(path: Path, name: str, entry: dict[str, Any]) -> Sensor | None:
    match = SENSOR_FOLDER.fullmatch(name)
    if match is None:
        return None
    folder = path / name if (path / name).is_dir() else _same_place(path, match)
    if folder is None:
        return None
    places = []
    for part in ("location", "rotation"):
        stated = _triple(path, name, entry.get(part, match[part]))
        named = _triple(path, name, match[part])
        if not all(math.isclose(one, other, abs_tol=1e-6) for one, other in zip(stated, named, strict=True)):
            raise LayoutError(
                f"a {match['type']} stands elsewhere than sensor_setup.json says",
                file=path / "sensor_setup.json",
                expected=f"{part} {named}, as its folder {folder.name} is named",
                found=f"{part} {stated} in its entry",
                fix="extract the scenario again: a wrong place would shift every label",
            )
        places.append(stated)
    arguments = entry.get("args", {})
    if not isinstance(arguments, dict):
        raise LayoutError(
            f"the arguments of {name} cannot be read",
            file=path / "sensor_setup.json",
            expected="an object",
            found=repr(arguments)[:80],
            fix="extract the scenario again",
        )
    files, refused = _frames_of(folder, "npy" if "LIDAR" in match["type"] else "png")
    return Sensor(
        type=match["type"],
        folder=folder,
        location=places[0],
        rotation=places[1],
        arguments=arguments,
        files=files,
        refused=tuple(refused),
    )


def _same_place(path: Path, match: re.Match[str]) -> Path | None:
    """A folder of equal type and place whose salted hash differs from the one in ``sensor_setup.json``."""
    for child in sorted(path.iterdir()):
        other = SENSOR_FOLDER.fullmatch(child.name)
        if other and _placed(other) == _placed(match):
            return child
    return None


def _triple(path: Path, name: str, value: Any) -> tuple[float, float, float]:
    try:
        numbers = ast.literal_eval(value) if isinstance(value, str) else value
        x, y, z = (float(number) for number in numbers)
        if not all(math.isfinite(number) for number in (x, y, z)):
            raise ValueError("not finite")
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError) as error:
        raise LayoutError(
            f"the place of {name} cannot be read",
            file=path / "sensor_setup.json",
            expected="three finite numbers",
            found=repr(value)[:80],
            fix="extract the scenario again",
        ) from error
    return x, y, z


def _frames_of(folder: Path, *endings: str) -> tuple[dict[int, Path], list[tuple[Path, str]]]:
    """Frame number (the last ``_`` token) -> file; and the files that belong to no frame, with the reason.

    The first ending that the folder has counts. Two files of one number are both refused: nobody knows which is meant.
    """
    if not folder.is_dir():
        return {}, []
    found = next((files for ending in endings if (files := sorted(folder.glob(f"[!.]*.{ending}")))), [])
    by_number: dict[int, list[Path]] = {}
    refused = []
    for file in found:
        token = file.stem.rsplit("_", 1)[-1]
        if COUNTER.fullmatch(token):
            by_number.setdefault(int(token), []).append(file)
        else:
            refused.append((file, f"'{token[:40]}' is no frame counter"))
    for number, files in by_number.items():
        if len(files) > 1:
            refused += [(file, f"frame counter {number} stands on {len(files)} files") for file in files]
    return {number: files[0] for number, files in by_number.items() if len(files) == 1}, refused


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
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            continue  # a damaged configuration file says nothing; the type stays unknown, which is listed
    return "unknown", "unknown"


def _unmatched(path: Path, sensors: dict[str, Sensor], frames: list[int]) -> list[Problem]:
    """Frames that only one of camera and LiDAR has, files that belong to no frame, and labels that are missing."""
    problems, common = [], set(frames)
    for sensor in sensors.values():
        required = sensor.type in ("RGB-CAM", "LIDAR")
        for file, why in sensor.refused:
            reason = f"{why}: left out" if required else f"{why}: not read"
            problems.append(Problem(scenario=path.name, frame=None, file=str(file), reason=reason, left_out=required))
        if not required and not sensor.type.startswith("SEMANTIC"):
            continue  # depth and instance images are offered where they are there; no label hangs on them
        for number in sorted(set(sensor.files) - common) if required else []:
            reason = f"{sensor.type} frame {number} has no partner: left out"
            problems.append(Problem(scenario=path.name, frame=number, file=str(sensor.files[number]), reason=reason))
        for number in sorted(common - set(sensor.files)):
            reason = f"{sensor.type} lacks frame {number}: its label is unknown"
            file = sensor.folder
            problems.append(Problem(scenario=path.name, frame=number, file=str(file), reason=reason, left_out=False))
    for labelled in sorted({"SEMANTIC-CAM", "SEMANTIC-LIDAR"} - set(sensors)):
        reason = f"no {labelled} with the place and view of its sensor: labels are unknown"
        problems.append(Problem(scenario=path.name, frame=None, file=str(path), reason=reason, left_out=False))
    return problems
