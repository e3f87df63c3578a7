"""Where the files of DIOR's layout lie, in the arrangements that are met."""

from __future__ import annotations

import shutil

import pytest

from dior_folders import FOLDERS, SHIP, TINY, write_dior
from veritrain.data.dior_layout import find_dior, looks_like_dior
from veritrain.errors import LayoutError

IDS = ["00001", "00002", "00011", "00021", "00022"]
CORNERS = {name: [("ship", (1, 1, 9, 1, 9, 9, 1, 9))] for name in IDS}


@pytest.mark.parametrize("layout", FOLDERS)
def test_every_arrangement_is_found(tmp_path, layout):
    write_dior(tmp_path, TINY, layout=layout, oriented=None if layout == "flat" else CORNERS)
    assert looks_like_dior(tmp_path)
    found = find_dior(tmp_path)
    assert list(found.horizontal) == IDS == list(found.images)
    assert list(found.oriented) == ([] if layout == "flat" else IDS)
    assert {part: [line.text for line in lines] for part, lines in found.splits.items()} == {
        "train": ["00001", "00002"], "val": ["00011"], "test": ["00021", "00022"],
    }  # fmt: skip
    assert [line.line for line in found.splits["train"]] == [1, 2] and found.scenes is None


def test_a_flat_folder_tells_its_kind_by_its_first_file(tmp_path):
    write_dior(tmp_path, {"train": {"00001": []}}, layout="flat")
    folder = tmp_path / "Annotations"
    write_dior(tmp_path / "x", {"": {"00001": []}}, oriented={"00001": CORNERS["00001"]}, pictures=False)
    shutil.copy(tmp_path / "x" / "Annotations" / "Oriented Bounding Boxes" / "00001.xml", folder / "00001.xml")
    shutil.rmtree(tmp_path / "x")
    found = find_dior(tmp_path)
    assert list(found.oriented) == ["00001"] and not found.horizontal


def test_scenes_lie_beside_the_split_folder(tmp_path):
    for layout in ("spaces", "repository", "nested"):
        root = write_dior(tmp_path / layout, TINY, layout=layout, scenes=dict.fromkeys(IDS, "a"))
        found = find_dior(root)
        assert found.scenes is not None and found.scenes.parent == found.home
        assert (found.home / "ImageSets").is_dir() or (found.home / "splits").is_dir()


def test_leftovers_of_archives_are_no_data(tmp_path):
    write_dior(tmp_path, TINY)
    junk = tmp_path / "__MACOSX" / "Annotations" / "Horizontal Bounding Boxes"
    junk.mkdir(parents=True)
    (junk / "00001.xml").write_text("junk")
    (tmp_path / "Annotations" / "Horizontal Bounding Boxes" / "._00001.xml").write_text("junk")
    (tmp_path / "JPEGImages-test" / "Thumbs.db").write_text("junk")
    assert list(find_dior(tmp_path).horizontal) == IDS == list(find_dior(tmp_path).images)


def test_a_part_of_both_is_train_where_neither_has_a_file(tmp_path):
    write_dior(tmp_path, {"trainval": {"00001": [], "00002": []}, "test": {"00003": []}})
    found = find_dior(tmp_path)
    assert list(found.splits) == ["train", "test"] and found.other_lists == ()
    write_dior(tmp_path, {"train": {"00001": []}, "val": {"00002": []}})
    found = find_dior(tmp_path)
    assert [line.text for line in found.splits["train"]] == ["00001"]
    assert [file.name for file in found.other_lists] == ["trainval.txt"]


def test_blank_lines_and_marks_are_nothing(tmp_path):
    write_dior(tmp_path, TINY)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_bytes(b"\xef\xbb\xbf00001\r\n\r\n  00002 \n\n")
    assert [(line.line, line.text) for line in find_dior(tmp_path).splits["train"]] == [(1, "00001"), (3, "00002")]


class TestRefused:
    def test_nothing_there(self, tmp_path):
        assert not looks_like_dior(tmp_path) and not looks_like_dior(tmp_path / "none")
        for path in (tmp_path, tmp_path / "none"):
            with pytest.raises(LayoutError, match="no annotations in DIOR's layout"):
                find_dior(path)

    def test_two_files_for_one_id(self, tmp_path):
        write_dior(tmp_path, TINY)
        shutil.copytree(tmp_path / "JPEGImages-test", tmp_path / "JPEGImages")
        with pytest.raises(LayoutError, match="two files for the image '0002") as caught:
            find_dior(tmp_path)
        assert "JPEGImages-test" in str(caught.value)

    def test_a_split_file_that_is_no_text(self, tmp_path):
        write_dior(tmp_path, TINY)
        (tmp_path / "ImageSets" / "Main" / "val.txt").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(LayoutError, match="no text"):
            find_dior(tmp_path)

    def test_folders_of_other_formats_are_not_recognised(self, tmp_path, echo_world, small_world):
        assert not looks_like_dior(echo_world) and not looks_like_dior(small_world)
        (tmp_path / "Annotations").mkdir()
        (tmp_path / "Annotations" / "a.xml").write_text("<annotation/>")
        assert not looks_like_dior(tmp_path), "annotations alone, flat and without split files, could be anything"


def test_one_box(tmp_path):
    """A set of one file is a set."""
    write_dior(tmp_path, {"": {"00001": [("ship", SHIP)]}}, pictures=False)
    found = find_dior(tmp_path)
    assert list(found.horizontal) == ["00001"] and not found.splits and not found.images and found.home == tmp_path
