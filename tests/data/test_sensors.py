"""Single files; what the whole format does with broken ones is tested in test_anovox.py."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from veritrain.data.sensors import (
    read_cloud,
    read_depth,
    read_instance,
    read_labelled_lidar,
    read_lidar,
    read_rgb,
    read_route,
    read_semantic,
    read_voxels,
)
from veritrain.errors import BrokenFileError
from veritrain.worlds.anovox_writer import encode_depth


@settings(deadline=None)
@given(st.floats(0, 999))
def test_depth_survives_its_code(tmp_path_factory, metres):
    path = tmp_path_factory.mktemp("depth") / "depth.png"
    Image.fromarray(encode_depth(np.full((2, 3), metres))).save(path)
    depth = read_depth(path)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, metres, atol=1.5 * 1000 / 2**24)  # half a step of the code, one of float32


def test_arrays_come_back_as_they_were(tmp_path):
    cloud = np.random.default_rng(0).normal(size=(9, 4))
    np.save(tmp_path / "a.npy", cloud)
    np.testing.assert_array_equal(read_cloud(tmp_path / "a.npy", np.float64), cloud)
    np.save(tmp_path / "v.npy", np.arange(8, dtype=np.uint16).reshape(2, 4))
    assert read_voxels(tmp_path / "v.npy").dtype == np.uint16
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / "i.png")
    np.testing.assert_array_equal(read_semantic(tmp_path / "i.png"), np.arange(12).reshape(3, 4))


def test_an_empty_cloud_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((0, 4), np.float32))
    with pytest.raises(BrokenFileError, match="empty"):
        read_cloud(tmp_path / "a.npy", np.float32)


def test_a_header_that_promises_terabytes_takes_no_memory(tmp_path):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 4)})
    (tmp_path / "a.npy").write_bytes(stream.getvalue())
    tracemalloc.start()
    with pytest.raises(BrokenFileError, match="promises"):
        read_cloud(tmp_path / "a.npy", np.float32)
    assert tracemalloc.get_traced_memory()[1] < 5e6
    tracemalloc.stop()


def test_depth_by_hand(tmp_path):
    """The formula's own corners; 255 * 65536 overflows any smaller type than int32."""
    coded = np.array([[[0, 0, 0], [255, 255, 255], [1, 0, 0], [0, 0, 128]]], np.uint8)
    Image.fromarray(coded).save(tmp_path / "d.png")
    expected = [0.0, 1000.0, 1000 / 16777215, 1000 * 128 * 65536 / 16777215]
    np.testing.assert_allclose(read_depth(tmp_path / "d.png")[0], expected, rtol=1e-6)


def test_a_semantic_image_is_read_by_its_mode(tmp_path):
    Image.new("RGB", (4, 3), (245, 30, 0)).save(tmp_path / "colour.png")
    Image.new("L", (4, 3), 30).save(tmp_path / "grey.png")
    colour, grey = read_semantic(tmp_path / "colour.png"), read_semantic(tmp_path / "grey.png")
    np.testing.assert_array_equal(colour, grey)
    assert colour.dtype == grey.dtype == np.uint8 and colour.shape == (3, 4)
    for mode in ("P", "RGBA", "1", "I;16", "LA"):
        Image.new(mode, (4, 3)).save(tmp_path / "other.png")
        with pytest.raises(BrokenFileError, match="another mode"):
            read_semantic(tmp_path / "other.png")


def test_instances_and_routes(tmp_path):
    Image.fromarray(np.array([[[14, 2, 1], [30, 255, 255]]], np.uint8)).save(tmp_path / "i.png")
    ids, numbers = read_instance(tmp_path / "i.png")
    assert ids.tolist() == [[14, 30]] and numbers.tolist() == [[258, 65535]]
    Image.fromarray(np.array([[0, 255, 127, 128]], np.uint8)).save(tmp_path / "r.png")
    assert read_route(tmp_path / "r.png").tolist() == [[False, True, False, True]]


@pytest.fixture(scope="module")
def bomb(tmp_path_factory) -> Path:
    """A small file that names 1.6 billion pixels."""
    file = tmp_path_factory.mktemp("bomb") / "a.png"
    Image.new("1", (40_000, 40_000)).save(file)
    return file


@pytest.mark.parametrize("read", [read_rgb, read_semantic, read_depth, read_instance, read_route])
def test_a_huge_image_is_refused_before_it_is_decoded(bomb, read):
    with pytest.raises(BrokenFileError, match=r"too large|bomb"):
        read(bomb)


@pytest.mark.parametrize("cell", [(1000, 0, 0), (0, 1000, 0), (0, 0, 64), (65535, 65535, 65535)])
def test_voxels_outside_the_grid_are_refused(tmp_path, cell):
    np.save(tmp_path / "v.npy", np.array([[999, 999, 63, 1], [*cell, 1]], np.uint16))
    with pytest.raises(BrokenFileError, match="outside the grid") as caught:
        read_voxels(tmp_path / "v.npy")
    assert str(list(cell)) in caught.value.found


def test_a_missing_file_is_named(tmp_path):
    for read in (
        read_rgb,
        read_semantic,
        read_depth,
        read_instance,
        read_route,
        read_voxels,
        read_lidar,
        read_labelled_lidar,
    ):
        with pytest.raises(BrokenFileError) as caught:
            read(tmp_path / "none")
        assert caught.value.file == str(tmp_path / "none")
