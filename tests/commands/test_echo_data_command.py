"""``veritrain data make echo`` and ``data check`` of sets with boxes: formats are told apart by content."""

from __future__ import annotations

import json

import pytest

from label_folders import BOX, POLYGON, write_set
from veritrain import catalog, cli
from veritrain.commands.data import CHECKS, format_of
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
    assert content["format"] == "echo" and content["objects"]["instances"] == content["objects"]["label_lines"] == 12
    assert all(one["accuracy"] in (1.0, None) for one in content["valve_views"]["rule"].values()), "full confounding"


def test_check_draws_labels(made, tmp_path, capsys):
    assert cli.main(["data", "check", str(made[1]), "--draw", str(tmp_path / "drawn"), "5"]) == 0
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 5


@pytest.mark.parametrize(
    "words",
    [
        ["--draw", "OUT", "many"],
        ["--layout", "2023"],
        ["--format", "coco"],
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
    def test_each_of_the_catalogue_can_be_checked(self):
        assert set(CHECKS) == set(catalog.FORMATS)

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
