"""``veritrain data check``, ``subset`` and ``export`` of aerial images with boxes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pycocotools.coco import COCO

from dior_folders import SHIP, TINY, coco_of, write_dior
from veritrain import cli
from veritrain.commands.data import format_of

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dior"


@pytest.fixture
def tiny(tmp_path):
    scenes = {"00001": "bay", "00002": "field", "00011": "bay", "00021": "town", "00022": "town"}
    return write_dior(tmp_path / "DIOR", TINY, scenes=scenes)


def test_formats_are_told_apart(tiny, tmp_path):
    assert format_of(str(tiny)) == "dior"
    (tmp_path / "coco").mkdir()
    content = coco_of({7: ("a.jpg", (40, 30))}, [(7, 1, (1, 1, 2, 2))], {1: "a"})
    (tmp_path / "coco" / "boxes.json").write_text(json.dumps(content))
    assert format_of(str(tmp_path / "coco")) == "coco" == format_of(str(tmp_path / "coco" / "boxes.json"))


def test_check_shows_tables(tiny, command):
    done = command("data", "check", tiny)
    assert done.returncode == 0, done.stderr
    for word in ("format dior, horizontal boxes: 5 images, 5 objects (5 kept), 3 groups", "Expressway-toll-station",
                 "images with", "maxDets", "stated sizes: 40x30 5", "groups in several splits: 1", "usable",
                 "warning published_split_leaks"):  # fmt: skip
        assert word in done.stdout, word


def test_check_for_machines(tiny, capsys):
    assert cli.main(["data", "check", str(tiny), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert list(content)[:7] == ["format", "annotation", "objects", "classes", "splits", "shared_groups", "malformed"]
    assert content["objects"] == 5 and content["shared_groups"] == 1 and content["malformed"] == 0
    assert content["splits"]["train"] == {"images": 2, "objects": 3, "groups": 2}


def test_annotations_alone_are_checked_with_exit_code_0(tmp_path, capsys):
    write_dior(tmp_path, TINY, pictures=False)
    assert cli.main(["data", "check", str(tmp_path)]) == 0
    assert "note images_missing: 5 of 5 images are not there" in capsys.readouterr().out


class TestBadInput:
    @pytest.fixture
    def bad(self, tmp_path):
        return write_dior(tmp_path, {"train": {"00001": [("ship", SHIP)], "00002": [("boat", SHIP)]}})

    def test_it_is_an_error_unless_it_is_to_be_left_out(self, bad, capsys):
        assert cli.main(["data", "check", str(bad)]) == 65
        text = capsys.readouterr().out
        assert "error class_unknown: 1 left out; first: object 1, name" in text and "00002.xml:12" in text
        assert "not usable as it is" in text
        assert cli.main(["data", "check", str(bad), "--on_broken", "skip"]) == 0
        assert "warning class_unknown" in capsys.readouterr().out

    def test_malformed_boxes_are_dropped_unless_they_are_to_be_an_error(self, tmp_path, capsys):
        write_dior(tmp_path, {"train": {"00001": [("ship", SHIP), ("ship", (5, 5, 50, 9))]}})
        assert cli.main(["data", "check", str(tmp_path)]) == 0
        text = capsys.readouterr().out
        assert "malformed boxes: 1" in text and "object 2 (ship), bndbox: x from 5 to 50 in an image of 40 x 30" in text
        assert cli.main(["data", "check", str(tmp_path), "--on_malformed", "error"]) == 65

    def test_subset_and_export_stop(self, bad, tmp_path, capsys):
        for words in (["subset"], ["export", "--as", "coco"]):
            place = [str(bad), str(tmp_path.parent / f"{tmp_path.name}-{words[0]}"), *words[1:]]
            assert cli.main(["data", words[0], *place]) == 65
            assert "1 objects of 1 classes that DIOR does not have" in capsys.readouterr().err
            assert cli.main(["data", words[0], *place, "--on_broken", "skip"]) == 0
            assert json.loads(capsys.readouterr().out)["left_out"] == {"class_unknown": 1}

    @pytest.mark.parametrize(
        "words",
        [["--geometry", "polygon"], ["--names", "[a]"], ["--layout", "2023"], ["--boxes", "round"], ["--block", "0"],
         ["--draw", "OUT", "many"]],
    )  # fmt: skip
    def test_words_that_mean_nothing(self, tiny, words, capsys):
        assert cli.main(["data", "check", str(tiny), *words]) == 64
        assert capsys.readouterr().err

    @pytest.mark.parametrize("words", [["--boxes", "oriented"], ["--block", "5"], ["--on_malformed", "error"]])
    def test_words_of_this_format_mean_nothing_to_others(self, small_world, echo_world, words, capsys):
        for path, name in ((small_world, "anovox"), (echo_world, "echo")):
            assert cli.main(["data", "check", str(path), *words]) == 64
            assert f"means nothing for the format {name}" in capsys.readouterr().err


def test_check_draws_boxes_on_images_that_are_there(tiny, tmp_path, capsys):
    (tiny / "JPEGImages-test" / "00021.jpg").unlink()
    assert cli.main(["data", "check", str(tiny), "--draw", str(tmp_path / "drawn"), "9"]) == 0
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 4
    capsys.readouterr()
    write_dior(tmp_path / "bare", TINY, pictures=False)
    assert cli.main(["data", "check", str(tmp_path / "bare"), "--draw", str(tmp_path / "none"), "9"]) == 64
    assert "no image to draw on" in capsys.readouterr().err


def test_a_part_and_its_boxes_for_other_programs(tiny, tmp_path, capsys):
    assert cli.main(["data", "subset", str(tiny), str(tmp_path / "part"), "--groups", "bay", "--link"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["groups"], told["images"], told["objects"]) == (1, 2, 3)
    assert cli.main(["data", "export", str(tmp_path / "part"), str(tmp_path / "out"), "--as", "coco"]) == 0
    coco = COCO(json.loads(capsys.readouterr().out)["path"])
    assert len(coco.imgs) == 2 and len(coco.anns) == 3 and {one["scene"] for one in coco.imgs.values()} == {"bay"}
    capsys.readouterr()
    assert cli.main(["data", "check", str(tmp_path / "out"), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["format"] == "coco" and content["objects"] == 3 and content["shared_groups"] == 1
    assert cli.main(["data", "subset", str(tiny), str(tmp_path / "other"), "--patients", "bay"]) == 64
    assert "--patients means nothing for the format dior" in capsys.readouterr().err


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real annotations are not at hand")
def test_the_real_annotations(capsys):
    assert cli.main(["data", "check", str(SHARED), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["objects"] == content["oriented"]["objects"] == 1851 and content["malformed"] == 0
    assert content["classes"]["ship"]["objects"] == 706
