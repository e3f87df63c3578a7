"""The 2023 layout: equal frames from both layouts, and folders that hold both."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.options import AnoVoxOptions
from veritrain.data.palette import SHARED_IDS, UNKNOWN_COLOUR, without_distinction
from veritrain.data.pcd import read_pcd, write_pcd
from veritrain.data.sample import UNKNOWN
from veritrain.errors import BrokenFileError, LayoutError


@pytest.fixture(scope="module")
def old(small_world_2023):
    return AnoVoxFormat(small_world_2023)


@pytest.fixture(scope="module")
def new(small_world):
    return AnoVoxFormat(small_world)


@pytest.fixture
def world(small_world_2023, tmp_path) -> Path:
    """A 2023 world of its own with one static scenario, to be damaged."""
    scenario = sorted(small_world_2023.glob("AnoVox_Static*/*/*/PCD"))[0].parent
    shutil.copytree(scenario, tmp_path / "world" / scenario.relative_to(small_world_2023))
    return tmp_path / "world"


def one(world: Path, pattern: str) -> Path:
    return sorted(world.rglob(pattern))[0]


def read_first(world: Path):
    source = AnoVoxFormat(world)
    return source.read(source.keys()[0])


class TestEqualSamples:
    def test_the_keys_and_groups_are_the_same(self, old, new):
        assert old.layout == "2023" and new.layout == "2024"
        assert old.keys() == new.keys()
        assert len(old.keys()) == 48
        a, b = old.inventory(), new.inventory()
        assert (a.by_type, a.by_town, a.by_scenario) == (b.by_type, b.by_town, b.by_scenario)

    def test_frames_are_equal_in_every_field(self, old, new):
        confused = 0
        for key in list(new.keys()):
            a, b = old.read(key), new.read(key)
            assert (a.id, a.group, a.kind, a.frame_label) == (b.id, b.group, b.kind, b.frame_label)
            for name in ("image", "points", "point_labels", "pixel_labels"):
                np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
                assert getattr(a, name).dtype == getattr(b, name).dtype
            np.testing.assert_array_equal(a.point_ids, without_distinction(b.point_ids))
            assert a.point_ids.dtype == b.point_ids.dtype
            confused += int((a.point_ids != b.point_ids).sum())
            np.testing.assert_array_equal(a.calibration.intrinsics, b.calibration.intrinsics)
            np.testing.assert_array_equal(a.calibration.camera_from_lidar, b.calibration.camera_from_lidar)
            assert old.content_hash(key) == new.content_hash(key)
        assert confused > 0, "no id was confused: the world shows nothing of what the layouts differ in"

    def test_voxels_depth_and_actions_are_equal(self, old, new):
        for key in new.keys()[::7]:
            (a, a_labels), (b, b_labels) = old.read_voxels(key), new.read_voxels(key)
            np.testing.assert_array_equal(a[:, :3], b[:, :3])
            np.testing.assert_array_equal(a[:, 3], without_distinction(b[:, 3]))
            np.testing.assert_array_equal(a_labels, b_labels)
            np.testing.assert_array_equal(old.read_depth(key), new.read_depth(key))
            assert old.read_action(key).values == new.read_action(key).values
            assert old.read_route(key) is None and new.read_route(key) is not None
            assert old.read_instance(key) is None and new.read_instance(key) is not None

    def test_every_confused_id_is_still_anomalous(self, old, new):
        for key in list(new.keys()):
            shared = np.isin(new.read(key).point_ids, SHARED_IDS)
            assert (old.read(key).point_labels[shared] == 1).all()

    def test_the_images_are_colours_and_the_clouds_pcd(self, small_world_2023):
        scenario = one(small_world_2023, "SEMANTIC_PCD").parent
        names = {path.name for path in scenario.iterdir()}
        assert names >= {"RGB_IMG", "DEPTH_IMG", "SEMANTIC_IMG", "PCD", "SEMANTIC_PCD", "VOXEL_GRID", "ACTION"}
        assert "sensor_setup.json" not in names
        assert Image.open(one(scenario, "SEMANTIC_IMG_*.png")).mode == "RGB"
        assert list(read_pcd(one(scenario, "PCD_*.pcd"))) == ["x", "y", "z", "intensity"]
        assert list(read_pcd(one(scenario, "SEMANTIC_PCD_*.pcd"))) == ["x", "y", "z", "rgb"]

    def test_the_assumed_calibration_is_named_in_the_inventory(self, old, new):
        assert "(0.0, 0.0, 1.8)" in old.inventory().assumed[0] and "90 degrees" in old.inventory().assumed[0]
        assert new.inventory().assumed == []

    def test_the_broken_scenario_is_named(self, old):
        (problem,) = old.inventory().skipped_scenarios
        assert "no PCD with files" in problem.reason


class TestMixed:
    @pytest.fixture
    def both(self, small_world, small_world_2023, tmp_path) -> Path:
        for source, kind in ((small_world, "Normality"), (small_world_2023, "Dynamic")):
            archive = next(source.glob(f"AnoVox_{kind}*"))
            shutil.copytree(archive, tmp_path / "both" / archive.name)
        return tmp_path / "both"

    def test_a_data_set_with_both_is_refused_by_name(self, both):
        with pytest.raises(LayoutError, match="both layouts") as caught:
            AnoVoxFormat(both)
        assert "of 2024" in caught.value.found and "of 2023" in caught.value.found and "--layout" in caught.value.fix

    @pytest.mark.parametrize(("layout", "kind"), [("2024", "normality"), ("2023", "sudden_braking")])
    @pytest.mark.parametrize("policy", ["skip", "error"])
    def test_unless_it_is_told_which(self, both, layout, kind, policy):
        inventory = AnoVoxFormat(both, AnoVoxOptions(layout=layout, on_broken=policy)).inventory()
        assert set(inventory.by_type) == {kind}
        others = [path for path in both.glob("*/*/Scenario_*-*") if kind[:4] not in str(path.parents[1]).lower()]
        left = [problem for problem in inventory.skipped_scenarios if "another layout" in problem.reason]
        assert len(left) == len([path for path in others if ("Dynamic" in str(path)) == (kind == "normality")]) > 0

    def test_a_scenario_with_both_is_refused_naming_a_folder_of_each(self, small_world, tmp_path):
        setup = next(small_world.rglob("sensor_setup.json"))
        shutil.copytree(setup.parent, tmp_path / setup.parent.name)
        (tmp_path / setup.parent.name / "PCD").mkdir()
        with pytest.raises(LayoutError, match="both layouts") as caught:
            AnoVoxFormat(tmp_path, AnoVoxOptions(on_broken="error"))
        assert "(2024)" in caught.value.found and "PCD (2023)" in caught.value.found

    def test_or_listed_beside_the_whole_ones(self, small_world, tmp_path):
        setups = sorted(small_world.rglob("sensor_setup.json"))[:2]
        for setup in setups:
            shutil.copytree(setup.parent, tmp_path / setup.parent.name)
        (tmp_path / setups[0].parent.name / "RGB_IMG").mkdir()
        inventory = AnoVoxFormat(tmp_path).inventory()
        assert inventory.scenarios == 1
        assert "both layouts" in inventory.skipped_scenarios[0].reason


def truncated(file: Path):
    file.write_bytes(file.read_bytes()[:-7])


def emptied(file: Path):
    write_pcd(file, {name: column[:0] for name, column in read_pcd(file).items()})


def with_nan(file: Path):
    columns = read_pcd(file)
    columns["y"][3] = np.nan
    write_pcd(file, columns)


def without_x(file: Path):
    columns = read_pcd(file)
    write_pcd(file, {name: column for name, column in columns.items() if name != "x"})


class TestBroken:
    @pytest.mark.parametrize("folder", ["PCD", "SEMANTIC_PCD"])
    @pytest.mark.parametrize("damage", [truncated, emptied, with_nan, without_x])
    def test_each_damaged_cloud_is_named(self, world, folder, damage):
        file = one(world, f"{folder}_*.pcd")
        damage(file)
        with pytest.raises(BrokenFileError) as caught:
            read_first(world)
        assert caught.value.file == str(file) and caught.value.expected and caught.value.found and caught.value.fix

    def test_a_labelled_cloud_without_colours_is_refused(self, world):
        file = one(world, "SEMANTIC_PCD_*.pcd")
        columns = read_pcd(file)
        del columns["rgb"]
        write_pcd(file, columns)
        with pytest.raises(BrokenFileError, match="class colours"):
            read_first(world)

    def test_unknown_colours_are_unknown_never_normal(self, world):
        file = one(world, "SEMANTIC_IMG_*.png")
        Image.new("RGB", Image.open(file).size, (1, 2, 3)).save(file)
        source = AnoVoxFormat(world)
        ids, _ = source.read_ids(source.keys()[0])
        assert set(ids.ravel()) == {UNKNOWN_COLOUR}
        assert set(source.read(source.keys()[0]).pixel_labels.ravel()) == {UNKNOWN}

    def test_a_greyscale_semantic_image_is_read_as_ids(self, world):
        file = one(world, "SEMANTIC_IMG_*.png")
        Image.new("L", Image.open(file).size, 30).save(file)
        assert (read_first(world).pixel_labels == 1).all()

    def test_without_intensity_it_is_what_the_simulator_says_of_the_distance(self, world):
        before = read_first(world).points
        for file in world.rglob("PCD_*.pcd"):
            if file.parent.name == "PCD":
                columns = read_pcd(file)
                write_pcd(file, {name: columns[name] for name in ("x", "y", "z")})
        after = read_first(world).points
        np.testing.assert_array_equal(after[:, :3], before[:, :3])
        np.testing.assert_allclose(after[:, 3], before[:, 3], atol=1e-3)

    def test_a_frame_without_a_cloud_is_listed(self, world):
        sorted(world.rglob("PCD/PCD_*.pcd"))[0].unlink()
        inventory = AnoVoxFormat(world).inventory()
        assert inventory.frames == 3 and len(inventory.skipped_frames) == 1
