"""A decoded frame on disk: what was written comes back, and nothing else does."""

from __future__ import annotations

import numpy as np
import pytest

from veritrain.data import entry
from veritrain.data.entry import ALIGNMENT, entry_bytes, read_about, read_entry, store_entry
from veritrain.errors import BrokenFileError

ARRAYS = {
    "image": np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3),
    "points": np.linspace(-1, 1, 20, dtype=np.float32).reshape(5, 4),
    "none": np.zeros((0, 4), np.float32),
    "labels": np.array([-1, 0, 1, 0, -1], np.int8),
    "matrix": np.eye(4)[:, ::-1],
}
ABOUT = {"frame_label": -1, "content_hash": "é" * 8}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "a.frame"
    file.write_bytes(entry_bytes(ARRAYS, ABOUT))
    return file


def test_what_was_written_comes_back(path):
    arrays, about = read_entry(path)
    assert about == ABOUT == read_about(path)
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype and np.array_equal(arrays[name], array)
        assert arrays[name].flags.writeable, "torch wants arrays that it could write to"
        if array.size:
            assert arrays[name].flags.aligned


def test_arrays_start_where_memory_likes_it():
    content = entry_bytes(ARRAYS, ABOUT)
    assert len(content) % ALIGNMENT == 0
    assert content.find(ARRAYS["points"].tobytes()) % ALIGNMENT == 0


@pytest.mark.parametrize("keep", [0, 3, 60, 200, -1])
def test_a_torn_file_is_noticed(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    for read in (read_entry, read_about):
        with pytest.raises(BrokenFileError, match="not a whole decoded frame"):
            read(path)


def test_every_changed_byte_that_is_read_is_noticed(path):
    content = path.read_bytes()
    first = content.index(b"\n") + 1
    header = int(content.split(b" ")[2])
    padding = range(first + header, first + header + -(first + header) % ALIGNMENT)
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 0x01
        path.write_bytes(bytes(changed))
        if place in padding:
            continue
        with pytest.raises(BrokenFileError):
            read_entry(path)
        if place in range(first, first + header):
            with pytest.raises(BrokenFileError):
                read_about(path)


def test_an_entry_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "ab" / "abc.frame"
    store_entry(path, ARRAYS, ABOUT)
    assert read_about(path) == ABOUT and [file.name for file in tmp_path.iterdir()] == ["ab"]

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(entry.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        store_entry(tmp_path / "cd" / "cde.frame", ARRAYS, ABOUT)
    assert not list(tmp_path.rglob("*.part")) and not list((tmp_path / "cd").iterdir())
