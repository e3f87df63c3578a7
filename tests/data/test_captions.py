"""Captions beside images: every sentence goes to its image, and what cannot be meant is refused by its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from veritrain.data.captions import CAPTIONS, find_captions, problem_counts, read_captions
from veritrain.data.detection_inventory import AnnotationError
from veritrain.errors import DataError, LayoutError

IMAGES = ("00001", "00002", "sub/00003")


def write(folder: Path, entries: object) -> Path:
    (folder / CAPTIONS).write_text(json.dumps({"images": entries}), encoding="utf-8")
    return folder / CAPTIONS


def entry(filename: str, *texts: str) -> dict[str, object]:
    return {"filename": filename, "sentences": [{"raw": text} for text in texts]}


WHOLE = [entry("00002.jpg", "two ships ."), entry("00001.png", "a dam .", "one dam ."), entry("00003.jpg", "a port .")]


def test_sentences_go_to_their_images_in_the_order_of_the_images(tmp_path):
    found = read_captions(write(tmp_path, WHOLE), IMAGES)
    assert list(found.of.items()) == [
        ("00001", ("a dam .", "one dam .")),
        ("00002", ("two ships .",)),
        ("sub/00003", ("a port .",)),
    ]
    assert found.problems == ()


@pytest.mark.parametrize(
    ("filename", "image"),
    [
        ("00001.jpg", "00001"),
        ("JPEGImages/00001.jpg", "00001"),
        ("JPEGImages\\00001.jpg", "00001"),
        ("00003.jpg", "sub/00003"),
        ("other/00003.jpg", None),
        ("100001.jpg", None),
        (" ", None),
    ],
)
def test_a_file_name_means_an_image_folder_by_folder(tmp_path, filename, image):
    found = read_captions(write(tmp_path, [entry(filename, "x"), entry("00002.jpg", "y")]), IMAGES, on_broken="skip")
    assert set(found.of) == {"00002"} | ({image} if image else set())


def test_a_name_that_two_images_end_in_means_neither(tmp_path):
    file = write(tmp_path, [entry("a/1.jpg", "x"), entry("b/1.jpg", "y"), entry("1.jpg", "z")])
    with pytest.raises(AnnotationError, match="not there"):
        read_captions(file, ("a/1", "b/1"))


@pytest.mark.parametrize(
    ("entries", "name", "told"),
    [
        ([*WHOLE, entry("00009.jpg", "a ship")], "caption_of_unknown_image", r"images\[3\]: captions of an image that"),
        ([*WHOLE, entry("00001.jpg", "a ship")], "captions_repeated", r"images\[3\]"),
        ([entry("00001.jpg", "a dam", "  "), *WHOLE[::2]], "caption_empty", r"images\[0\], 00001.jpg, sentences\[1\]"),
        ([{"filename": "00001.jpg", "sentences": [{"words": "x"}, {"raw": "a dam"}]}, *WHOLE[::2]], "caption_empty",
         r"sentences\[0\]: a caption without words"),
        (WHOLE[:2], "image_without_caption", "an image without captions"),
        ([*WHOLE[:2], {"filename": "00003.jpg", "sentences": []}], "image_without_caption", "without captions"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_an_error_or_counted(tmp_path, entries, name, told):
    file = write(tmp_path, entries)
    with pytest.raises(AnnotationError, match=told) as caught:
        read_captions(file, IMAGES)
    assert caught.value.name == name and str(file) in str(caught.value) and isinstance(caught.value, DataError)
    found = read_captions(file, IMAGES, on_broken="skip")
    assert problem_counts(found.problems) == {name: 1}
    assert set(found.of) == set(IMAGES) - ({"sub/00003"} if name == "image_without_caption" else set())
    assert all(text.strip() for those in found.of.values() for text in those)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "list without a list 'images'"),
        ('{"images": []}', "without a list"),
        ('{"images": [{"file": "x"}]}', r"images\[0\] without a 'filename'"),
        ('{"images": [{"filename": "x.jpg"}]}', r"images\[0\] \(x.jpg\) without a list 'sentences'"),
        ('{"images": [{"filename": "x.jpg", "sentences": [{"raw": "a"}]}]}', "not there"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path, text, told):
    (tmp_path / CAPTIONS).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=told):
        read_captions(tmp_path / CAPTIONS, IMAGES)


def test_captions_of_other_images_alone_are_no_captions(tmp_path):
    with pytest.raises(LayoutError, match="says nothing of any image"):
        read_captions(write(tmp_path, [entry("x.jpg", "a ship")]), IMAGES, on_broken="skip")


def test_the_file_is_looked_for_where_it_may_lie(tmp_path):
    (tmp_path / "home").mkdir()
    with pytest.raises(LayoutError, match="no captions") as caught:
        find_captions(tmp_path, tmp_path / "home")
    assert "veritrain data make aerial" in str(caught.value)
    file = write(tmp_path / "home", WHOLE)
    assert find_captions(tmp_path, tmp_path / "home") == file
