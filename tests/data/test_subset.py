"""``data subset``: what is taken reads as it did, and nothing else is taken or overwritten."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.subset import SubsetOptions, choose, write_subset
from veritrain.data.taking import CARD
from veritrain.errors import ConfigError, StorageError, UsageError
from veritrain.worlds.driving import SIDECAR


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def assert_same_frames(part: AnoVoxFormat, whole: AnoVoxFormat):
    by_id = {key.id: key for key in whole.keys()}  # noqa: SIM118 - a format is no mapping
    keys = part.keys()
    assert {key.id for key in keys} <= set(by_id)
    for key in keys:
        a, b = part.read(key), whole.read(by_id[key.id])
        for name in ("image", "points", "point_ids", "pixel_labels"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        assert (a.group, a.kind, a.frame_label) == (b.group, b.kind, b.frame_label)


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("layout", ["2024", "2023"])
def test_a_part_of_each_type_reads_as_it_did(small_world, small_world_2023, tmp_path, layout, link):
    whole = AnoVoxFormat(small_world if layout == "2024" else small_world_2023)
    options = SubsetOptions(share=0.25, frames=2, seed=1, link=link)
    summary = write_subset(whole, tmp_path / "part", options)
    assert summary.by_type == {"normality": 1, "static": 2, "sudden_braking": 1}
    assert (summary.scenarios, summary.frames, summary.left) == (4, 8, 0)
    part = AnoVoxFormat(tmp_path / "part")
    assert part.layout == layout and len(part.keys()) == 8
    assert_same_frames(part, whole)
    written = tree(tmp_path / "part")
    assert written - {CARD} <= tree(whole.path) and SIDECAR in written and len(written) == summary.files + 2
    card = json.loads((tmp_path / "part" / CARD).read_text())
    assert set(card["taken"]) == {key.group for key in part.keys()}  # noqa: SIM118
    assert card["asked"]["share"] == 0.25 and card["of"] == {"scenarios": 12, "frames": 48}
    file = part.file(part.keys()[0], "LIDAR")
    assert (file.stat().st_nlink > 1) == link


def test_types_towns_and_names_narrow_each_other(small_world):
    whole = AnoVoxFormat(small_world)
    static = choose(whole, SubsetOptions(types="static"))
    assert len(static) == 8 and {one.kind for one in static} == {"static"}
    town = static[0].town
    there = choose(whole, SubsetOptions(types="static, normality", towns=town))
    assert there and all(one.town == town and one.kind != "sudden_braking" for one in there)
    name = static[3].path.name
    for word in (name, name.removeprefix("Scenario_")[:8]):
        assert [one.path.name for one in choose(whole, SubsetOptions(scenarios=word))] == [name]
    two = choose(whole, SubsetOptions(scenarios=f"{static[0].path.name},{static[1].path.name}"))
    assert len(two) == 2


def test_the_drawing_depends_on_the_seed_alone(small_world):
    whole = AnoVoxFormat(small_world)
    drawn = [tuple(one.group for one in choose(whole, SubsetOptions(share=0.5, seed=seed))) for seed in (1, 1, 2, 3, 4)]
    assert drawn[0] == drawn[1] and len(set(drawn)) > 2


def test_a_small_share_still_takes_one_of_each_type(small_world):
    kinds = [one.kind for one in choose(AnoVoxFormat(small_world), SubsetOptions(share=0.01))]
    assert sorted(kinds) == ["normality", "static", "sudden_braking"]


def test_types_without_archive_names_come_along(small_world, tmp_path):
    output = next(small_world.glob("AnoVox_Dynamic*/Final_Output*"))
    shutil.copytree(output, tmp_path / "whole" / output.name)
    write_subset(AnoVoxFormat(tmp_path / "whole"), tmp_path / "part", SubsetOptions(frames=1))
    assert set(AnoVoxFormat(tmp_path / "part").inventory().by_type) == {"sudden_braking"}


def test_one_scenario_as_the_data_set(small_world, tmp_path):
    scenario = next(small_world.rglob("sensor_setup.json")).parent
    write_subset(AnoVoxFormat(scenario), tmp_path / "part", SubsetOptions(frames=1))
    assert_same_frames(AnoVoxFormat(tmp_path / "part"), AnoVoxFormat(small_world))


def test_files_that_belong_to_no_frame_are_left_and_counted(small_world, tmp_path):
    scenario = next(small_world.rglob("sensor_setup.json")).parent
    shutil.copytree(scenario, tmp_path / "whole" / scenario.name)
    (tmp_path / "whole" / scenario.name / "ACTION" / "notes.txt").write_text("mine")
    summary = write_subset(AnoVoxFormat(tmp_path / "whole"), tmp_path / "part", SubsetOptions())
    assert summary.left == 1 and not list((tmp_path / "part").rglob("notes.txt"))


def test_what_is_there_is_not_touched(small_world, tmp_path):
    whole = AnoVoxFormat(small_world)
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UsageError, match="holds something"):
        write_subset(whole, tmp_path, SubsetOptions())
    assert tree(tmp_path) == {"mine.txt"}


def test_no_subset_inside_its_data_set(small_world):
    with pytest.raises(UsageError, match="inside the data set"):
        write_subset(AnoVoxFormat(small_world), small_world / "part", SubsetOptions())
    assert not (small_world / "part").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"types": "statik"}, "no scenario of types"),
        ({"towns": "Town99"}, "no scenario of towns"),
        ({"scenarios": "ffff-none"}, "no scenario 'ffff-none'"),
    ],
)
def test_a_word_that_fits_nothing_is_refused(small_world, tmp_path, options, match):
    with pytest.raises(UsageError, match=match) as caught:
        write_subset(AnoVoxFormat(small_world), tmp_path / "part", SubsetOptions(**options))
    assert caught.value.expected and caught.value.fix and not (tmp_path / "part").exists()


@pytest.mark.parametrize(
    "wrong", [{"share": 0.0}, {"share": 1.5}, {"share": float("nan")}, {"frames": -1}, {"seed": -1}]
)
def test_impossible_options(wrong):
    with pytest.raises(ConfigError):
        SubsetOptions(**wrong)


def test_a_full_disk_leaves_nothing(small_world, tmp_path, monkeypatch):
    copied = []

    def full(file, target):
        copied.append(target)
        if len(copied) > 5:
            raise OSError(28, "No space left on device")
        Path(target).write_bytes(Path(file).read_bytes())

    monkeypatch.setattr("veritrain.data.taking.shutil.copyfile", full)
    with pytest.raises(StorageError, match="No space left"):
        write_subset(AnoVoxFormat(small_world), tmp_path / "part", SubsetOptions())
    assert not (tmp_path / "part").exists()
