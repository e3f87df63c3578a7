"""Decoded once; never stale, never half-written, never in the way."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from veritrain.data.anovox import AnoVoxFormat
from veritrain.data.frame_cache import CachedFrames, open_anovox
from veritrain.data.options import AnoVoxOptions
from veritrain.errors import BrokenFileError, LayoutError


def entries(world: Path) -> list[Path]:
    return sorted((world.parent / ".veritrain-cache").rglob("*.frame"))


def one(world: Path, pattern: str) -> Path:
    return sorted(world.rglob(pattern))[0]


def assert_equal(one, other):
    for name in ("image", "points", "point_labels", "point_ids", "pixel_labels"):
        a, b = getattr(one, name), getattr(other, name)
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype
    assert (one.id, one.group, one.kind, one.frame_label) == (other.id, other.group, other.kind, other.frame_label)
    np.testing.assert_array_equal(one.calibration.intrinsics, other.calibration.intrinsics)
    np.testing.assert_array_equal(one.calibration.camera_from_lidar, other.calibration.camera_from_lidar)


def test_frames_come_back_as_they_were_read(small_world, tmp_path):
    source = AnoVoxFormat(small_world)
    cached = CachedFrames(source, folder=tmp_path)
    assert cached.keys() == source.keys()
    for key in source.keys()[::5]:
        assert_equal(cached.read(key), source.read(key))
        assert cached.content_hash(key) == source.content_hash(key)
        assert cached.frame_label(key) == source.read(key).frame_label
    assert not list(tmp_path.rglob("*.part"))


def test_the_second_time_nothing_is_decoded(world, monkeypatch):
    open_anovox(world)
    assert len(entries(world)) == 4

    def never(*_):
        raise AssertionError("decoded again")

    monkeypatch.setattr(AnoVoxFormat, "read", never)
    again = open_anovox(world)
    assert len([again.read(key) for key in list(again.keys())]) == 4


def test_the_data_set_itself_is_not_touched(world):
    before = {path: path.stat().st_mtime_ns for path in world.rglob("*")}
    open_anovox(world)
    assert {path: path.stat().st_mtime_ns for path in world.rglob("*")} == before


def test_a_changed_file_of_equal_size_and_time_is_read_again(world):
    first = open_anovox(world)
    key = first.keys()[0]
    file = one(world, "LIDAR(*.npy")
    stamp = file.stat()
    cloud = np.load(file)
    cloud[0] += 1
    np.save(file, cloud)
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    again = open_anovox(world)
    assert again.content_hash(key) != first.content_hash(key)
    np.testing.assert_array_equal(again.read(key).points, cloud)


def test_other_options_have_other_entries(world):
    open_anovox(world)
    strict = open_anovox(world, AnoVoxOptions(minimum_visible=10_000))
    assert {strict.frame_label(key) for key in list(strict.keys())} == {0}
    assert len(entries(world)) == 8


@pytest.mark.parametrize("keep", [0, 100, -1])
def test_a_torn_entry_is_made_again(world, keep):
    whole = open_anovox(world)
    key = whole.keys()[0]
    expected = whole.read(key)
    for entry in entries(world):
        entry.write_bytes(entry.read_bytes()[:keep])
    assert_equal(whole.read(key), expected)  # torn while in use
    assert_equal(open_anovox(world).read(key), expected)


def test_a_flipped_bit_in_an_entry_is_noticed(world):
    whole = open_anovox(world)
    key = whole.keys()[0]
    expected = whole.read(key)
    for entry in entries(world):
        content = bytearray(entry.read_bytes())
        content[len(content) // 2] ^= 0xFF
        entry.write_bytes(bytes(content))
    assert_equal(whole.read(key), expected)


def test_several_readers_at_once_are_no_trouble(world):
    with ThreadPoolExecutor(4) as pool:
        hashes = list(pool.map(lambda _: _hashes(world), range(4)))
    assert all(found == hashes[0] for found in hashes)
    assert len(entries(world)) == 4


def _hashes(world):
    cached = open_anovox(world)
    return [cached.content_hash(key) for key in list(cached.keys())]


class TestBroken:
    def test_a_broken_frame_is_listed_counted_and_left_out(self, world):
        file = one(world, "RGB-CAM*.png")
        file.write_bytes(file.read_bytes()[:99])
        cached = open_anovox(world)
        assert len(cached.keys()) == 3
        problems = cached.inventory().skipped_frames
        assert [problem.file for problem in problems] == [str(file)]
        assert "cannot be read as an image" in problems[0].reason
        with pytest.raises(LayoutError, match="no readable frame"):
            cached.read(AnoVoxFormat(world).keys()[0])

    def test_or_it_is_an_error_by_policy(self, world):
        one(world, "LIDAR(*.npy").write_bytes(b"")
        with pytest.raises(BrokenFileError, match="cannot be read as an array") as caught:
            open_anovox(world, AnoVoxOptions(on_broken="error"))
        assert caught.value.file and caught.value.fix, "nothing of the error is lost between processes"

    def test_no_whole_frame_at_all_is_an_error(self, world):
        for file in world.rglob("RGB-CAM*.png"):
            file.write_bytes(b"")
        with pytest.raises(LayoutError, match="no frame of the data set can be read"):
            open_anovox(world)
