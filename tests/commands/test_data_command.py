"""``veritrain data make`` and ``data check``: a tiny world made, looked through, and refused when asked wrongly."""

from __future__ import annotations

import json

import pytest

from veritrain import cli
from veritrain.worlds.options import DrivingOptions

TINY = ("--scenarios", "3", "--frames", "2", "--size", "32x48", "--seed", "1")


@pytest.fixture(scope="module")
def made(tmp_path_factory, command):
    out = tmp_path_factory.mktemp("data") / "deep" / "streets"
    return command("data", "make", "driving", out, *TINY), out


def test_make_says_what_it_made(made):
    done, out = made
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["made_data"] is True and summary["path"] == str(out)
    assert (summary["scenarios"], summary["frames"], summary["broken"]) == (3, 6, 1)


def test_make_has_the_size_it_was_asked_for(made):
    from PIL import Image

    images = sorted(made[1].rglob("RGB_IMG/*.png")) or sorted(made[1].rglob("*.png"))
    with Image.open(images[0]) as image:
        assert image.size == (48, 32)


def test_make_does_not_touch_a_folder_with_something_in_it(made, command, tmp_path):
    (tmp_path / "mine.txt").write_text("keep me")
    done = command("data", "make", "driving", tmp_path, *TINY)
    assert done.returncode == 64 and "holds something already" in done.stderr and "choose another folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_check_lists_the_broken_scenario(made, command):
    done = command("data", "check", made[1])
    assert done.returncode == 0 and "3 scenarios, 6 frames" in done.stdout
    assert "skipped scenarios: 1" in done.stdout and "sensor_setup.json is missing" in done.stdout


def test_check_for_machines_counts_the_same(made, capsys):
    assert cli.main(["data", "check", str(made[1]), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["scenarios"], content["frames"]) == (3, 6)
    assert sum(scenarios for scenarios, _ in content["by_type"].values()) == 3
    (broken,) = content["skipped_scenarios"]
    assert broken["file"].endswith("sensor_setup.json") and content["skipped_frames"] == []


def test_check_finds_what_was_broken_since(made, tmp_path, capsys):
    import shutil

    shutil.copytree(made[1], tmp_path / "copy")
    victim = sorted((tmp_path / "copy").rglob("*.npy"))[0]
    victim.unlink()
    assert cli.main(["data", "check", str(tmp_path / "copy"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    problems = content["skipped_scenarios"] + content["skipped_frames"] + content["unlabelled"]
    assert len(problems) > 1, "a missing file is counted"


def test_check_of_what_is_no_data_set_is_a_data_error(tmp_path, capsys):
    for place in (tmp_path, tmp_path / "nothing"):
        assert cli.main(["data", "check", str(place)]) == 65
        text = capsys.readouterr().err
        assert str(place) in text and "expected" in text and "do:" in text


def test_check_shows_shares_and_says_how_many_frames_were_read(made, capsys):
    assert cli.main(["data", "check", str(made[1]), "--sample", "2"]) == 0
    text = capsys.readouterr().out
    assert "decoded 2 of 6 frames" in text and "road" in text and "anomalous" in text and "layout 2024" in text


def test_check_ends_with_a_data_error_where_a_finding_is_one(made, tmp_path, capsys):
    import shutil

    import numpy as np

    shutil.copytree(made[1], tmp_path / "copy")
    for file in (tmp_path / "copy").rglob("VOXEL_GRID_*.npy"):
        voxels = np.load(file)
        voxels[::5, 3] = 30
        np.save(file, voxels)
    assert cli.main(["data", "check", str(tmp_path / "copy"), "--json"]) == 65
    content = json.loads(capsys.readouterr().out)
    assert content["usable"] is False
    assert content["findings"][0]["level"] == "error" and content["findings"][0]["name"] == "anomaly_share"


def test_a_subset_and_the_older_layout_from_the_command_line(tmp_path, capsys):
    old, part = tmp_path / "old", tmp_path / "part"
    assert cli.main(["data", "make", "driving", str(old), *TINY, "--layout", "2023"]) == 0
    assert cli.main(["data", "subset", str(old), str(part), "--types", "static", "--frames", "1", "--link"]) == 0
    capsys.readouterr()
    assert cli.main(["data", "check", str(part), "--json", "--layout", "2023"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["layout"], content["frames"], list(content["by_type"])) == (
        "2023",
        content["scenarios"],
        ["static"],
    )
    assert cli.main(["data", "check", str(part), "--layout", "2024"]) == 65
    assert "another layout" in capsys.readouterr().err
    assert cli.main(["data", "subset", str(old), str(part)]) == 64
    assert "holds something already" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--layout", "2022"], ["--sample", "-1"], ["--layuot", "2023"]])
def test_check_refuses_words_that_mean_nothing(made, words, capsys):
    assert cli.main(["data", "check", str(made[1]), *words]) == 64
    assert capsys.readouterr().err


@pytest.mark.parametrize("size", ["96", "96x", "x96", "96x144x3", "-1x96", "9.5x10", "axb", "8x8", "99999x96"])
def test_a_wrong_size_is_a_usage_error_and_makes_nothing(tmp_path, size, capsys):
    assert cli.main(["data", "make", "driving", str(tmp_path / "out"), f"--size={size}"]) == 64
    assert "expected" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("option", "value"), [("--scenarios", "0"), ("--frames", "-1"), ("--density", "offical")])
def test_a_wrong_option_is_a_usage_error_and_makes_nothing(tmp_path, option, value, capsys):
    assert cli.main(["data", "make", "driving", str(tmp_path / "out"), f"{option}={value}"]) == 64
    assert option.removeprefix("--") in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_help_shows_every_option_but_the_two_that_size_stands_for(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["data", "make", "driving", "--help"])
    text = capsys.readouterr().out
    assert left.value.code == 0 and "--size" in text and "--height" not in text
    for name in vars(DrivingOptions()):
        assert f"--{name}" in text or name in ("height", "width")


def test_data_without_a_world_or_an_out_folder(capsys):
    assert cli.main(["data", "make", "driving"]) == 64
    assert "out" in capsys.readouterr().err
    assert cli.main(["data", "make", "--scenarios", "3"]) == 64
