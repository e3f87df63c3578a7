"""AnoVox on disk: frames of one camera and one LiDAR with labels at point, pixel and frame level.

Source: AnoVox (arXiv 2405.07865) and its public generator. LIDAR and SEMANTIC-LIDAR are two simulated sweeps whose
rows do not correspond: a LIDAR point takes the label of the nearest SEMANTIC-LIDAR point, if that is near.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial import cKDTree

from veritrain.data.anovox_action import ActionRecord, read_action
from veritrain.data.anovox_calibration import ASSUMED, calibration, demand_calibration, demand_size
from veritrain.data.anovox_index import Problem, Scenario, index_scenario, layout_of, scenario_folders
from veritrain.data.anovox_labels import frame_label, labels_from_ids, read_anomaly
from veritrain.data.options import AnoVoxOptions
from veritrain.data.sample import UNKNOWN, Frame, FrameKey, unknown_key
from veritrain.data.sensors import (
    read_depth,
    read_instance,
    read_labelled_lidar,
    read_lidar,
    read_rgb,
    read_route,
    read_semantic,
    read_voxels,
)
from veritrain.errors import BrokenFileError, DataError, LayoutError

DECODER_VERSION = 3
"""Part of every cache key: raise it when the same files would give other frames."""


READ_SENSORS = ("LIDAR", "RGB-CAM", "SEMANTIC-CAM", "SEMANTIC-LIDAR")
"""The sensors that a frame is made of."""


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What a data set holds and what was left out.

    Attributes:
        layout: "2024" or "2023".
        assumed: what the files do not say and the reader takes for granted, in sentences.
        scenarios: number of readable scenarios.
        frames: number of frames with both sensors.
        by_type: scenario type -> (scenarios, frames).
        by_town: town -> (scenarios, frames).
        by_scenario: group -> frames.
        skipped_scenarios: scenarios that cannot be read, with file and reason.
        skipped_frames: frames that were left out, with file and reason.
        unlabelled: labels that are missing (their level is UNKNOWN), with file and reason.
    """

    layout: str
    assumed: list[str]
    scenarios: int
    frames: int
    by_type: dict[str, tuple[int, int]]
    by_town: dict[str, tuple[int, int]]
    by_scenario: dict[str, int]
    skipped_scenarios: list[Problem]
    skipped_frames: list[Problem]
    unlabelled: list[Problem]


