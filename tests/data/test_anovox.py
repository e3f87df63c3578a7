"""AnoVox folders as frames: labels from official ids, and every kind of broken input named and counted."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import cKDTree

from veritrain.data.anovox import AnoVoxFormat, ids_of_points
from veritrain.data.anovox_index import index_scenario, scenario_folders
from veritrain.data.anovox_labels import labels_from_ids
from veritrain.data.geometry import cloud_from_depth
from veritrain.data.options import AnoVoxOptions
from veritrain.data.sample import UNKNOWN
from veritrain.errors import BrokenFileError, ConfigError, LayoutError
from veritrain.worlds.driving import SIDECAR


@pytest.fixture(scope="module")
def source(small_world):
    return AnoVoxFormat(small_world)


def one(world: Path, pattern: str) -> Path:
    return sorted(world.rglob(pattern))[0]


def read_first(world: Path):
    source = AnoVoxFormat(world)
    return source.read(source.keys()[0])


class TestFrames:
    def test_all_whole_scenarios_are_found_and_the_others_named(self, source):
        inventory = source.inventory()
        assert (inventory.scenarios, inventory.frames) == (12, 48)
        assert inventory.by_type == {"normality": (2, 8), "static": (8, 32), "sudden_braking": (2, 8)}
        assert sum(frames for _, frames in inventory.by_town.values()) == 48
        assert set(inventory.by_scenario.values()) == {4}
        assert [problem.reason for problem in inventory.skipped_scenarios] == ["sensor_setup.json is missing"]
        assert inventory.skipped_frames == inventory.unlabelled == []

    def test_the_folder_is_recognised_by_content(self, small_world, tmp_path):
        assert AnoVoxFormat.recognises(small_world)
        assert AnoVoxFormat.recognises(next(small_world.glob("*/*/*/sensor_setup.json")).parent)
        assert not AnoVoxFormat.recognises(tmp_path)
        assert not AnoVoxFormat.recognises(small_world / SIDECAR)
        (tmp_path / "AnoVox_Static_Mono_Town01").mkdir()
        assert not AnoVoxFormat.recognises(tmp_path)

    def test_keys_are_sorted_by_number_and_grouped_by_town_and_scenario(self, source):
        keys = source.keys()
        assert len({key.id for key in keys}) == 48
        for key in keys:
            town, scenario = key.group.split("/")
            assert town.startswith("Town") and scenario.startswith("Scenario_")
            assert key.id.startswith(key.group + "/")
        numbers = [int(key.id.rsplit("/", 1)[-1]) for key in keys if key.group == keys[0].group]
        assert numbers == sorted(numbers)
        assert [key.index for key in keys if key.group == keys[0].group] == [0, 1, 2, 3]

    def test_a_frame_has_the_shapes_and_types_of_its_contract(self, source):
        frame = source.read(source.keys()[5])
        assert (frame.image.shape, frame.image.dtype) == ((64, 96, 3), np.uint8)
        assert (frame.points.shape[1], frame.points.dtype) == (4, np.float32)
        assert (frame.point_labels.shape, frame.point_labels.dtype) == ((len(frame.points),), np.int8)
        assert (frame.pixel_labels.shape, frame.pixel_labels.dtype) == ((64, 96), np.int8)
        np.testing.assert_allclose(frame.calibration.intrinsics, [[48, 0, 48], [0, 48, 32], [0, 0, 1]])
        np.testing.assert_allclose(frame.calibration.camera_from_lidar[:3, :3] @ [1, 2, 3], [-2, -3, 1])

    def test_labels_say_what_the_sidecar_says(self, source, small_world):
        truth = json.loads((small_world / SIDECAR).read_text())["scenarios"]
        for key in list(source.keys()):
            entry, frame = truth[key.group], source.read(key)
            visible = max(entry["points"][key.index], entry["pixels"][key.index]) >= 12
            assert frame.frame_label == int(visible)
            assert key.kind == entry["type"]
            assert (frame.pixel_labels == 1).sum() == entry["pixels"][key.index]
            found = (frame.point_labels == 1).sum()
            assert (found > 0) == (entry["points"][key.index] > 0)
            assert abs(found - entry["points"][key.index]) <= 6 + 0.35 * entry["points"][key.index]

    def test_agents_are_not_judged(self, source):
        key = next(key for key in list(source.keys()) if key.kind == "normality")
        frame = source.read(key)
        assert (frame.pixel_labels == UNKNOWN).any(), "the car ahead is an agent"
        assert (frame.point_labels == UNKNOWN).any()
        assert frame.frame_label == 0

    def test_voxels_are_labelled_by_the_same_ids(self, source, world):
        found = 0
        for key in list(source.keys()):
            voxels, labels = source.read_voxels(key)
            assert ((labels == 1) == np.isin(voxels[:, 3], [29, 30, 31, 32, 33, 34, 100])).all()
            found += int((labels == 1).sum())
        assert found > 100
        shutil.rmtree(one(world, "VOXEL_GRID"))
        alone = AnoVoxFormat(world)
        assert alone.read_voxels(alone.keys()[0]) is None

    def test_more_visible_points_may_be_asked_for(self, small_world, source):
        strict = AnoVoxFormat(small_world, AnoVoxOptions(minimum_visible=10_000))
        assert {strict.read(key).frame_label for key in strict.keys()[:12]} == {0}

    def test_images_can_be_made_smaller_with_their_calibration(self, small_world):
        small = AnoVoxFormat(small_world, AnoVoxOptions(image_height=32, image_width=48))
        frame = small.read(small.keys()[0])
        assert frame.image.shape == (32, 48, 3)
        assert frame.pixel_labels.shape == (32, 48)
        assert set(np.unique(frame.pixel_labels)) <= {-1, 0, 1}
        np.testing.assert_allclose(frame.calibration.intrinsics, [[24, 0, 24], [0, 24, 16], [0, 0, 1]])

    def test_equal_content_is_found_under_another_name(self, source, world):
        keys = source.keys()
        assert len({source.content_hash(key) for key in keys}) == len(keys)
        folder = one(world, "sensor_setup.json").parent
        shutil.copytree(folder, folder.with_name("Scenario_00000000-0000-4000-8000-000000000000"))
        copies = AnoVoxFormat(world)
        hashes = [copies.content_hash(key) for key in list(copies.keys())]
        assert len(hashes) == 2 * len(set(hashes)) == 8

    def test_a_key_of_another_data_set_is_refused(self, source, world):
        with pytest.raises(LayoutError, match="no frame"):
            AnoVoxFormat(world).read(source.keys()[-1])


class TestMatching:
    def test_hashes_of_folders_need_not_match_the_setup(self, world):
        """The suffix is salted per generator process: a set-up of another run names the same places."""
        setup = one(world, "sensor_setup.json")
        renamed = {name.rsplit("_", 1)[0] + "_1": entry for name, entry in json.loads(setup.read_text()).items()}
        setup.write_text(json.dumps(renamed))
        assert len(AnoVoxFormat(world).keys()) == 4

    def test_lidar_never_matches_semantic_lidar(self, source):
        for scenario in source.scenarios.values():
            assert scenario.sensors["LIDAR"].folder.name.startswith("LIDAR(")
            assert scenario.sensors["SEMANTIC-LIDAR"].folder.name.startswith("SEMANTIC-LIDAR(")

    def test_types_come_from_the_configuration_where_no_archive_name_tells(self, small_world, tmp_path):
        output = next(small_world.glob("AnoVox_Dynamic*/Final_Output*"))
        shutil.copytree(output, tmp_path / output.name)
        inventory = AnoVoxFormat(tmp_path).inventory()
        assert set(inventory.by_type) == {"sudden_braking"}
        assert all(town.startswith("Town") for town in inventory.by_town)

    def test_without_any_word_on_the_type_it_is_unknown(self, world, tmp_path):
        scenario = one(world, "sensor_setup.json").parent
        shutil.copytree(scenario, tmp_path / "alone" / scenario.name)
        assert set(AnoVoxFormat(tmp_path / "alone").inventory().by_type) == {"unknown"}

    def test_frames_are_sorted_as_numbers(self, world):
        for folder in one(world, "sensor_setup.json").parent.iterdir():
            for offset, file in enumerate(sorted(folder.iterdir()) if folder.is_dir() else []):
                file.rename(file.with_name(f"{file.stem.rsplit('_', 1)[0]}_{98 + offset}{file.suffix}"))
        assert [key.id.rsplit("/", 1)[-1] for key in list(AnoVoxFormat(world).keys())] == ["98", "99", "100", "101"]

    def test_the_configuration_folder_is_no_scenario(self, small_world):
        assert len(scenario_folders(small_world)) == 13


class TestMissing:
    def test_a_frame_without_partner_is_listed_and_left_out(self, world):
        gone = one(world, "LIDAR(*.npy")
        gone.unlink()
        source = AnoVoxFormat(world)
        inventory = source.inventory()
        assert len(source.keys()) == 3
        assert len(inventory.skipped_frames) == 1
        assert "RGB-CAM" in inventory.skipped_frames[0].file

    def test_or_it_is_an_error_by_policy(self, world):
        one(world, "LIDAR(*.npy").unlink()
        with pytest.raises(LayoutError, match="do not match across sensors"):
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))

    def test_a_missing_label_is_unknown_never_normal(self, world):
        for file in [*world.rglob("SEMANTIC-LIDAR(*.npy"), *world.rglob("SEMANTIC-CAM*.png")]:
            file.unlink()
        source = AnoVoxFormat(world)
        for key in list(source.keys()):
            frame = source.read(key)
            assert frame.frame_label == UNKNOWN
            assert set(frame.point_labels) == {UNKNOWN}
            assert set(frame.pixel_labels.ravel()) == {UNKNOWN}
        assert source.inventory().unlabelled

    def test_one_of_two_labels_can_show_an_anomaly_but_not_its_absence(self, world):
        whole = {key.id: AnoVoxFormat(world).read(key).frame_label for key in list(AnoVoxFormat(world).keys())}
        for file in world.rglob("SEMANTIC-LIDAR(*.npy"):
            file.unlink()
        source = AnoVoxFormat(world)
        for key in list(source.keys()):
            seen = (source.read(key).pixel_labels == 1).sum() >= 12
            assert source.read(key).frame_label == (1 if seen else UNKNOWN)
            assert whole[key.id] in (0, 1)

    def test_a_broken_scenario_is_an_error_by_policy(self, small_world):
        with pytest.raises(LayoutError, match=r"sensor_setup\.json is missing") as caught:
            AnoVoxFormat(small_world, AnoVoxOptions(on_broken="error"))
        assert caught.value.fix

    @pytest.mark.parametrize("content", ["{", "[]", '{"RGB-CAM(0, 0, 1)(0, 0, 0)_1": 3}'])
    def test_a_damaged_setup_is_named(self, world, content):
        one(world, "sensor_setup.json").write_text(content)
        with pytest.raises(LayoutError, match="sensor_setup"):
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))

    def test_empty_folders_of_the_sample_of_2023_are_named_as_such(self, tmp_path):
        for folder in ("RGB_IMG", "PCD"):
            (tmp_path / "Scenario_1" / folder).mkdir(parents=True)
        with pytest.raises(LayoutError) as caught:
            index_scenario(tmp_path / "Scenario_1")
        assert "2023" in str(caught.value) and "RGB_IMG" in str(caught.value)

    def test_an_empty_folder_says_what_was_expected(self, tmp_path):
        with pytest.raises(LayoutError, match="no readable AnoVox scenario") as caught:
            AnoVoxFormat(tmp_path)
        assert caught.value.expected and caught.value.fix

    @pytest.mark.parametrize("value", ["null", "0", "180", "NaN", "Infinity", "-90", '"wide"', "true", "[90]", "1e400"])
    def test_no_camera_field_of_view_is_no_calibration(self, world, value):
        setup = one(world, "sensor_setup.json")
        setup.write_text(setup.read_text().replace('"camera_fov": 90', f'"camera_fov": {value}'))
        with pytest.raises(LayoutError, match="camera_fov") as caught:
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))
        assert caught.value.file == str(setup) and caught.value.fix

    def test_an_absent_field_of_view_is_none_either(self, world):
        setup = one(world, "sensor_setup.json")
        setup.write_text(setup.read_text().replace('"camera_fov": 90', '"other": 90'))
        with pytest.raises(LayoutError, match="camera_fov"):
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))

    @pytest.mark.parametrize("value", ["0", "-64", "64.5", '"tall"', "NaN", "Infinity", "[64]", "1e400"])
    def test_an_impossible_image_size_would_make_the_calibration_singular(self, world, value):
        setup = one(world, "sensor_setup.json")
        setup.write_text(setup.read_text().replace('"image_height": 64', f'"image_height": {value}'))
        with pytest.raises(LayoutError, match="image size is impossible") as caught:
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))
        assert caught.value.file == str(setup)

    @pytest.mark.parametrize(
        "value", ["[0, 0]", "[0, 0, NaN]", '"(0, 0"', "null", '"__import__(1)"', '"' + "(" * 3000 + '"']
    )
    def test_a_place_that_is_none_is_named(self, world, value):
        setup = one(world, "sensor_setup.json")
        content = json.loads(setup.read_text())
        for entry in content.values():
            entry["location"] = json.loads(value)
        setup.write_text(json.dumps(content))
        with pytest.raises(LayoutError, match="cannot be read") as caught:
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))
        assert caught.value.file == str(setup)

    @pytest.mark.parametrize("value", ["3", '"x"', "null", "[1]"])
    def test_arguments_that_are_none_are_named(self, world, value):
        setup = one(world, "sensor_setup.json")
        content = json.loads(setup.read_text())
        next(iter(content.values()))["args"] = json.loads(value)
        setup.write_text(json.dumps(content))
        with pytest.raises(LayoutError, match="arguments of"):
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))

    def test_the_same_scenario_twice_is_refused(self, world, tmp_path):
        scenario = one(world, "sensor_setup.json").parent
        shutil.copytree(scenario, scenario.parent.with_name("Final_Output_2020_01_01-00_00") / scenario.name)
        with pytest.raises(LayoutError, match="twice"):
            AnoVoxFormat(world)


class TestPlaces:
    """A sensor at another place than ``sensor_setup.json`` says: in the entry, or by the folder's own name."""

    @pytest.mark.parametrize("part", ["location", "rotation"])
    def test_an_entry_that_contradicts_its_folders_name(self, world, part):
        setup = one(world, "sensor_setup.json")
        content = json.loads(setup.read_text())
        name = next(name for name in content if name.startswith("LIDAR"))
        content[name][part] = [1.5, 0, 0]
        setup.write_text(json.dumps(content))
        with pytest.raises(LayoutError, match="stands elsewhere") as caught:
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))
        assert caught.value.file == str(setup)
        assert name in caught.value.expected and "(1.5, 0.0, 0.0)" in caught.value.found

    def test_a_folder_that_contradicts_every_entry(self, world):
        folder = one(world, "LIDAR(*")
        folder.rename(folder.with_name(folder.name.replace("(0, 0, 1.8)", "(0, 0, 2.4)")))
        with pytest.raises(LayoutError, match="stands elsewhere") as caught:
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))
        assert "(0, 0, 1.8)" in caught.value.expected and "(0, 0, 2.4)" in caught.value.found

    def test_labels_of_another_field_of_view_are_not_this_cameras(self, world):
        setup = one(world, "sensor_setup.json")
        content = json.loads(setup.read_text())
        name = next(name for name in content if name.startswith("SEMANTIC-CAM"))
        content[name]["args"]["camera_fov"] = 60
        setup.write_text(json.dumps(content))
        source = AnoVoxFormat(world)
        assert (source.read(source.keys()[0]).pixel_labels == UNKNOWN).all()
        reasons = [problem.reason for problem in source.inventory().unlabelled]
        assert reasons == ["no SEMANTIC-CAM with the place and view of its sensor: labels are unknown"]
        del content[name]["args"]["camera_fov"]
        setup.write_text(json.dumps(content))
        source = AnoVoxFormat(world)
        assert (source.read(source.keys()[0]).pixel_labels != UNKNOWN).any(), "what is not stated contradicts nothing"

    def test_the_scenario_is_listed_beside_the_whole_ones(self, small_world, tmp_path):
        setups = sorted(small_world.rglob("sensor_setup.json"))[:2]
        for setup in setups:
            shutil.copytree(setup.parent, tmp_path / setup.parent.name)
        folder = next((tmp_path / setups[0].parent.name).glob("SEMANTIC-CAM(*"))
        folder.rename(folder.with_name(folder.name.replace("(0, 0, 1.8)", "(0, 1, 1.8)")))
        inventory = AnoVoxFormat(tmp_path).inventory()
        assert inventory.scenarios == 1
        assert [problem.reason for problem in inventory.skipped_scenarios] == [
            "a SEMANTIC-CAM stands elsewhere than sensor_setup.json says"
        ]


