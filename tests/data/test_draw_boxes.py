"""Labels drawn on images: at the right place, in the right colour, for every class and view."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from veritrain.data.draw_boxes import COLOURS, draw_labels, write_drawn
from veritrain.data.echo import EchoFormat
from veritrain.errors import UsageError

GREY = np.full((240, 480, 3), 90, np.uint8)


def drawn(boxes, classes, view=-1, image=GREY):
    names = {"class_names": ("AR", "MR"), "view_names": ("PSAX", "PLAX")}
    return np.asarray(draw_labels(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(classes), view, **names))


def test_a_box_is_drawn_where_it_is():
    picture = drawn([[0.5, 0.5, 0.25, 0.5]], [1])
    rows, columns = np.nonzero((picture == COLOURS[1]).all(axis=2))
    assert (columns.min(), columns.max()) == (180, 300) and rows.max() == 180
    assert (picture[100, 184:297:16] == 90).all(), "its inside stays"


def test_the_view_is_written_in_the_corner():
    corners = [drawn([], [], view)[:16, :90] for view in (-1, 0, 1)]
    assert all((corner > 150).any() for corner in corners)
    assert not any(np.array_equal(corners[a], corners[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_small_images_are_enlarged_by_a_whole_factor():
    assert drawn([], [], image=GREY[:48, :64]).shape == (48 * 8, 64 * 8, 3)


def test_pictures_of_every_class_and_view_come_first(echo_world, tmp_path):
    source = EchoFormat(echo_world)
    kinds = {(int(source.labels(key).classes[0]), source.labels(key).view) for key in list(source.keys())}
    assert write_drawn(source, tmp_path / "out", len(kinds)) == len(kinds)
    index = json.loads((tmp_path / "out" / "drawn.json").read_text())
    files = {str(source.files(key)[1]): key for key in list(source.keys())}
    shown = {(int(source.labels(files[file]).classes[0]), source.labels(files[file]).view) for file in index.values()}
    assert shown == kinds
    with Image.open(tmp_path / "out" / "0001.png") as picture:
        assert picture.size == (512, 384)


def test_more_than_there_are_is_all(echo_world, tmp_path):
    source = EchoFormat(echo_world).only(EchoFormat(echo_world).keys()[:3])
    assert write_drawn(source, tmp_path / "out", 99) == 3


@pytest.mark.parametrize("count", [0, -3])
def test_no_pictures_are_a_usage_error(echo_world, tmp_path, count):
    with pytest.raises(UsageError, match="cannot be written"):
        write_drawn(EchoFormat(echo_world), tmp_path / "out", count)


def test_nothing_is_written_over(echo_world, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="cannot be written"):
        write_drawn(EchoFormat(echo_world), tmp_path, 2)
