"""``veritrain data make aerial``: the options, and one side for a square."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from veritrain import cli
from veritrain.worlds.options import AerialOptions


@pytest.mark.parametrize(("size", "shape"), [("96", (96, 96)), ("96x128", (128, 96))])
def test_make_says_what_it_made(tmp_path, size, shape, capsys):
    out = tmp_path / "deep" / "aerial"
    words = ["--images", "2", "--per_scene", "2", "--size", size, "--seed", "1", "--folder_names", "underscores"]
    assert cli.main(["data", "make", "aerial", str(out), *words]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["made_data"] is True and summary["path"] == str(out)
    assert (summary["images"], summary["scenes"]) == (2, 1) and len(summary["by_class"]) == 20
    for image in out.rglob("*.jpg"):
        with Image.open(image) as picture:
            assert picture.size == shape


@pytest.mark.parametrize("size", ["64", "96x200", "801", "96x", "x96", "axb"])
def test_a_wrong_size_is_a_usage_error_and_makes_nothing(tmp_path, size, capsys):
    assert cli.main(["data", "make", "aerial", str(tmp_path / "out"), f"--size={size}"]) == 64
    assert "expected" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_help_shows_every_option_but_the_two_that_size_stands_for(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["data", "make", "aerial", "--help"])
    text = capsys.readouterr().out
    assert left.value.code == 0 and "or a side" in text
    for name in vars(AerialOptions()):
        assert f"--{name}" in text or name in ("height", "width")