class TestCounters:
    """Every file is a frame, or is listed with the reason why it is none."""

    @pytest.mark.parametrize("word", ["x12", "-5", "1.5", "", "٣", "9" * 30])
    def test_a_file_without_a_counter_is_listed_with_its_lost_partner(self, world, word):
        file = one(world, "LIDAR(*.npy")
        file.rename(file.with_name(f"{file.parent.name}_{word}.npy"))
        inventory = AnoVoxFormat(world).inventory()
        assert inventory.frames == 3
        reasons = sorted(problem.reason for problem in inventory.skipped_frames)
        assert len(reasons) == 2 and any("is no frame counter" in r for r in reasons)
        assert any("RGB-CAM" in r and "no partner" in r for r in reasons)
        with pytest.raises(LayoutError, match="do not match"):
            AnoVoxFormat(world, AnoVoxOptions(on_broken="error"))

    def test_one_counter_on_two_files_is_neither(self, world):
        file = one(world, "RGB-CAM*.png")
        number = file.stem.rsplit("_", 1)[-1]
        shutil.copy(file, file.with_name(f"{file.parent.name}_00{number}.png"))
        inventory = AnoVoxFormat(world).inventory()
        assert inventory.frames == 3
        assert sum("stands on 2 files" in problem.reason for problem in inventory.skipped_frames) == 2

    def test_shifted_counters_are_listed_frame_by_frame(self, world):
        for file in sorted(one(world, "LIDAR(*").iterdir(), reverse=True):
            number = int(file.stem.rsplit("_", 1)[-1])
            file.rename(file.with_name(f"{file.parent.name}_{number + 1}.npy"))
        inventory = AnoVoxFormat(world).inventory()
        assert inventory.frames == 3
        assert sorted(p.reason.split()[0] for p in inventory.skipped_frames) == ["LIDAR", "RGB-CAM"]

    def test_a_label_file_without_a_counter_is_listed_and_its_label_unknown(self, world):
        file = one(world, "SEMANTIC-LIDAR(*.npy")
        file.rename(file.with_name("SEMANTIC-LIDAR_x.npy"))
        inventory = AnoVoxFormat(world).inventory()
        assert inventory.frames == 4
        assert sorted("no frame counter" in problem.reason for problem in inventory.unlabelled) == [False, True]

    def test_every_file_of_a_main_sensor_is_read_or_listed(self, world):
        folder = one(world, "RGB-CAM*")
        files = sorted(folder.iterdir())
        files[0].rename(folder / "a_x.png")
        shutil.copy(files[1], folder / f"b_{files[2].stem.rsplit('_', 1)[-1]}.png")
        source = AnoVoxFormat(world)
        read = {source.file(key, "RGB-CAM") for key in list(source.keys())}
        listed = {Path(problem.file) for problem in source.inventory().skipped_frames}
        assert set(folder.iterdir()) == read | {file for file in listed if file.parent == folder}


