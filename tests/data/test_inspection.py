"""``data check``: counts against a count of our own, and a planted fault for every finding."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.anovox_labels import NAMES
from veritrain.data.inspection import evenly, inspect
from veritrain.errors import ConfigError
from veritrain.worlds.driving import DrivingWorld
from veritrain.worlds.options import DrivingOptions

ANOMALOUS = [29, 30, 31, 32, 33, 34, 100]


@pytest.fixture
def world(small_world, tmp_path) -> Path:
    """One static and one normality scenario, to be damaged."""
    for kind in ("Static", "Normality"):
        setup = sorted(small_world.glob(f"AnoVox_{kind}*/*/*/sensor_setup.json"))[0]
        shutil.copytree(setup.parent, tmp_path / "world" / setup.parent.relative_to(small_world))
    return tmp_path / "world"


def names(world: Path, level: str | None = None) -> list[str]:
    found = inspect(AnoVoxFormat(world)).remarks
    return [remark.name for remark in found if level in (None, remark.level)]


def test_a_whole_world_is_usable_and_counted_as_a_loop_counts_it(small_world):
    found = inspect(AnoVoxFormat(small_world), sample=12)
    assert found.usable and found.sampled == {"of": 48, "read": 12, "broken": 0}
    assert found.pairing == {
        "both": 48, "camera_only": 0, "lidar_only": 0, "without SEMANTIC-CAM": 0, "without SEMANTIC-LIDAR": 0,
        "without VOXEL_GRID": 0,
    }  # fmt: skip
    source = AnoVoxFormat(small_world)
    pixels = dict.fromkeys(NAMES.values(), 0)
    voxels = {"anomalous": 0, "all": 0}
    for key in evenly(source.keys(), 12):
        for number, count in zip(
            *np.unique(Image.open(source.file(key, "SEMANTIC-CAM")), return_counts=True), strict=True
        ):
            pixels[NAMES[int(number)]] += int(count)
        stored = np.load(source.file(key, "VOXEL_GRID"))
        voxels["anomalous"] += int(np.isin(stored[:, 3], ANOMALOUS).sum())
        voxels["all"] += len(stored)
    assert found.classes["pixels"] == {name: count for name, count in pixels.items() if count}
    assert list(found.classes["pixels"].values()) == sorted(found.classes["pixels"].values(), reverse=True)
    assert found.labels["voxels"]["anomalous"] == voxels["anomalous"]
    assert sum(found.labels["voxels"].values()) == voxels["all"]
    assert sum(found.labels["frames"].values()) == 12
    assert found.round_trip["frames"] == {"semantic_lidar": 12}
    assert found.round_trip["iou_least"] > 0.99 and found.round_trip["label_agreement_median"] > 0.99
    assert found.files == {"ACTION": 12, "DEPTH": 12, "INSTANCE": 12, "ROUTE_MAP": 12}
    assert [remark.name for remark in found.remarks] == ["no_calibration"], "the scenario without sensor_setup.json"


def test_its_json_has_shares_and_no_nan(world):
    content = json.loads(json.dumps(inspect(AnoVoxFormat(world), sample=2).as_json(), allow_nan=False))
    assert content["format"] == "anovox" and content["usable"] is True and content["frames"] == 8
    assert sum(entry["share"] for entry in content["classes"]["points"].values()) == pytest.approx(1)


def test_both_layouts_say_the_same(small_world, small_world_2023):
    new, old = (inspect(AnoVoxFormat(path), sample=6) for path in (small_world, small_world_2023))
    assert new.labels == old.labels and new.round_trip == old.round_trip
    assert "home or airplane or falling or anomaly" in old.classes["voxels"]
    assert {remark.name for remark in old.remarks} == {"assumed", "scenarios_left_out"}


def test_more_than_one_voxel_in_twenty_anomalous_is_an_error(world):
    for file in world.rglob("VOXEL_GRID_*.npy"):
        voxels = np.load(file)
        voxels[::10, 3] = 30
        np.save(file, voxels)
    assert "anomaly_share" in names(world, "error")
    assert not inspect(AnoVoxFormat(world)).usable


def test_voxels_of_another_grid_are_an_error(world):
    for file in world.rglob("VOXEL_GRID_*.npy"):
        voxels = np.load(file)
        voxels[:, 2] += 3
        np.save(file, voxels)
    assert names(world, "error") == ["voxel_round_trip"]


def test_voxels_with_other_ids_are_told(world):
    for file in world.rglob("VOXEL_GRID_*.npy"):
        voxels = np.load(file)
        voxels[:, 3] = 3
        np.save(file, voxels)
    assert "voxel_labels" in names(world, "warning")


def test_voxels_of_the_union_with_the_depth_image_fit_too(tmp_path):
    options = DrivingOptions(scenarios=1, frames=2, height=64, width=96, voxels_from="union", broken=0)
    DrivingWorld(options).write(tmp_path / "union", workers=1)
    found = inspect(AnoVoxFormat(tmp_path / "union"))
    assert found.round_trip["frames"] == {"union": 2} and found.round_trip["iou_least"] > 0.98


def test_frames_with_one_sensor_and_missing_labels_are_counted(world):
    next(world.rglob("LIDAR(*.npy")).unlink()
    sorted(world.rglob("RGB-CAM*.png"))[-1].unlink()
    sorted(world.rglob("SEMANTIC-CAM*.png"))[1].unlink()
    found = inspect(AnoVoxFormat(world))
    assert (found.pairing["camera_only"], found.pairing["lidar_only"], found.pairing["both"]) == (1, 1, 6)
    assert found.pairing["without SEMANTIC-CAM"] == 1
    assert {"sensors_unpaired", "label_sensor_missing", "frames_left_out"} <= {remark.name for remark in found.remarks}
    assert found.usable


def test_broken_frames_are_listed_with_their_file(world):
    file = sorted(world.rglob("RGB-CAM*.png"))[2]
    file.write_bytes(file.read_bytes()[:100])
    found = inspect(AnoVoxFormat(world))
    assert found.sampled == {"of": 8, "read": 7, "broken": 1} and found.usable
    assert [remark.file for remark in found.remarks if remark.name == "frame_broken"] == [str(file)]


def test_nothing_readable_is_an_error(world):
    for file in world.rglob("RGB-CAM*.png"):
        file.write_bytes(b"")
    found = inspect(AnoVoxFormat(world))
    assert "nothing_readable" in names(world, "error") and not found.usable
    assert found.as_json()["labels"]["frames"]["normal"] == {"count": 0, "share": None}
    assert found.round_trip is None


def test_a_sensor_elsewhere_and_a_missing_calibration_have_names(world):
    setups = sorted(world.rglob("sensor_setup.json"))
    setups[0].write_text(setups[0].read_text().replace('"camera_fov": 90', '"camera_fov": 0'))
    assert "no_calibration" in names(world, "warning")
    setups[0].write_text(setups[0].read_text().replace('"camera_fov": 0', '"camera_fov": 90').replace("1.8\n", "1.9\n"))
    assert "sensor_elsewhere" in names(world, "warning")


def test_a_file_that_names_another_frame_inside(world):
    file = next(world.rglob("ACTION_*.csv"))
    number = file.stem.rsplit("_", 1)[-1]
    file.write_text(file.read_text().replace(f"frame_id ; {number}", "frame_id ; 7"))
    found = [remark for remark in inspect(AnoVoxFormat(world)).remarks if remark.name == "frame_counters"]
    assert [remark.file for remark in found] == [str(file)]


def test_one_class_and_copies_are_told(world):
    static = next(world.glob("AnoVox_Static*"))
    shutil.rmtree(static)
    assert names(world) == ["one_class"]
    scenario = next(world.rglob("sensor_setup.json")).parent
    shutil.copytree(scenario, scenario.with_name("Scenario_copy"))
    assert set(names(world)) == {"one_class", "copies"}


@pytest.mark.parametrize(("share", "level"), [(0.1, "warning"), (0.9, "error")])
def test_colours_of_no_palette_are_counted(small_world_2023, tmp_path, share, level):
    scenario = sorted(small_world_2023.glob("AnoVox_Static*/*/*/PCD"))[0].parent
    shutil.copytree(scenario, tmp_path / "world" / scenario.relative_to(small_world_2023))
    rows = int(64 * share)
    for file in (tmp_path / "world").rglob("SEMANTIC_IMG_*.png"):
        image = np.array(Image.open(file))
        image[:rows] = (1, 2, 3)
        Image.fromarray(image).save(file)
    found = inspect(AnoVoxFormat(tmp_path / "world"))
    assert found.classes["pixels"]["unknown colour"] == 4 * rows * 96
    assert [remark.level for remark in found.remarks if remark.name == "unknown_colours"] == [level]


def test_frames_are_taken_evenly(small_world):
    keys = AnoVoxFormat(small_world).keys()
    assert evenly(keys, 48) == evenly(keys, 500) == keys
    assert evenly(keys, 2) == [keys[0], keys[-1]]
    assert len(evenly(keys, 7)) == 7 and evenly(keys, 1) == keys[:1]
    with pytest.raises(ConfigError):
        inspect(AnoVoxFormat(small_world), sample=0)
