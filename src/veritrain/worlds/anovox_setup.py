"""Names, sensor set-ups and configuration files of AnoVox's layout (arXiv 2405.07865, sections on the generator)."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta
from typing import Any

from veritrain.worlds.options import DENSITIES, DrivingOptions
from veritrain.worlds.plan import ScenarioPlan
from veritrain.worlds.render import LOWER_FOV, NOISE_STDDEV, UPPER_FOV

LOCATION = (0, 0, 1.8)
ROTATION = (0, 0, 0)
CAMERAS = ("RGB-CAM", "DEPTH_CAM", "SEMANTIC-CAM", "INSTANCE-CAM")
LIDARS = ("LIDAR", "SEMANTIC-LIDAR")
ARCHIVE_TYPES = {"normality": "Normality", "static": "Static", "sudden_braking": "Dynamic"}
CONFIG_TYPES = {
    "normality": "NORMALITY",
    "static": "STATIC",
    "sudden_braking": "SUDDEN_BREAKING_OF_VEHICLE_AHEAD",
}


def archive_name(plan: ScenarioPlan) -> str:
    """As the published archives are named: one folder per type and town."""
    return f"AnoVox_{ARCHIVE_TYPES[plan.kind]}_Mono_{plan.town}"


def output_name(options: DrivingOptions) -> str:
    """``Final_Output_<date>`` with a date that the seed fixes: the clock would make each copy another one."""
    moment = datetime(2024, 3, 1) + timedelta(minutes=options.seed * 7919 % 400_000)
    return f"Final_Output_{moment:%Y_%m_%d-%H_%M}"


def sensor_arguments(kind: str, options: DrivingOptions) -> dict[str, Any]:
    """The ``args`` of a sensor in ``sensor_setup.json``."""
    if kind in CAMERAS:
        return {"image_height": options.height, "image_width": options.width, "camera_fov": 90}
    channels, points_per_second, rotation_frequency = DENSITIES[options.density]
    return {
        "range": 100,
        "upper_fov": UPPER_FOV,
        "lower_fov": LOWER_FOV,
        "channels": channels,
        "rotation_frequency": rotation_frequency,
        "points_per_second": points_per_second,
        "noise_stddev": NOISE_STDDEV,
        "dropoff_general_rate": 0.0,
        "dropoff_intensity_limit": 0.0,
        "dropoff_zero_intensity": 0.0,
    }


def folder_name(kind: str, plan: ScenarioPlan, options: DrivingOptions) -> str:
    """``<type><location><rotation>_<hash>``; the hash is salted per scenario as Python's is per process."""
    arguments = json.dumps([kind, sensor_arguments(kind, options)], sort_keys=True)
    digest = hashlib.sha256(f"{plan.salt} {arguments}".encode()).digest()
    return f"{kind}{LOCATION}{ROTATION}_{int.from_bytes(digest[:8], 'big') >> 2}"


def sensor_setup(plan: ScenarioPlan, options: DrivingOptions) -> dict[str, Any]:
    """The content of ``sensor_setup.json``."""
    return {
        folder_name(kind, plan, options): {
            "sensor_type": kind,
            "file_ending": ".png" if kind in CAMERAS else ".npy",
            "location": list(LOCATION),
            "rotation": list(ROTATION),
            "args": sensor_arguments(kind, options),
            "save_data": True,
        }
        for kind in CAMERAS + LIDARS
    }


def configuration(town: str, plans: list[ScenarioPlan]) -> dict[str, Any]:
    """The JSON of ``Scenario_Configuration_Files`` for one map."""
    return {"scenario_definition": {"map": town, "scenarios": [_scenario_entry(plan) for plan in plans]}}


def _scenario_entry(plan: ScenarioPlan) -> dict[str, Any]:
    return {
        "anomaly_config": {
            "anomalytype": CONFIG_TYPES[plan.kind],
            "anomaly_bp_name": None if plan.kind == "normality" else f"{plan.kind}.made",
            "distance_to_waypoint": round(plan.spot[0], 3),
            "rotation": 0.0,
        },
        "id": plan.id,
        "ego_spawnpoint": {"x": 0.0, "y": plan.ego_y, "z": 0.0},
        "ego_end_spawnpoint": {"x": 150.0, "y": plan.ego_y, "z": 0.0},
        "ego_route": [[float(x), plan.ego_y] for x in range(0, 151, 10)],
        "weather_preset": plan.weather.name,
        "npc_vehicle_amount": 3,
        "npc_walker_amount": 5,
    }
