"""JPEG and PNG to RGB: what comes back, and what is refused."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from veritrain.data import image_file
from veritrain.data.image_file import image_hash, image_size, read_image, smaller
from veritrain.errors import BrokenFileError

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (24, 40, 3), dtype=np.uint8)


def saved(path, image, **how):
    image.save(path, **how)
    return path


def test_a_png_comes_back_bit_for_bit(tmp_path):
    found = read_image(saved(tmp_path / "a.png", Image.fromarray(PICTURE)))
    np.testing.assert_array_equal(found, PICTURE)
    assert found.dtype == np.uint8 and found.flags.writeable


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_other_modes_become_rgb(tmp_path, mode):
    ending = {"CMYK": "jpg"}.get(mode, "png")
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(PICTURE).convert(mode))
    assert read_image(path).shape == (24, 40, 3)


def test_a_turned_photograph_is_turned_back(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    path = saved(tmp_path / "a.jpg", Image.fromarray(PICTURE), exif=turned, quality=95)
    assert read_image(path).shape == (40, 24, 3)


def jpeg_bytes():
    content = io.BytesIO()
    Image.fromarray(PICTURE).save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"no image", jpeg_bytes()[:200], jpeg_bytes()[:-60], b"GIF89a" + bytes(40)], ids=range(5)
)
def test_what_is_no_whole_image_is_refused_by_name(tmp_path, content):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(BrokenFileError, match="cannot be read as an image") as caught:
        read_image(tmp_path / "x.jpg")
    assert caught.value.file == str(tmp_path / "x.jpg") and caught.value.fix and caught.value.found


def test_sixteen_bits_are_refused_not_cut(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(np.full((4, 4), 4000, np.uint16)))
    with pytest.raises(BrokenFileError, match="image"):
        read_image(path)


def test_a_huge_image_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(image_file, "MAX_PIXELS", 100)
    with pytest.raises(BrokenFileError) as caught:
        read_image(saved(tmp_path / "a.png", Image.fromarray(PICTURE)))
    assert "40 x 24" in str(caught.value.found)


def test_how_to_leave_a_broken_image_out_is_said_as_it_is_typed(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    with pytest.raises(BrokenFileError, match="--on_broken skip"):
        read_image(tmp_path / "a.png")


def test_a_missing_file_stays_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "none.png")


def test_smaller_by_area_means():
    half = smaller(PICTURE, 20)
    assert half.shape == (12, 20, 3)
    expected = PICTURE.reshape(12, 2, 20, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - expected).max() <= 1
    assert smaller(PICTURE, 0) is PICTURE and smaller(PICTURE, 40) is PICTURE and smaller(PICTURE, 99) is PICTURE


def test_the_hash_knows_shape_and_pixels():
    assert image_hash(PICTURE) == image_hash(PICTURE.copy()) != image_hash(PICTURE.reshape(40, 24, 3))
    other = PICTURE.copy()
    other[3, 3, 1] ^= 1
    assert image_hash(other) != image_hash(PICTURE)


class TestSize:
    def test_it_is_that_of_the_decoded_image(self, tmp_path):
        for turn in (1, 3, 6, 8):
            image = Image.new("RGB", (40, 30))
            exif = image.getexif()
            exif[0x0112] = turn
            image.save(tmp_path / "a.jpg", exif=exif)
            height, width = read_image(tmp_path / "a.jpg").shape[:2]
            assert image_size(tmp_path / "a.jpg") == (width, height)
        assert image_size(tmp_path / "a.jpg") == (30, 40), "turned by a quarter"

    def test_what_is_no_image_has_no_size(self, tmp_path):
        (tmp_path / "a.jpg").write_bytes(b"no image")
        with pytest.raises(BrokenFileError):
            image_size(tmp_path / "a.jpg")
        with pytest.raises(FileNotFoundError):
            image_size(tmp_path / "none.jpg")