class TestOtherFiles:
    def test_depth_instances_route_and_action_are_offered(self, source):
        key = source.keys()[3]
        frame = source.read(key)
        depth, (ids, numbers), route = source.read_depth(key), source.read_instance(key), source.read_route(key)
        assert (depth.shape, depth.dtype) == ((64, 96), np.float32) and 0 < depth.min() <= depth.max() <= 1000
        assert ids.shape == numbers.shape == depth.shape
        pixel_ids, cloud = source.read_ids(key)
        np.testing.assert_array_equal(ids, pixel_ids)
        np.testing.assert_array_equal(labels_from_ids(pixel_ids), frame.pixel_labels)
        assert cloud.shape[1] == 4 and cloud.dtype == np.float64
        assert route.shape == (192, 192) and route.dtype == np.bool_ and route.any() and not route.all()

    def test_without_the_files_there_is_nothing(self, world):
        for pattern in ("DEPTH_CAM*", "INSTANCE-CAM*", "ROUTE_MAP", "ACTION"):
            shutil.rmtree(one(world, pattern))
        source = AnoVoxFormat(world)
        key = source.keys()[0]
        assert source.read_depth(key) is source.read_instance(key) is None
        assert source.read_route(key) is source.read_action(key) is None
        assert source.inventory().unlabelled == [] and source.read(key).image.shape == (64, 96, 3)

    def test_the_depth_image_and_the_labelled_cloud_see_the_same_street(self, source):
        """The depth image as a cloud lies on the LiDAR's returns: formula, axes and calibration in one."""
        key = source.keys()[6]
        points, seen = cloud_from_depth(source.read_depth(key), source.read(key).calibration.intrinsics)
        ids, cloud = source.read_ids(key)
        near = np.linalg.norm(points, axis=1) < 25
        distance, place = cKDTree(cloud[:, :3]).query(points[near])
        assert np.median(distance) < 0.35
        close = distance < 0.3
        assert (cloud[place[close], 3] == ids[seen][near][close]).mean() > 0.9


