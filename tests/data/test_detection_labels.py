"""Label lines: what is a box, what is a view, and what is refused, with file and line."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain.data.detection_labels import LabelError, LabelSchema, parse_labels, read_text, survey
from veritrain.data.sample import UNKNOWN

ECHO = LabelSchema(classes=4, views=3)
coordinate = st.floats(0, 1, allow_nan=False)
corners = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=9)


def parsed(text, schema=ECHO):
    return parse_labels(text, schema, "somewhere/x.txt")


def with_area(points):
    across, down = zip(*points, strict=True)
    return max(across) - min(across) > 1e-6 and max(down) - min(down) > 1e-6


class TestObjects:
    @given(number=st.integers(0, 3), points=corners.filter(with_area))
    def test_a_polygon_is_its_extent(self, number, points):
        found = parsed(" ".join([str(number), *(f"{value!r}" for point in points for value in point)]))
        across, down = np.array(points).T
        low, high = found.boxes[0, :2] - found.boxes[0, 2:] / 2, found.boxes[0, :2] + found.boxes[0, 2:] / 2
        assert found.classes.tolist() == [number] and found.polygons == 1 and found.view == UNKNOWN
        np.testing.assert_allclose(low, [across.min(), down.min()], atol=1e-6)
        np.testing.assert_allclose(high, [across.max(), down.max()], atol=1e-6)

    @given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.3, 0.7), st.floats(0.3, 0.7), st.floats(1e-3, 0.6))))
    def test_centre_and_size_come_back_as_written(self, rows):
        rows = list(dict.fromkeys(rows))
        found = parsed("".join(f"{number} {x!r} {y!r} {side!r} {side / 2!r}\n" for number, x, y, side in rows))
        expected = np.array([[x, y, side, side / 2] for _, x, y, side in rows], np.float32).reshape(-1, 4)
        np.testing.assert_array_equal(found.boxes, expected)
        assert found.classes.tolist() == [row[0] for row in rows] and found.lines == tuple(range(1, len(rows) + 1))
        assert (found.boxes.dtype, found.classes.dtype, found.polygons) == (np.float32, np.int64, 0)

    def test_the_two_kinds_stand_beside_each_other(self):
        found = parsed("0 0.5 0.5 0.2 0.4\n1 0.1 0.2 0.5 0.2 0.5 0.8\n\n1 0 0\n")
        np.testing.assert_allclose(found.boxes, [[0.5, 0.5, 0.2, 0.4], [0.3, 0.5, 0.4, 0.6]], atol=1e-7)
        assert found.classes.tolist() == [0, 1] and (found.view, found.polygons, found.objects) == (0, 1, 2)

    @pytest.mark.parametrize("text", ["", "\n", " \n\n  \n"])
    def test_an_empty_file_is_background(self, text):
        found = parsed(text)
        assert found.boxes.shape == (0, 4) and found.classes.shape == (0,) and found.view == UNKNOWN

    def test_a_repeated_line_is_no_second_box(self):
        found = parsed("0 0.5 0.5 0.2 0.4\n1 0.5 0.5 0.2 0.4\n0 0.50 .5 0.2 0.4\n")
        assert found.classes.tolist() == [0, 1] and found.repeated == (3,) and found.objects == 3


class TestView:
    @given(
        view=st.integers(0, 2), objects=st.integers(0, 3), blank=st.booleans(), end=st.sampled_from(["", "\n", "\r\n"])
    )
    def test_a_line_of_ones_and_zeros_is_never_a_box(self, view, objects, blank, end):
        lines = [f"{number} 0.{number + 2} 0.5 0.2 0.2" for number in range(objects)] + [""] * blank
        found = parsed("\r\n".join([*lines, " ".join("1" if one == view else "0" for one in range(3))]) + end)
        assert len(found.boxes) == len(found.classes) == objects and found.view == view

    def test_beside_polygons_too(self):
        # Read with the rule "a line of more than six numbers makes the whole file polygons", this gave a second box.
        found = parsed("3 0.1 0.2 0.5 0.2 0.5 0.8 0.1 0.8\n\n0 1 0")
        assert found.classes.tolist() == [3] and found.view == 1

    @pytest.mark.parametrize("views", [2, 3, 5, 7])
    def test_any_number_of_views(self, views):
        line = " ".join("1" if one == views - 1 else "0" for one in range(views))
        found = parsed(f"0 0.5 0.5 0.2 0.4\n\n{line}", LabelSchema(classes=1, views=views))
        assert found.view == views - 1 and len(found.boxes) == 1

    def test_a_missing_view_is_unknown(self):
        assert parsed("0 0.5 0.5 0.2 0.4\n").view == UNKNOWN

    def test_a_box_of_ones_and_zeros_is_a_box_where_it_has_area(self):
        assert parsed("1 0 0 1 0 1 1", LabelSchema(classes=2, views=3)).boxes.tolist() == [[0.5, 0.5, 1, 1]]


WRONG = {
    "class_unknown": ["4 .5 .5 .1 .1", "-1 .5 .5 .1 .1", "1.5 .5 .5 .1 .1", "99 .1 .1 .2 .1 .2 .2", "1e99 .5 .5 .1 .1"],
    "coordinate_outside": ["0 1.2 .5 .1 .1", "0 -.1 .5 .1 .1", "0 .95 .5 .2 .1", "0 .5 .02 .1 .1",
                           "0 .1 .1 .2 .1 .2 1.01", "0 1e999 .5 .1 .1"],
    "too_few_points": ["0 .1 .1", "2"],
    "token_count": ["0 .1", "0 .1 .1 .2", "0 .1 .1 .2 .2 .3", "0 .1 .1 .2 .2 .3 .3 .4"],
    "not_a_number": ["AR .5 .5 .1 .1", "0 nan .5 .1 .1", "0 .5,.5 .1 .1", "0 0x1 .5 .1 .1", "0 1_0 .5 .1 .1",
                     "0 ٠.5 .5 .1 .1"],
    "zero_area": ["0 .5 .5 0 .1", "0 .5 .5 .1 0", "0 .5 .5 1e-9 .1", "0 .1 .1 .1 .5 .1 .9", "0 .1 .1 .5 .1 .3 .1"],
    "view_length": ["0 1", "0 1 0 0", "1", "0 1 0 0 0", "0 0 1 0 0 0 0", "0 0", "1 1 1 1"],
    "view_not_one_hot": ["1 1 0", "0 0 0", "1 1 1"],
    "two_views": ["0 0 1"],
}  # fmt: skip


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in WRONG.items() for line in lines])
def test_what_cannot_be_meant_is_refused_with_file_and_line(name, line):
    with pytest.raises(LabelError) as caught:
        parsed(f"0 0.5 0.5 0.2 0.4\n\n1 0 0\n{line}\n")
    error = caught.value
    assert error.name == name
    assert (error.file, error.line) == ("somewhere/x.txt", 4) and error.expected and error.found and error.fix
    assert "somewhere/x.txt:4" in str(error)


def test_an_error_crosses_processes_whole():
    with pytest.raises(LabelError) as caught:
        parsed("7 .5 .5 .1 .1")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.name, again.line) == (str(caught.value), "class_unknown", 1)


def test_a_polygon_of_two_points_among_polygons():
    with pytest.raises(LabelError, match="polygon of 2 points") as caught:
        parsed("\n1 .1 .2 .5 .6", LabelSchema(classes=4, views=3, polygons_only=True))
    assert caught.value.name == "too_few_points" and caught.value.line == 2 and "mixed" in str(caught.value.fix)
    assert "somewhere/x.txt:2: a polygon of 2 points" in str(caught.value)


def test_without_known_classes_any_whole_number_is_one():
    assert parsed("812 .5 .5 .1 .1", LabelSchema(classes=None, views=0)).classes.tolist() == [812]


def test_without_views_a_line_of_three_numbers_is_refused():
    with pytest.raises(LabelError) as caught:
        parsed("0 1 0", LabelSchema(classes=None, views=0))
    assert caught.value.name == "too_few_points"


@settings(max_examples=300)
@given(st.text(alphabet="0123456789.-e \n\tx", max_size=60))
def test_any_text_gives_boxes_inside_the_image_or_a_refusal(text):
    try:
        found = parsed(text)
    except LabelError as error:
        assert error.line is not None and 1 <= error.line <= len(text.splitlines())
        return
    low, high = found.boxes[:, :2] - found.boxes[:, 2:] / 2, found.boxes[:, :2] + found.boxes[:, 2:] / 2
    assert (found.boxes[:, 2:] > 0).all() and (low >= -0.002).all() and (high <= 1.002).all()
    assert set(found.classes.tolist()) <= {0, 1, 2, 3} and found.view in (-1, 0, 1, 2)


class TestSurvey:
    def test_it_counts_lines_by_shape(self):
        seen = survey(["0 .5 .5 .1 .1\n\n0 1 0", "1 .1 .1 .2 .1 .2 .2\n1 0 0\n", ""])
        assert (seen.boxes, seen.polygons, seen.files, seen.views) == (1, 1, 3, 3)

    def test_views_of_a_length_that_objects_have_are_believed_where_half_of_the_files_have_them(self):
        assert survey(["0 .5 .5 .1 .1\n0 1 0 0 0"] * 2 + [""]).views == 5
        assert survey(["0 .5 .5 .1 .1\n0 1 0 0 0"] + ["0 .5 .5 .1 .1"] * 3).views == 0

    def test_three_of_four_polygons_make_five_numbers_a_polygon_of_two_points(self):
        polygon, box = "0 .1 .1 .2 .1 .2 .2", "0 .5 .5 .1 .1"
        assert survey([polygon] * 3 + [box]).polygons_only
        assert not survey([polygon] * 2 + [box]).polygons_only
        assert not survey([box]).polygons_only and not survey([]).polygons_only


def test_a_byte_order_mark_is_no_number(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xef\xbb\xbf0 .5 .5 .1 .1\r\n")
    assert parsed(read_text(tmp_path / "x.txt")).classes.tolist() == [0]


def test_what_is_no_text_is_refused(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"0 .5 .5 \xff .1")
    with pytest.raises(LabelError) as caught:
        read_text(tmp_path / "x.txt")
    assert caught.value.name == "not_text" and str(tmp_path / "x.txt") in str(caught.value)
