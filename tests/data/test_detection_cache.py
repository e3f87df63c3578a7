"""Decoded images on disk: the same as read, made once, never stale."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from label_folders import BOX, write_set
from veritrain.data.detection_cache import CachedDetections, open_echo
from veritrain.data.echo import EchoFormat
from veritrain.data.options import EchoOptions
from veritrain.errors import BrokenFileError, LayoutError

SKIP = EchoOptions(on_broken="skip")
LABELS = {"train/ann-s.mp4-1": BOX, "train/ann-s.mp4-2": "", "valid/bob-s.mp4-1": BOX}


@pytest.fixture
def data(tmp_path):
    return write_set(tmp_path / "data", LABELS)


def entries(data):
    return sorted((data.parent / ".veritrain-cache").rglob("*.frame"))


def assert_equal(one, other):
    assert vars(one).keys() == vars(other).keys()
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(value, getattr(other, name))
            assert value.dtype == getattr(other, name).dtype
        else:
            assert value == getattr(other, name)


def test_samples_come_back_as_they_were_read(echo_world, tmp_path):
    source = EchoFormat(echo_world)
    cached = CachedDetections(source, folder=tmp_path, workers=1)
    assert cached.keys() == source.keys() and (cached.classes, cached.views) == (source.classes, source.views)
    for key in source.keys()[::9]:
        assert_equal(cached.read(key), source.read(key))
        assert cached.content_hash(key) == source.content_hash(key) and cached.stored_size(key) == (128, 96)
    assert cached.inventory() == source.inventory() and not list(tmp_path.rglob("*.part"))


def test_several_workers_make_the_same(echo_world, tmp_path):
    one = CachedDetections(EchoFormat(echo_world), folder=tmp_path / "a", workers=1)
    seen = []
    two = CachedDetections(
        EchoFormat(echo_world), folder=tmp_path / "b", workers=2, progress=lambda *place: seen.append(place)
    )
    assert seen[-1] == (54, 54)
    assert [one.content_hash(key) for key in list(one.keys())] == [two.content_hash(key) for key in list(two.keys())]


def test_the_second_time_nothing_is_decoded(data, monkeypatch):
    open_echo(data, workers=1)
    assert len(entries(data)) == 3

    def never(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(EchoFormat, "read", never)
    again = open_echo(data, workers=1)
    assert len([again.read(key) for key in list(again.keys())]) == 3


def test_the_data_set_itself_is_not_touched(data):
    before = {path: path.stat().st_mtime_ns for path in data.rglob("*")}
    open_echo(data, workers=1)
    assert {path: path.stat().st_mtime_ns for path in data.rglob("*")} == before


def test_a_changed_image_of_equal_size_and_time_is_read_again(data):
    first = open_echo(data, workers=1)
    key = first.keys()[0]
    file = data / f"{key.id}.png".replace("data/", "")
    content = np.asarray(Image.open(file)).copy()
    stamp = file.stat()
    content[:] = 255 - content
    Image.fromarray(content).save(file)
    os.truncate(file, file.stat().st_size)
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    again = open_echo(data, workers=1)
    np.testing.assert_array_equal(again.read(key).image, content)
    assert again.content_hash(key) != first.content_hash(key)


def test_a_changed_label_of_equal_size_and_time_is_read_again(data):
    key = open_echo(data, workers=1).keys()[0]
    file = data / f"{key.id.replace('images', 'labels')}.txt"
    stamp = file.stat()
    file.write_text("3 0.4 0.5 0.2 0.4\n")
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    sample = open_echo(data, workers=1).read(key)
    assert sample.classes.tolist() == [3] and sample.boxes[0, 0] == np.float32(0.4)


def test_a_cache_file_of_another_program_is_never_read(data):
    (data / "train" / "labels.cache").write_bytes(b"\x80\x04cos\nsystem\n")
    assert len(open_echo(data, workers=1).keys()) == 3


def test_another_size_has_other_entries(data):
    open_echo(data, workers=1)
    small = open_echo(data, EchoOptions(longest_side=32), workers=1)
    sample = small.read(small.keys()[0])
    assert len(entries(data)) == 6 and sample.image.shape == (24, 32, 3) and (sample.width, sample.height) == (64, 48)


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_torn_entry_is_made_again(data, keep):
    whole = open_echo(data, workers=1)
    key = whole.keys()[0]
    expected = whole.read(key)
    for entry in entries(data):
        entry.write_bytes(entry.read_bytes()[:keep])
    assert_equal(whole.read(key), expected)
    assert_equal(open_echo(data, workers=1).read(key), expected)


class TestBroken:
    @pytest.fixture
    def torn(self, data):
        file = data / "train" / "images" / "ann-s.mp4-1.png"
        file.write_bytes(file.read_bytes()[:70])
        return file

    @pytest.mark.parametrize("workers", [1, 2])
    def test_a_broken_image_stops_by_default_and_names_its_file(self, data, torn, workers):
        with pytest.raises(BrokenFileError, match="cannot be read as an image") as caught:
            open_echo(data, workers=workers)
        assert caught.value.file == str(torn) and caught.value.fix, "nothing of the error is lost between processes"

    def test_or_it_is_left_out_and_listed(self, data, torn):
        cached = open_echo(data, SKIP, workers=1)
        (problem,) = cached.inventory().problems
        assert (problem.name, problem.file) == ("image_broken", str(torn)) and "cannot be read" in problem.reason
        assert len(cached.keys()) == 2 == cached.inventory().frames
        with pytest.raises(LayoutError, match="no readable image"):
            cached.read(EchoFormat(data).keys()[0])

    def test_a_vanished_image_is_listed_too(self, data):
        source = EchoFormat(data, SKIP)
        (data / "train" / "images" / "ann-s.mp4-1.png").unlink()
        cached = CachedDetections(source, workers=1)
        assert cached.broken[0].reason == "No such file or directory" and len(cached.keys()) == 2

    def test_nothing_whole_is_an_error(self, data):
        for file in data.rglob("*.png"):
            file.write_bytes(b"")
        with pytest.raises(LayoutError, match="no image of the data set decodes"):
            open_echo(data, SKIP, workers=1)


def test_copies_share_an_entry(data):
    shutil.copy(data / "train" / "images" / "ann-s.mp4-1.png", data / "train" / "images" / "ann-s.mp4-1(1).png")
    shutil.copy(data / "train" / "labels" / "ann-s.mp4-1.txt", data / "train" / "labels" / "ann-s.mp4-1(1).txt")
    cached = open_echo(data, workers=1)
    assert len(cached.keys()) == 4 and len(entries(data)) == 3