def truncate(file: Path):
    file.write_bytes(file.read_bytes()[:200])


def empty(file: Path):
    file.write_bytes(b"")


def text(file: Path):
    file.write_text("this is not what its name says")


def grey(file: Path):
    Image.new("L", (96, 64)).save(file)


def palette(file: Path):
    Image.new("P", (96, 64)).save(file)


def other_size(file: Path):
    Image.new(Image.open(file).mode, (95, 64)).save(file)


def sixteen_bit(file: Path):
    Image.new("I;16", (96, 64)).save(file)


def jpeg(file: Path):
    Image.new("RGB", (96, 64)).save(file, format="JPEG")


def saved(array):
    def damage(file: Path):
        np.save(file, array)

    return damage


def with_nan(file: Path):
    cloud = np.load(file)
    cloud[7, 2] = np.nan
    np.save(file, cloud)


def with_infinity(file: Path):
    cloud = np.load(file)
    cloud[3, 0] = np.inf
    np.save(file, cloud)


def archive(file: Path):
    with file.open("wb") as stream:
        np.savez(stream, a=np.zeros((4, 4)))


def huge_header(file: Path):
    header = file.read_bytes().replace(b"'shape': (", b"'shape': (9", 1)
    file.write_bytes(header)


IMAGES = [truncate, empty, text, grey, palette, other_size, sixteen_bit, jpeg]
CLOUDS = [
    truncate,
    empty,
    text,
    with_nan,
    with_infinity,
    archive,
    huge_header,
    saved(np.zeros((5, 3), np.float32)),
    saved(np.zeros(20, np.float32)),
    saved(np.zeros((5, 4), np.int64)),
    saved(np.zeros((0, 4), np.float32)),
]
CASES = [("RGB-CAM*.png", damage) for damage in IMAGES]
CASES += [("SEMANTIC-CAM*.png", damage) for damage in IMAGES if damage is not grey]
CASES += [(f"{kind}(*.npy", damage) for kind in ("LIDAR", "SEMANTIC-LIDAR") for damage in CLOUDS]


