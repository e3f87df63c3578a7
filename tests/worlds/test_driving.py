"""The written world: AnoVox's layout to the letter, and equal bytes for equal options."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veritrain.errors import StorageError, UsageError
from veritrain.worlds.driving import SIDECAR, DrivingWorld
from veritrain.worlds.options import DrivingOptions

TINY = DrivingOptions(scenarios=6, frames=2, height=48, width=64, seed=11)
TUPLE = r"\([-\d., ]+\)"


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def scenarios(world: Path) -> list[Path]:
    return sorted(path.parent for path in world.glob("*/*/*/sensor_setup.json"))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("tiny") / "world"
    DrivingWorld(TINY).write(out, workers=1)
    return out


class TestBytes:
    def test_two_processes_write_what_one_writes(self, tiny, tmp_path):
        DrivingWorld(TINY).write(tmp_path / "again", workers=2)
        assert digests(tmp_path / "again") == digests(tiny)

    def test_another_interpreter_with_another_hash_seed_writes_the_same(self, tiny, tmp_path):
        code = (
            "from veritrain.worlds.driving import DrivingWorld; from veritrain.worlds.options import DrivingOptions;"
            f"DrivingWorld({TINY!r}).write({str(tmp_path / 'other')!r}, workers=1)"
        )
        environment = {"PYTHONHASHSEED": "77", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
        assert digests(tmp_path / "other") == digests(tiny)

    def test_another_seed_writes_another_world(self, tiny, tmp_path):
        DrivingWorld(replace(TINY, seed=12, scenarios=2)).write(tmp_path / "other", workers=1)
        mine, theirs = (
            {digest for name, digest in digests(folder).items() if "LIDAR" in name or "RGB" in name}
            for folder in (tiny, tmp_path / "other")
        )
        assert mine.isdisjoint(theirs)


class TestLayout:
    def test_archives_and_scenarios_are_named_as_published(self, small_world):
        for scenario in scenarios(small_world):
            archive, output, name = scenario.relative_to(small_world).parts
            assert re.fullmatch(r"AnoVox_(Normality|Static|Dynamic)_Mono_Town\d\d", archive)
            assert re.fullmatch(r"Final_Output_\d{4}_\d\d_\d\d-\d\d_\d\d", output)
            assert re.fullmatch(r"Scenario_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", name)

    def test_sensor_folders_and_files_follow_the_pattern(self, small_world):
        types = "RGB-CAM|DEPTH_CAM|SEMANTIC-CAM|INSTANCE-CAM|LIDAR|SEMANTIC-LIDAR"
        for scenario in scenarios(small_world):
            setup = json.loads((scenario / "sensor_setup.json").read_text())
            assert len(setup) == 6
            for name, entry in setup.items():
                assert re.fullmatch(rf"({types}){TUPLE}{TUPLE}_\d+", name)
                assert set(entry) == {"sensor_type", "file_ending", "location", "rotation", "args", "save_data"}
                files = list((scenario / name).iterdir())
                assert len(files) == 4
                assert all(re.fullmatch(re.escape(name) + rf"_\d+\{entry['file_ending']}", f.name) for f in files)

    def test_folder_hashes_differ_between_scenarios_and_sensors(self, small_world):
        names = [path.name for scenario in scenarios(small_world) for path in scenario.glob("*CAM(*")]
        hashes = [name.rsplit("_", 1)[-1] for name in names]
        assert len(set(hashes)) == len(hashes) == 48

    def test_frame_counters_start_anywhere_and_are_shared_by_all_folders(self, small_world):
        firsts = set()
        for scenario in scenarios(small_world):
            numbers = {
                folder.name: sorted(int(file.stem.rsplit("_", 1)[-1]) for file in folder.iterdir())
                for folder in scenario.iterdir()
                if folder.is_dir()
            }
            assert len({tuple(found) for found in numbers.values()}) == 1
            firsts.add(next(iter(numbers.values()))[0])
        assert min(firsts) > 0
        assert len(firsts) > 6

    def test_the_configuration_folder_is_there_and_one_scenario_is_broken(self, small_world):
        assert all((folder / "Scenario_Configuration_Files").is_dir() for folder in small_world.glob("*/*"))
        named = [path for path in small_world.glob("*/*/Scenario_*") if "Configuration" not in path.name]
        broken = [path for path in named if not (path / "sensor_setup.json").exists()]
        assert (len(named), len(broken)) == (13, 1)

    def test_arrays_and_images_have_the_published_types(self, small_world):
        scenario = scenarios(small_world)[0]

        def first(pattern):
            return sorted(scenario.glob(pattern))[0]

        lidar, labelled = np.load(first("LIDAR(*/*")), np.load(first("SEMANTIC-LIDAR(*/*"))
        voxels = np.load(first("VOXEL_GRID/*"))
        assert (lidar.dtype, labelled.dtype, voxels.dtype) == (np.float32, np.float64, np.uint16)
        assert lidar.shape[1] == labelled.shape[1] == voxels.shape[1] == 4
        assert len(lidar) != len(labelled)
        assert 0 < lidar[:, 3].min() <= lidar[:, 3].max() <= 1
        assert Image.open(first("RGB-CAM*/*")).mode == Image.open(first("DEPTH_CAM*/*")).mode == "RGB"
        assert Image.open(first("SEMANTIC-CAM*/*")).mode == Image.open(first("ROUTE_MAP/*")).mode == "L"
        assert Image.open(first("ROUTE_MAP/*")).size == (192, 192)

    def test_points_are_right_handed(self, small_world):
        """The pavement is nearer on the right (y < 0), and pixels left of the middle see y > 0."""
        for scenario in scenarios(small_world)[:3]:
            cloud = np.load(sorted(scenario.glob("SEMANTIC-LIDAR(*/*"))[0])
            pavement = cloud[(cloud[:, 3] == 2) & (np.abs(cloud[:, 0]) < 10)]
            assert np.abs(pavement[pavement[:, 1] < 0, 1]).min() < np.abs(pavement[pavement[:, 1] > 0, 1]).min()


class TestOlderLayout:
    def test_folders_and_files_follow_the_pattern_of_the_sample(self, small_world_2023):
        folders = {"RGB_IMG", "DEPTH_IMG", "SEMANTIC_IMG", "PCD", "SEMANTIC_PCD", "VOXEL_GRID", "ACTION", "ANOMALY"}
        whole = [path.parent for path in small_world_2023.glob("*/*/*/PCD")]
        assert len(whole) == 12
        for scenario in whole:
            found = {path.name for path in scenario.iterdir()}
            assert found == (folders - {"ANOMALY"} if "Normality" in str(scenario) else folders)
            for folder in scenario.iterdir():
                files = list(folder.iterdir())
                assert len(files) == 4
                assert all(re.fullmatch(rf"{folder.name}_\d+\.(png|pcd|npy|csv)", file.name) for file in files)

    def test_anomalies_are_painted_in_the_colour_of_the_sample(self, small_world_2023):
        colours = set()
        for file in small_world_2023.glob("AnoVox_Dynamic*/*/*/SEMANTIC_IMG/*.png"):
            colours |= {tuple(colour) for colour in np.asarray(Image.open(file)).reshape(-1, 3)}
        assert (245, 0, 0) in colours and (128, 64, 128) in colours


class TestPairs:
    def pairs(self, file):
        return dict(line.split(" ; ", 1) for line in file.read_text().splitlines())

    def test_a_static_anomaly_says_whether_it_is_alive(self, small_world):
        for file in small_world.glob("AnoVox_Static*/*/*/ANOMALY/*.csv"):
            pairs = self.pairs(file)
            assert list(pairs)[:5] == [
                "frame_id",
                "scenario_id",
                "anomaly_id",
                "anomaly_type_id",
                "anomaly_is_alive",
            ]
            assert pairs["anomaly_is_alive"] in ("True", "False")

    def test_a_braking_vehicle_has_the_keys_of_action_and_no_liveness(self, small_world):
        files = sorted(small_world.glob("AnoVox_Dynamic*/*/*/ANOMALY/*.csv"))
        assert files
        for file in files:
            action = next(file.parents[1].glob(f"ACTION/ACTION_{file.stem.rsplit('_', 1)[-1]}.csv"))
            assert list(self.pairs(file)) == list(self.pairs(action))
            assert "anomaly_is_alive" not in self.pairs(file)

    def test_normality_has_no_anomaly_folder(self, small_world):
        assert not list(small_world.glob("AnoVox_Normality*/*/*/ANOMALY"))

    def test_matrices_are_nested_lists_of_four_by_four(self, small_world):
        file = next(small_world.glob("*/*/*/ACTION/*.csv"))
        pairs = self.pairs(file)
        assert len(pairs) == 28
        forth = np.array(ast.literal_eval(pairs["lidar_transformation_matrix"]))
        back = np.array(ast.literal_eval(pairs["lidar_inverse_transformation_matrix"]))
        np.testing.assert_allclose(forth @ back, np.eye(4), atol=1e-6)


class TestSidecar:
    def test_it_says_that_the_data_are_made_and_what_each_anomaly_takes(self, small_world, small_options):
        sidecar = json.loads((small_world / SIDECAR).read_text())
        assert sidecar["nature"].startswith("made data")
        assert sidecar["options"]["seed"] == small_options.seed
        assert len(sidecar["scenarios"]) == 12
        for entry in sidecar["scenarios"].values():
            assert (entry["visible_by"] is None) == (entry["type"] == "normality")

    def test_no_scenario_folder_tells_the_visibility(self, small_world):
        for file in [*small_world.rglob("*.csv"), *small_world.glob("*/**/*.json")]:
            text = file.read_text()
            assert "visible_by" not in text and '"pair"' not in text


class TestFailures:
    def test_a_folder_in_use_is_refused(self, small_world):
        before = digests(small_world)
        with pytest.raises(UsageError, match="holds something"):
            DrivingWorld(TINY).write(small_world)
        assert digests(small_world) == before

    def test_a_place_that_cannot_be_written_is_named(self, tmp_path):
        (tmp_path / "file").write_text("not a folder")
        with pytest.raises(StorageError, match="world"):
            DrivingWorld(TINY).write(tmp_path / "file" / "world")

    def test_a_full_disk_leaves_no_half_scenarios(self, tmp_path, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("veritrain.worlds.driving.write_broken_scenario", full)
        with pytest.raises(StorageError, match="No space left"):
            DrivingWorld(replace(TINY, scenarios=1, frames=1)).write(tmp_path / "world", workers=1)
        assert not list((tmp_path / "world").glob("AnoVox_*"))

    def test_progress_counts_scenarios(self, tmp_path):
        seen: list[tuple[int, int]] = []
        summary = DrivingWorld(replace(TINY, scenarios=2, frames=1)).write(
            tmp_path / "world", lambda done, total: seen.append((done, total)), workers=1
        )
        assert seen == [(1, 2), (2, 2)]
        assert (summary.scenarios, summary.frames, summary.broken) == (2, 2, 1)
