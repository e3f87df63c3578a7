"""``veritrain data make echo`` and ``data check`` of sets with boxes: formats are told apart by content."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from pycocotools.coco import COCO

from label_folders import BOX, POLYGON, write_set
from veritrain import catalog, cli
from veritrain.commands import data as commands
from veritrain.commands.data import CHECKS, EXPORTS, SUBSETS, format_of
from veritrain.errors import LayoutError
from veritrain.worlds.options import EchoWorldOptions

TINY = ("--patients", "3", "--videos", "2", "--frames", "2", "--size", "96x128", "--seed", "1")


@pytest.fixture(scope="module")
def made(tmp_path_factory, command):
    out = tmp_path_factory.mktemp("data") / "deep" / "echo"
    return command("data", "make", "echo", out, *TINY, "--confounding", "1", "--unknown_views", "0.1"), out


def test_make_says_what_it_made(made):
    done, out = made
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["made_data"] is True and summary["path"] == str(out)
    assert (summary["patients"], summary["videos"], summary["frames"], summary["unknown_views"]) == (3, 6, 12, 2)


def test_check_shows_tables_of_classes_views_parts_and_the_rule(made, command):
    done = command("data", "check", made[1])
    assert done.returncode == 0, done.stderr
    for word in ("12 images, 12 objects, 3 groups, 6 videos", "published part", "most frequent", "unknown", "usable"):
        assert word in done.stdout
    assert "warning published_split_leaks" in done.stdout and "warning views_missing" in done.stdout


def test_check_for_machines(made, capsys):
    assert cli.main(["data", "check", str(made[1]), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["format"] == "echo" and content["objects"] == 12
    assert content["boxes"]["instances"] == content["boxes"]["label_lines"] == 12
    assert all(one["accuracy"] in (1.0, None) for one in content["valve_views"]["rule"].values()), "full confounding"


def test_check_draws_labels(made, tmp_path, capsys):
    assert cli.main(["data", "check", str(made[1]), "--draw", str(tmp_path / "drawn"), "5"]) == 0
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 5


@pytest.mark.parametrize(
    "words",
    [
        ["--draw", "OUT", "many"],
        ["--layout", "2023"],
        ["--format", "voc"],
        ["--geometry", "boxes"],
        ["--sample", "-1"],
        ["--on_broken", "maybe"],
    ],
)
def test_words_that_mean_nothing_are_refused(made, words, capsys):
    assert cli.main(["data", "check", str(made[1]), *words]) == 64
    assert capsys.readouterr().err


@pytest.mark.parametrize("words", [["--draw", "OUT", "3"], ["--group_pattern", "(?P<patient>x)"], ["--names", "[a]"]])
def test_words_of_another_format_are_refused(small_world, words, capsys):
    assert cli.main(["data", "check", str(small_world), *words]) == 64
    assert "means nothing for the format anovox" in capsys.readouterr().err


def test_bad_labels_end_with_a_data_error_and_their_file_and_line(tmp_path, capsys):
    write_set(tmp_path, {"train/a": POLYGON, "train/b": BOX + "9 .5 .5 .1 .1\n", "test/c": None})
    assert cli.main(["data", "check", str(tmp_path)]) == 65
    text = capsys.readouterr().out
    assert "error class_unknown" in text and "b.txt:2" in text and "error image_without_label" in text
    assert "not usable as it is" in text
    assert cli.main(["data", "check", str(tmp_path), "--on_broken", "skip"]) == 0
    assert "warning class_unknown" in capsys.readouterr().out


def test_names_and_views_can_be_given(tmp_path, capsys):
    write_set(tmp_path, {"train/a": POLYGON}, description=False)
    words = ["data", "check", str(tmp_path), "--json", "--names", "[one, two]", "--views", "[x, y, z]"]
    assert cli.main(words) == 0
    content = json.loads(capsys.readouterr().out)
    assert list(content["classes"]) == ["one", "two"] and content["views"]["y"]["frames"] == 1


class TestFormats:
    def test_each_of_the_catalogue_can_be_checked_cut_down_and_exported(self):
        assert set(CHECKS) == set(SUBSETS) == set(EXPORTS) == set(catalog.FORMATS)

    def test_they_are_told_apart_by_content(self, made, small_world):
        assert format_of(str(made[1])) == "echo" == format_of(str(made[1] / "data.yaml"))
        assert format_of(str(small_world)) == "anovox"

    def test_what_nobody_recognises_names_all(self, tmp_path):
        with pytest.raises(LayoutError) as caught:
            format_of(str(tmp_path))
        assert all(name in str(caught.value) for name in catalog.FORMATS)


class TestMake:
    @pytest.mark.parametrize(
        ("option", "value"),
        [("--patients", "0"), ("--confounding", "2"), ("--variant", "held-out"), ("--labels", "box")],
    )
    def test_a_wrong_option_is_a_usage_error_and_makes_nothing(self, tmp_path, option, value, capsys):
        assert cli.main(["data", "make", "echo", str(tmp_path / "out"), f"{option}={value}"]) == 64
        assert option.removeprefix("--") in capsys.readouterr().err and not (tmp_path / "out").exists()

    def test_options_of_another_world_are_unknown(self, tmp_path, capsys):
        assert cli.main(["data", "make", "echo", str(tmp_path / "out"), "--scenarios", "3"]) == 64
        assert cli.main(["data", "make", "driving", str(tmp_path / "out"), "--patients", "3"]) == 64

    def test_help_shows_every_option_but_the_two_that_size_stands_for(self, capsys):
        with pytest.raises(SystemExit) as left:
            cli.main(["data", "make", "echo", "--help"])
        text = capsys.readouterr().out
        assert left.value.code == 0 and "240x320" in text and "--height" not in text
        for name in vars(EchoWorldOptions()):
            assert f"--{name}" in text or name in ("height", "width")

    def test_help_without_a_world_lists_the_worlds(self, capsys):
        with pytest.raises(SystemExit) as left:
            cli.main(["data", "make", "--help"])
        text = capsys.readouterr().out
        assert left.value.code == 0 and all(world in text for world in catalog.WORLDS)

    def test_a_world_must_be_named(self, tmp_path, capsys):
        assert cli.main(["data", "make", str(tmp_path / "out")]) == 64
        assert cli.main(["data", "make"]) == 64
        assert "no world is named" in capsys.readouterr().err


class TestSubsetAndExport:
    def test_a_part_and_its_boxes_for_other_programs(self, made, tmp_path, capsys):
        part, out = tmp_path / "part", tmp_path / "labels"
        words = ["data", "subset", str(made[1]), str(part), "--share", "0.4", "--frames", "1", "--seed", "3", "--link"]
        assert cli.main(words) == 0
        told = json.loads(capsys.readouterr().out)
        assert told["path"] == str(part) and told["frames"] == told["videos"] == 2 * told["patients"]
        assert cli.main(["data", "check", str(part), "--json"]) == 0
        content = json.loads(capsys.readouterr().out)
        assert (content["frames"], content["groups"]) == (told["frames"], told["patients"])
        assert cli.main(["data", "export", str(part), str(out), "--as", "coco"]) == 0
        told = json.loads(capsys.readouterr().out)
        coco = COCO(told["path"])
        assert len(coco.imgs) == content["frames"] and len(coco.anns) == content["objects"]

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["subset", "--towns", "Town03"], "--towns means nothing for the format echo"),
            (["subset", "--types", "static"], "--types means nothing for the format echo"),
            (["subset", "--layout", "2023"], "--layout means nothing for the format echo"),
            (["subset", "--patients", "nobody"], "no patient 'nobody'"),
            (["subset", "--longest_side", "32"], "unknown option '--longest_side'"),
            (["export", "--as", "coco", "--layout", "2023"], "--layout means nothing for the format echo"),
            (["export", "--as", "csv"], "boxes have no form 'csv'"),
            (["export", "--as", "npy"], "boxes have no form 'npy'"),
        ],
    )
    def test_what_means_nothing_for_echo_is_said(self, made, tmp_path, words, told, capsys):
        assert cli.main(["data", words[0], str(made[1]), str(tmp_path / "out"), *words[1:]]) == 64
        assert told in capsys.readouterr().err and not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        "words",
        [["subset", "--patients", "p1"], ["subset", "--group_pattern", "(?P<patient>x)"],
         ["export", "--as", "coco", "--views", "[a, b]"]],
    )  # fmt: skip
    def test_what_means_nothing_for_streets_is_said(self, small_world, tmp_path, words, capsys):
        assert cli.main(["data", words[0], str(small_world), str(tmp_path / "out"), *words[1:]]) == 64
        assert "means nothing for the format anovox" in capsys.readouterr().err and not (tmp_path / "out").exists()

    def test_bad_labels_stop_unless_they_are_to_be_left_out(self, tmp_path, capsys):
        write_set(tmp_path / "data", {"train/a": POLYGON, "train/b": "9 .5 .5 .1 .1"})
        for number, words in enumerate((["subset"], ["export", "--as", "coco"])):
            place = [str(tmp_path / "data"), str(tmp_path / f"out{number}"), *words[1:]]
            assert cli.main(["data", words[0], *place]) == 65
            assert "b.txt:1: class 9 does not exist" in capsys.readouterr().err
            assert cli.main(["data", words[0], *place, "--on_broken", "skip"]) == 0
            told = json.loads(capsys.readouterr().out)
            assert told["frames"] == 1 and told["left_out"] == {"class_unknown": 1}

    def test_what_is_no_data_set_is_a_data_error(self, tmp_path, capsys):
        for words in (["subset"], ["export", "--as", "coco"]):
            assert cli.main(["data", words[0], str(tmp_path), str(tmp_path / "out"), *words[1:]]) == 65
            assert "no format recognises" in capsys.readouterr().err

    def test_a_format_that_a_command_has_nothing_for_is_told(self, made, tmp_path, monkeypatch, capsys):
        monkeypatch.delitem(commands.EXPORTS, "echo")
        assert cli.main(["data", "export", str(made[1]), str(tmp_path / "out"), "--as", "coco"]) == 64
        assert "this command has nothing for the format echo" in capsys.readouterr().err


GOOD = {f"train/{name}-s1.mp4-1": POLYGON for name in ("ann", "bob", "eve")}
BAD = {
    "class id from nc on": (POLYGON.partition("\n")[0] + "\n4 .1 .1 .2 .1 .2 .2\n", 2, "class 4 does not exist"),
    "coordinate outside": ("1 .1 .1 .2 .1 1.2 .2\n", 1, "coordinate 1.2 lies outside of the image"),
    "polygon of two points": ("\n1 .4 .5 .6 .7\n", 2, "a polygon of 2 points"),
    "two one-hots": (f"{POLYGON}\n1 0 0\n", 4, "a second view line"),
    "one-hot of another length": ("1 .1 .1 .2 .1 .2 .2\n\n0 1 0 0\n", 3, "a view line of 4 numbers"),
    "no one-hot": ("1 .1 .1 .2 .1 .2 .2\n\n0 1 1\n", 3, "a view line with 2 ones"),
    "repeated row": ("1 .1 .1 .2 .1 .2 .2\n1 .1 .1 .2 .1 .2 .2\n", 2, "a line that repeats another"),
}


class TestBadInput:
    """Each kind of bad input that the format names: file and line, in ``data check`` and before a training."""

    def train(self, data: Path, *words: object) -> int:
        run = data.parent / "run"
        short = ["--epochs", "1", "--controls", "none", "--imgsz", "64"]  # were it not refused
        code = cli.main(["train", "joint", "--data", str(data), "--run", str(run), *short, *map(str, words)])
        assert not run.exists(), "nothing is left of a run that never began"
        return code

    @pytest.mark.parametrize("name", BAD)
    def test_a_label_line_is_told_with_its_file_and_line(self, tmp_path, name, capsys):
        text, line, told = BAD[name]
        data = write_set(tmp_path / "data", {**GOOD, "train/zoe-s1.mp4-7": text}, views=("x", "y", "z"))
        place = f"{data / 'train' / 'labels' / 'zoe-s1.mp4-7.txt'}:{line}"
        assert self.train(data) == 65
        assert f"{place}: {told}" in capsys.readouterr().err
        assert cli.main(["data", "check", str(data)]) == 65
        assert f"({place})" in capsys.readouterr().out

    def test_images_without_label_and_labels_without_image_are_counted_apart(self, tmp_path, capsys):
        data = write_set(tmp_path / "data", {**GOOD, "train/zoe-s1.mp4-1": None})
        for name in ("lost", "gone"):
            (data / "train" / "labels" / f"{name}.txt").write_text(BOX)
        assert self.train(data) == 65
        text = capsys.readouterr().err
        assert "1 images without label file, 2 label files without image" in text and "zoe-s1.mp4-1.png: " in text

    def test_a_corrupt_jpeg_is_told_by_its_file(self, tmp_path, capsys):
        data = write_set(tmp_path / "data", GOOD)
        for file in sorted((data / "train" / "images").glob("*.png")):
            Image.open(file).save(file.with_suffix(".jpg"))
            file.unlink()
        file.with_suffix(".jpg").write_bytes(file.with_suffix(".jpg").read_bytes()[:300])
        assert self.train(data, "--cache", tmp_path / "cache") == 65
        assert f"{file.with_suffix('.jpg')}: cannot be read as an image" in capsys.readouterr().err
        assert cli.main(["data", "check", str(data)]) == 65
        assert f"({file.with_suffix('.jpg')})" in capsys.readouterr().out

    def test_a_key_that_nothing_reads_is_told_with_its_line(self, tmp_path, capsys):
        data = write_set(tmp_path / "data", GOOD)
        (tmp_path / "recipe.yaml").write_text("epochs: 2\nwieghts: a.safetensors\n")
        assert self.train(data, "--config", tmp_path / "recipe.yaml") == 64
        text = capsys.readouterr().err
        assert f"{tmp_path / 'recipe.yaml'}:2: unknown key 'wieghts'" in text and "did you mean 'weights'?" in text

    def test_weights_that_cannot_be_read_are_told(self, tmp_path, capsys):
        data = write_set(tmp_path / "data", GOOD)
        assert self.train(data, "--cache", tmp_path / "cache", "--weights", tmp_path / "none.safetensors") == 64
        assert f"{tmp_path / 'none.safetensors'}: weights: no file that can be read" in capsys.readouterr().err