class TestBroken:
    @pytest.mark.parametrize(("pattern", "damage"), CASES)
    def test_each_damage_is_an_error_that_names_file_expected_found_and_fix(self, world, pattern, damage):
        file = one(world, pattern)
        damage(file)
        with pytest.raises(BrokenFileError) as caught:
            read_first(world)
        error = caught.value
        assert error.file == str(file)
        assert error.expected and error.found and error.fix

    def test_a_pickle_is_refused_and_never_run(self, world, tmp_path):
        marker = tmp_path / "was_run"

        class Evil:
            def __reduce__(self):
                return Path.touch, (marker,)

        for content in (lambda f: f.write_bytes(pickle.dumps(Evil())), saved(np.array([Evil()], dtype=object))):
            content(one(world, "LIDAR(*.npy"))
            marker.unlink(missing_ok=True)
            with pytest.raises(BrokenFileError, match="cannot be read as an array"):
                read_first(world)
            assert not marker.exists()

    def test_an_image_bomb_is_refused_before_it_is_decoded(self, world):
        Image.new("1", (40_000, 40_000)).save(one(world, "RGB-CAM*.png"))
        with pytest.raises(BrokenFileError, match=r"too large|bomb"):
            read_first(world)

    def test_a_csv_without_the_label_key_is_named_with_its_key(self, world):
        file = one(world, "ANOMALY_*.csv")
        lines = [line for line in file.read_text().splitlines() if not line.startswith("anomaly_is_alive")]
        file.write_text("\n".join(lines))
        with pytest.raises(BrokenFileError, match="anomaly_is_alive") as caught:
            read_first(world)
        assert caught.value.file == str(file)


