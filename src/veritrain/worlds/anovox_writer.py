"""Writes rendered scenarios as AnoVox's generator does (arXiv 2405.07865): 2024 archives, or the 2023 sample's layout.

Folders, file names, types, the y-negated (right-handed) points, the two separate sweeps, the ``key ; value`` files
and the sparse voxels follow the published format.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from veritrain.data.pcd import write_pcd
from veritrain.worlds import anovox_2023
from veritrain.worlds.anovox_setup import LOCATION, archive_name, folder_name, output_name, sensor_setup
from veritrain.worlds.options import DrivingOptions
from veritrain.worlds.plan import ScenarioPlan
from veritrain.worlds.render import Moment, Scene, build_scene, render
from veritrain.worlds.voxel_grid import depth_cloud, voxel_grid

ROUTE_SIZE, ROUTE_SCALE, ROUTE_EGO = 192, 5, 40
"""ROUTE_MAP: pixels a side, pixels per metre, pixels of the ego above the bottom."""


def scenario_folder(out: Path, plan: ScenarioPlan, options: DrivingOptions) -> Path:
    """Where a scenario lies: ``OUT/AnoVox_<Type>_Mono_<Town>/Final_Output_<date>/Scenario_<uuid4>``."""
    return out / archive_name(plan) / output_name(options) / f"Scenario_{plan.id}"


def write_scenario(out: Path, plan: ScenarioPlan, options: DrivingOptions) -> list[tuple[int, int]]:
    """Renders and writes one scenario; returns per frame (anomalous points, anomalous pixels)."""
    folder = scenario_folder(out, plan, options)
    folder.mkdir(parents=True)
    if options.layout == "2024":
        _write_json(folder / "sensor_setup.json", sensor_setup(plan, options))
    scene = build_scene(plan, options)
    counts = []
    for frame in range(options.frames):
        moment = render(scene, options, frame)
        _write_frame(folder, scene, moment, options, frame)
        counts.append(_visible(moment))
    return counts


def write_broken_scenario(out: Path, plan: ScenarioPlan, options: DrivingOptions) -> None:
    """A scenario whose generator died: images without ``sensor_setup.json``, as one published scenario is; in the 2023
    layout, which has no such file, images without clouds."""
    folder = scenario_folder(out, plan, options)
    moment = render(build_scene(plan, options), options, 0)
    name = "RGB_IMG" if options.layout == "2023" else folder_name("RGB-CAM", plan, options)
    path = _file(folder, name, plan.first_counter, "png")
    _save_image(path, moment.image)


def _write_frame(folder: Path, scene: Scene, moment: Moment, options: DrivingOptions, frame: int) -> None:
    plan = scene.plan
    number = plan.first_counter + frame
    if options.layout == "2023":
        _write_sensors_2023(folder, moment, number)
    else:
        _write_sensors(folder, plan, moment, options, number)
    np.save(_file(folder, "VOXEL_GRID", number, "npy"), _voxels(moment, options))
    action = _vehicle_pairs(plan, number, "ego", moment.ego, speed=plan.speed * 36.0, brake=0.0)
    _write_pairs(_file(folder, "ACTION", number, "csv"), action)
    if plan.kind != "normality":
        _write_pairs(_file(folder, "ANOMALY", number, "csv"), _anomaly_pairs(scene, moment, number, frame))


def _write_sensors(folder: Path, plan: ScenarioPlan, moment: Moment, options: DrivingOptions, number: int) -> None:
    images = {
        "RGB-CAM": moment.image,
        "DEPTH_CAM": encode_depth(moment.depth),
        "SEMANTIC-CAM": moment.semantic,
        "INSTANCE-CAM": _encode_instances(moment),
    }
    for kind, image in images.items():
        _save_image(_file(folder, folder_name(kind, plan, options), number, "png"), image)
    clouds: dict[str, NDArray[Any]] = {"LIDAR": moment.lidar, "SEMANTIC-LIDAR": moment.semantic_lidar}
    for kind, cloud in clouds.items():
        np.save(_file(folder, folder_name(kind, plan, options), number, "npy"), cloud)
    _save_image(_file(folder, "ROUTE_MAP", number, "png"), _route_map(moment))


def _write_sensors_2023(folder: Path, moment: Moment, number: int) -> None:
    for name, image in anovox_2023.images(moment, encode_depth(moment.depth)).items():
        _save_image(_file(folder, name, number, "png"), image)
    for name, columns in anovox_2023.clouds(moment).items():
        write_pcd(_file(folder, name, number, "pcd"), columns)


def encode_depth(depth: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 of (H, W) metres: metres = 1000 (R + 256 G + 65536 B) / (2^24 - 1)."""
    coded = np.rint(np.clip(depth, 0, 1000) / 1000 * (2**24 - 1)).astype(np.int64)
    return np.stack([coded % 256, coded // 256 % 256, coded // 65536], axis=-1).astype(np.uint8)


def _encode_instances(moment: Moment) -> NDArray[np.uint8]:
    """CARLA's instance image: class in red, object number in green and blue."""
    number = moment.instance
    return np.stack([moment.semantic.astype(np.int64), number % 256, number // 256], axis=-1).astype(np.uint8)


def _voxels(moment: Moment, options: DrivingOptions) -> NDArray[np.uint16]:
    clouds = [moment.semantic_lidar]
    if options.voxels_from == "union":
        clouds.append(depth_cloud(moment.depth, moment.semantic, options.width / 2))
    voxels = voxel_grid(clouds)
    return anovox_2023.voxels_by_colour(voxels) if options.layout == "2023" else voxels


def _route_map(moment: Moment) -> NDArray[np.uint8]:
    picture = Image.new("L", (ROUTE_SIZE, ROUTE_SIZE), 0)
    column = ROUTE_SIZE / 2 + moment.ego[1] * ROUTE_SCALE  # the lane's centre seen from the ego; left is left
    ImageDraw.Draw(picture).line([(column, 0), (column, ROUTE_SIZE - ROUTE_EGO)], fill=255, width=8)
    return np.asarray(picture)


def _anomaly_pairs(scene: Scene, moment: Moment, number: int, frame: int) -> dict[str, Any]:
    plan, alive = scene.plan, scene.plan.is_alive(frame)
    if plan.kind == "sudden_braking":  # the vehicle's key set, which has no liveness key
        speed, brake = (plan.speed * 20.0, 1.0) if alive else (plan.speed * 36.0, 0.0)
        place = moment.ego + np.array([10.0, 0.0, 0.0])
        return _vehicle_pairs(plan, number, str(scene.lead), place, speed=speed, brake=brake)
    boxes = scene.boxes.where(scene.boxes.instance == scene.oddity)
    size = float(2 * boxes.half.max())
    return {
        "frame_id": number,
        "scenario_id": plan.id,
        "anomaly_id": scene.oddity,
        "anomaly_type_id": "static.prop.made",
        "anomaly_is_alive": alive,
        "semantic_tags": [int(boxes.semantic[0])],
        "location": [round(float(plan.spot[0]), 4), round(-float(plan.spot[1]), 4), 0.0],
        "velocity": [0.0, 0.0, 0.0],
        "acceleration": [0.0, 0.0, 0.0],
        "size": "big" if size > 2.5 else "medium" if size > 1.5 else "small",
        "role_name": "anomaly",
    }


def _vehicle_pairs(
    plan: ScenarioPlan, number: int, vehicle: str, place: NDArray[np.float64], *, speed: float, brake: float
) -> dict[str, Any]:
    pose = np.eye(4)
    pose[:3, 3] = place * np.array([1.0, -1.0, 1.0]) + np.array(LOCATION, dtype=np.float64)
    forth, back = pose.round(6).tolist(), np.linalg.inv(pose).round(6).tolist()
    wheels = {f"max_steer_angle_{wheel}": 70.0 if wheel < 2 else 0.0 for wheel in range(4)}
    tyres = {f"tire_friction_{wheel}": 3.5 for wheel in range(4)}
    return {
        "frame_id": number,
        "scenario_id": plan.id,
        "vehicle_id": vehicle,
        "vehicle_type_id": "vehicle.made.car",
        "speed (km/h)": round(speed, 4),
        "throttle": 0.0 if brake else 0.5,
        "steer": 0.0,
        "brake": brake,
        "hand_brake": False,
        "reverse": False,
        "gear": 3,
        "max_rpm": 5800.0,
        "final_ratio": 4.0,
        "mass": 1800.0,
        "center_of_mass": [0.45, 0.0, -0.3],
        "steering_curve": [[0.0, 1.0], [120.0, 0.8]],
        **wheels,
        **tyres,
        "camera_transformation_matrix": forth,
        "camera_inverse_transformation_matrix": back,
        "lidar_transformation_matrix": forth,
        "lidar_inverse_transformation_matrix": back,
    }


def _visible(moment: Moment) -> tuple[int, int]:
    anomalous = np.array([29, 30, 31, 32, 33, 34, 100])
    points = int(np.isin(moment.semantic_lidar[:, 3], anomalous).sum())
    return points, int(np.isin(moment.semantic, anomalous).sum())


def _file(folder: Path, name: str, number: int, ending: str) -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    return folder / name / f"{name}_{number}.{ending}"


def _save_image(path: Path, image: NDArray[np.uint8]) -> None:
    Image.fromarray(image).save(path, compress_level=4)


def _write_pairs(path: Path, pairs: dict[str, Any]) -> None:
    path.write_text("".join(f"{key} ; {value}\n" for key, value in pairs.items()), encoding="utf-8")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