class AnoVoxFormat:
    """AnoVox: camera and LiDAR frames of driving scenarios with semantic ids, in the 2024 or the 2023 layout.

    Args:
        path: a folder that holds archives, one archive, one ``Final_Output_*`` folder or one scenario.
        options: labels, image size, the policy for broken parts, and which layout.

    Raises:
        LayoutError: no scenario below ``path``; scenarios of both layouts and no word on which; or with
            ``on_broken="error"`` a scenario or frame that does not fit.
    """

    def __init__(self, path: Path | str, options: AnoVoxOptions | None = None) -> None:
        self.path = Path(path)
        self.options = options or AnoVoxOptions()
        self.skipped: list[Problem] = []
        self.scenarios: dict[str, Scenario] = {}
        folders = scenario_folders(self.path) if self.path.is_dir() else []
        self.layout = self._agreed_layout(folders)
        for folder in folders:
            self._take(folder)
        if not self.scenarios:
            raise LayoutError(
                "no readable AnoVox scenario",
                file=self.path,
                expected="folders Scenario_<id> with sensor_setup.json (or RGB_IMG and PCD), up to three levels below",
                found=f"{len(folders)} scenario folders"
                + (f"; the first: {self.skipped[0].reason}" if folders else ""),
                fix="give the folder that holds the extracted archives; `veritrain data make driving OUT` makes one",
            )

    @staticmethod
    def recognises(path: Path | str) -> bool:
        """Whether ``path`` holds a scenario with a ``sensor_setup.json``, or with RGB_IMG and PCD: by content."""
        folder = Path(path)
        return folder.is_dir() and any(
            (one / "sensor_setup.json").is_file() or ((one / "RGB_IMG").is_dir() and (one / "PCD").is_dir())
            for one in scenario_folders(folder)
        )

    def keys(self) -> list[FrameKey]:
        """All frames with both sensors, sorted by group and frame number."""
        return [
            FrameKey(id=f"{group}/{number}", group=group, kind=scenario.kind, index=index)
            for group, scenario in sorted(self.scenarios.items())
            for index, number in enumerate(scenario.frames)
        ]

    def only(self, group: str) -> AnoVoxFormat:
        """The same data set with one scenario: what a worker process needs of a large index."""
        part = copy(self)
        part.scenarios = {group: self.scenarios[group]}
        return part

    def read(self, key: FrameKey) -> Frame:
        """One frame with its labels.

        Raises:
            BrokenFileError: one of its files is not what it must be.
        """
        scenario, number = self._locate(key)
        image, pixel_ids = self._image(scenario, number), self._pixel_ids(scenario, number)
        if pixel_ids is not None and pixel_ids.shape != image.shape[:2]:
            raise BrokenFileError(
                "image and pixel labels differ in size",
                file=scenario.sensors["SEMANTIC-CAM"].files[number],
                expected=f"{image.shape[:2]} as the image",
                found=str(pixel_ids.shape),
                fix="extract the scenario again",
            )
        points = read_lidar(scenario.sensors["LIDAR"].files[number])
        labelled = self._labelled_cloud(scenario, number)
        if number in scenario.others["ANOMALY"]:
            read_anomaly(
                scenario.others["ANOMALY"][number]
            )  # a damaged label file makes a broken frame, never a normal one
        point_ids = None if labelled is None else labelled[:, 3]
        near = ids_of_points(points, labelled, self.options.point_radius)
        size = (image.shape[0], image.shape[1])
        geometry = calibration(scenario.sensors["RGB-CAM"], scenario.sensors["LIDAR"], size, self.options)
        pixel_labels = np.full(image.shape[:2], UNKNOWN, np.int8) if pixel_ids is None else labels_from_ids(pixel_ids)
        image, pixel_labels = self._resized(image, pixel_labels)
        return Frame(
            id=key.id,
            group=key.group,
            kind=key.kind,
            image=image,
            points=points,
            frame_label=frame_label(point_ids, pixel_ids, self.options.minimum_visible),
            point_labels=labels_from_ids(near),
            point_ids=near,
            pixel_labels=pixel_labels,
            calibration=geometry,
        )

    def read_voxels(self, key: FrameKey) -> tuple[NDArray[np.uint16], NDArray[np.int8]] | None:
        """Stored voxels (M, 4) uint16 vx, vy, vz, id, and their labels (M,) int8 of 1, 0, UNKNOWN; None without a file.

        Raises:
            BrokenFileError: the file is not what it must be.
        """
        file = self.file(key, "VOXEL_GRID")
        if file is None:
            return None
        voxels = read_voxels(file)
        return voxels, labels_from_ids(voxels[:, 3])

    def read_ids(self, key: FrameKey) -> tuple[NDArray[np.uint8] | None, NDArray[np.float64] | None]:
        """(H, W) uint8 ids of the semantic image and (M, 4) float64 x, y, z, id of SEMANTIC-LIDAR, as stored.

        Each is None where the frame has no such file. Colours of the 2023 layout are ids here.

        Raises:
            BrokenFileError: a file is not what it must be.
        """
        scenario, number = self._locate(key)
        return self._pixel_ids(scenario, number), self._labelled_cloud(scenario, number)

    def read_depth(self, key: FrameKey) -> NDArray[np.float32] | None:
        """(H, W) float32 metres along the viewing axis at the camera's place; None without a file.

        Raises:
            BrokenFileError: the file is not what it must be.
        """
        file = self.file(key, "DEPTH_CAM")
        return None if file is None else read_depth(file)

    def read_instance(self, key: FrameKey) -> tuple[NDArray[np.uint8], NDArray[np.int32]] | None:
        """(H, W) uint8 ids and (H, W) int32 object numbers at the camera's place; None without a file.

        Raises:
            BrokenFileError: the file is not what it must be.
        """
        file = self.file(key, "INSTANCE-CAM")
        return None if file is None else read_instance(file)

    def read_route(self, key: FrameKey) -> NDArray[np.bool_] | None:
        """(192, 192) bool map of the ego's route from above; None without a file.

        Raises:
            BrokenFileError: the file is not what it must be.
        """
        file = self.file(key, "ROUTE_MAP")
        return None if file is None else read_route(file)

    def read_action(self, key: FrameKey) -> ActionRecord | None:
        """What the ego vehicle does; None without a file.

        Raises:
            BrokenFileError: the file is not what it must be.
        """
        file = self.file(key, "ACTION")
        return None if file is None else read_action(file)

    def file(self, key: FrameKey, kind: str) -> Path | None:
        """The file of a frame: ``kind`` is a 2024 sensor type or ANOMALY, ACTION, ROUTE_MAP, VOXEL_GRID."""
        scenario, number = self._locate(key)
        if kind in scenario.others:
            return scenario.others[kind].get(number)
        sensor = scenario.sensors.get(kind)
        return None if sensor is None else sensor.files.get(number)

    def scenario(self, key: FrameKey) -> Scenario:
        """The scenario that a frame belongs to."""
        return self._locate(key)[0]

    def read_pixel_ids(self, key: FrameKey) -> NDArray[np.uint8] | None:
        """(H, W) uint8 semantic ids of the camera's pixels, at the size of the frame's image; None without a file.

        For evaluation: which pixels lie on objects. Raises BrokenFileError as :meth:`read` does.
        """
        scenario, number = self._locate(key)
        ids = self._pixel_ids(scenario, number)
        if ids is None or self.options.image_height is None or self.options.image_width is None:
            return ids
        size = (self.options.image_width, self.options.image_height)
        return np.asarray(Image.fromarray(ids).resize(size, Image.Resampling.NEAREST))

    def anomaly_values(self, key: FrameKey) -> dict[str, str]:
        """The ``key ; value`` pairs of the frame's ANOMALY file, empty without one; for evaluation."""
        file = self.file(key, "ANOMALY")
        return {} if file is None else read_anomaly(file).values

    def lidar_location(self, key: FrameKey) -> tuple[float, float, float]:
        """Where the frame's LiDAR sits, metres, as ``sensor_setup.json`` says."""
        return self._locate(key)[0].sensors["LIDAR"].location

    def content_hash(self, key: FrameKey) -> str:
        """sha256 of what the sensors measured (pixels and points), to find copies under other names."""
        scenario, number = self._locate(key)
        image = self._image(scenario, number)
        return sensor_hash(image, read_lidar(scenario.sensors["LIDAR"].files[number]))

    def file_hash(self, key: FrameKey) -> str:
        """sha256 over the bytes of all files of a frame, the options and the decoder's version: a cache key."""
        scenario, number = self._locate(key)
        digest = hashlib.sha256(f"anovox {DECODER_VERSION} {self.options!r} {key!r}".encode())
        for file in self._files(scenario, number):
            content = file.read_bytes()
            digest.update(f"{file.name} {len(content)}\n".encode())
            digest.update(content)
        if scenario.layout == "2024":
            digest.update((scenario.path / "sensor_setup.json").read_bytes())
        return digest.hexdigest()

    def inventory(self) -> Inventory:
        """Counts per type, town and scenario, and everything that was left out, with file and reason."""
        frames = {group: len(scenario.frames) for group, scenario in sorted(self.scenarios.items())}
        noted = [problem for scenario in self.scenarios.values() for problem in scenario.problems]
        return Inventory(
            layout=self.layout,
            assumed=[ASSUMED] if self.layout == "2023" else [],
            scenarios=len(frames),
            frames=sum(frames.values()),
            by_type=self._counts("kind"),
            by_town=self._counts("town"),
            by_scenario=frames,
            skipped_scenarios=list(self.skipped),
            skipped_frames=[problem for problem in noted if problem.left_out],
            unlabelled=[problem for problem in noted if not problem.left_out],
        )

    def _agreed_layout(self, folders: list[Path]) -> str:
        """The layout to read: as asked for, or the one that all scenarios have."""
        if self.options.layout != "auto":
            return self.options.layout
        seen: dict[str, list[Path]] = {}
        for folder in folders:
            try:
                layout = layout_of(folder)
            except LayoutError:
                continue  # both kinds in one scenario: told where the scenario is taken
            if layout is not None:
                seen.setdefault(layout, []).append(folder)
        if len(seen) > 1:
            raise LayoutError(
                "scenarios of both layouts lie here",
                file=self.path,
                expected="one layout",
                found="; ".join(f"{len(those)} of {name}, the first {those[0]}" for name, those in seen.items()),
                fix="give the folder of one of them, or say which is meant: --layout 2024 or --layout 2023",
            )
        return next(iter(seen), "2024")

    def _take(self, folder: Path) -> None:
        try:
            if layout_of(folder) not in (self.layout, None):
                reason = f"another layout than {self.layout}, which was asked for"
                self.skipped.append(Problem(scenario=folder.name, frame=None, file=str(folder), reason=reason))
                return
            scenario = index_scenario(folder)
            self._demand_whole(scenario)
        except DataError as error:
            if self.options.on_broken == "error":
                raise
            place = error.file or str(folder)
            self.skipped.append(Problem(scenario=folder.name, frame=None, file=place, reason=error.message))
            return
        if scenario.group in self.scenarios:
            raise LayoutError(
                "one scenario lies here twice",
                file=folder,
                expected="each town and scenario once",
                found=f"also at {self.scenarios[scenario.group].path}",
                fix="remove one copy: it would count as two groups",
            )
        self.scenarios[scenario.group] = scenario

    def _demand_whole(self, scenario: Scenario) -> None:
        demand_calibration(scenario.sensors["RGB-CAM"])
        left_out = [problem for problem in scenario.problems if problem.left_out]
        if left_out and self.options.on_broken == "error":
            raise LayoutError(
                f"{len(left_out)} frames do not match across sensors",
                file=left_out[0].file,
                expected="equal frame numbers in RGB-CAM and LIDAR",
                found=left_out[0].reason,
                fix="extract the scenario again, or read with --on_broken skip",
            )

    def _locate(self, key: FrameKey) -> tuple[Scenario, int]:
        scenario = self.scenarios.get(key.group)
        if scenario is None or not 0 <= key.index < len(scenario.frames):
            raise unknown_key(self.path, "frame", key)
        return scenario, scenario.frames[key.index]

    def _files(self, scenario: Scenario, number: int) -> list[Path]:
        """What :meth:`read` reads; depth and instance images are not among it."""
        sensors = [scenario.sensors[kind] for kind in READ_SENSORS if kind in scenario.sensors]
        files = [sensor.files[number] for sensor in sensors if number in sensor.files]
        anomaly = scenario.others["ANOMALY"]
        return files + ([anomaly[number]] if number in anomaly else [])

    def _image(self, scenario: Scenario, number: int) -> NDArray[np.uint8]:
        sensor = scenario.sensors["RGB-CAM"]
        image = read_rgb(sensor.files[number])
        demand_size(sensor, sensor.files[number], (image.shape[0], image.shape[1]))
        return image

    def _pixel_ids(self, scenario: Scenario, number: int) -> NDArray[np.uint8] | None:
        sensor = scenario.sensors.get("SEMANTIC-CAM")
        return None if sensor is None or number not in sensor.files else read_semantic(sensor.files[number])

    def _labelled_cloud(self, scenario: Scenario, number: int) -> NDArray[np.float64] | None:
        sensor = scenario.sensors.get("SEMANTIC-LIDAR")
        return None if sensor is None or number not in sensor.files else read_labelled_lidar(sensor.files[number])

    def _resized(
        self, image: NDArray[np.uint8], labels: NDArray[np.int8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
        """Image by area means, labels by nearest pixel: a mean of labels is no label."""
        if self.options.image_height is None or self.options.image_width is None:
            return image, labels
        size = (self.options.image_width, self.options.image_height)
        smaller = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
        moved = Image.fromarray((labels + 1).astype(np.uint8)).resize(size, Image.Resampling.NEAREST)
        return smaller, np.asarray(moved).astype(np.int8) - np.int8(1)

    def _counts(self, attribute: str) -> dict[str, tuple[int, int]]:
        scenarios: Counter[str] = Counter()
        frames: Counter[str] = Counter()
        for scenario in self.scenarios.values():
            scenarios[getattr(scenario, attribute)] += 1
            frames[getattr(scenario, attribute)] += len(scenario.frames)
        return {name: (scenarios[name], frames[name]) for name in sorted(scenarios)}


def ids_of_points(
    points: NDArray[np.float32], labelled: NDArray[np.float64] | None, radius: float
) -> NDArray[np.int32]:
    """(N,) semantic ids of LIDAR rows: that of the nearest labelled point within ``radius`` metres, else UNKNOWN.

    Args:
        points: (N, 4) LIDAR.
        labelled: (M, 4) SEMANTIC-LIDAR with ids, or None where it is missing.
        radius: metres.
    """
    if labelled is None or len(labelled) == 0:
        return np.full(len(points), UNKNOWN, dtype=np.int32)
    distance, nearest = cKDTree(labelled[:, :3]).query(points[:, :3], distance_upper_bound=radius)
    ids = np.append(labelled[:, 3], UNKNOWN)[nearest]
    return np.where(np.isfinite(distance), ids, UNKNOWN).astype(np.int32)


def sensor_hash(image: NDArray[np.uint8], points: NDArray[np.float32]) -> str:
    """sha256 over shapes and bytes of an image and a cloud."""
    digest = hashlib.sha256(f"{image.shape} {points.shape}".encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    digest.update(np.ascontiguousarray(points).tobytes())
    return digest.hexdigest()
