"""Single files; what the whole format does with broken ones is tested in test_anovox.py."""

from __future__ import annotations

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from veritrain.data.sensors import read_cloud, read_depth, read_ids, read_rgb, read_voxels
from veritrain.errors import BrokenFileError
from veritrain.worlds.anovox_writer import encode_depth


@given(st.floats(0, 999))
def test_depth_survives_its_code(tmp_path_factory, metres):
    path = tmp_path_factory.mktemp("depth") / "depth.png"
    Image.fromarray(encode_depth(np.full((2, 3), metres))).save(path)
    np.testing.assert_allclose(read_depth(path), metres, atol=1000 / 2**24)


def test_arrays_come_back_as_they_were(tmp_path):
    cloud = np.random.default_rng(0).normal(size=(9, 4))
    np.save(tmp_path / "a.npy", cloud)
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.npy", np.float64), cloud)
    np.save(tmp_path / "v.npy", cloud.astype(np.uint16))
    assert read_voxels(tmp_path / "v.npy").dtype == np.uint16
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / "i.png")
    np.testing.assert_array_equal(read_ids(tmp_path / "i.png"), np.arange(12).reshape(3, 4))


def test_an_empty_cloud_is_refused_unless_allowed(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 4), np.float32))
    with pytest.raises(BrokenFileError, match="empty"):
        read_cloud(tmp_path / "a.npy", np.float32)
    assert read_cloud(tmp_path / "a.npy", np.float32, allow_empty=True).shape == (0, 4)


def test_a_header_that_promises_terabytes_takes_no_memory(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 4)})
    (tmp_path / "a.npy").write_bytes(stream.getvalue())
    tracemalloc.start()
    with pytest.raises(BrokenFileError, match="promises"):
        read_cloud(tmp_path / "a.npy", np.float32)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_a_colour_label_image_is_named_as_the_older_sample(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(BrokenFileError) as caught:
        read_ids(tmp_path / "a.png")
    assert "2023" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    for read in (read_rgb, read_ids, read_voxels):
        with pytest.raises(BrokenFileError) as caught:
            read(tmp_path / "none")
        assert caught.value.file == str(tmp_path / "none")