def label_points(points, labelled, radius):
    return labels_from_ids(ids_of_points(points, labelled, radius))


class TestPointLabels:
    def test_a_return_takes_the_id_of_its_neighbour_even_an_ignored_one(self):
        points = np.array([[0, 0, 0, 1], [5, 0, 0, 1], [10, 0, 0, 1]], dtype=np.float32)
        labelled = np.array([[0.1, 0, 0, 114], [5.2, 0, 0, 32]])
        assert ids_of_points(points, labelled, 0.5).tolist() == [114, 32, UNKNOWN]

    def test_the_nearest_labelled_point_within_the_radius_decides(self):
        points = np.array([[0, 0, 0, 1], [5, 0, 0, 1], [10, 0, 0, 1]], dtype=np.float32)
        labelled = np.array([[0.1, 0, 0, 30], [0.3, 0, 0, 1], [5.2, 0, 0, 1], [11, 0, 0, 30]])
        assert label_points(points, labelled, 0.5).tolist() == [1, 0, UNKNOWN]

    def test_ignored_ids_are_unknown(self):
        points = np.zeros((1, 4), np.float32)
        for ignored in (112, 113, 114, 115, 116, 118, 119, 214, 0, 7777):
            assert label_points(points, np.array([[0, 0, 0, ignored]]), 0.5).tolist() == [UNKNOWN]

    def test_without_labelled_points_nothing_is_known(self):
        points = np.zeros((3, 4), np.float32)
        assert set(label_points(points, None, 0.5)) == set(label_points(points, np.zeros((0, 4)), 0.5)) == {UNKNOWN}


@pytest.mark.parametrize(
    "wrong",
    [{"on_broken": "skp"}, {"layout": "2022"}, {"minimum_visible": 0}, {"point_radius": 0.0}, {"image_height": 32}],
)
def test_impossible_options_are_refused(wrong):
    with pytest.raises(ConfigError) as caught:
        AnoVoxOptions(**wrong)
    assert caught.value.fix
