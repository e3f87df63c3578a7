"""DIOR's annotations: where boxes are, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dior_folders import SHIP, xml_of
from veritrain.data.detection_inventory import AnnotationError
from veritrain.data.dior_xml import is_oriented, read_annotation

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "dior" / "Annotations"


def read(tmp_path, text, **how):
    file = tmp_path / "00001.xml"
    file.write_text(text, newline="")
    return read_annotation(file, **how)


def one_box(tmp_path, box, size=(800, 800), **how):
    return read(tmp_path, xml_of("00001", [("ship", box)], size, oriented=how.get("oriented", False)), **how)


class TestHorizontal:
    def test_coordinates_are_one_based_and_inclusive(self, tmp_path):
        found = one_box(tmp_path, (1, 1, 800, 800))
        assert found.edges.tolist() == [[0, 0, 800, 800]], "the whole image"
        found = one_box(tmp_path, (1, 1, 2, 3))
        assert found.edges.tolist() == [[0, 0, 2, 3]], "two columns and three rows"
        assert (found.width, found.height, found.names, found.filename) == (800, 800, ("ship",), "00001.jpg")
        assert found.corners is None and found.malformed == ()

    def test_a_coordinate_of_zero_is_cut_at_the_image(self, tmp_path):
        assert one_box(tmp_path, (0, 0, 9, 9)).edges.tolist() == [[0, 0, 9, 9]]

    @pytest.mark.parametrize(
        ("box", "name", "told"),
        [
            ((162, 329, 162, 330), "zero_area", "xmax 162 is not above xmin 162"),
            ((528, 485, 529, 485), "zero_area", "ymax 485 is not above ymin 485"),
            ((30, 5, 20, 9), "zero_area", "xmax 20 is not above xmin 30"),
            ((786, 502, 802, 528), "box_outside", "x from 786 to 802 in an image of 800 x 800"),
            ((5, -1, 9, 9), "box_outside", "y from -1 to 9"),
            ((900, 5, 950, 9), "box_outside", "x from 900 to 950"),
        ],
    )
    def test_a_malformed_box_is_named(self, tmp_path, box, name, told):
        found = read(tmp_path, xml_of("00001", [("dam", SHIP), ("ship", box)], (800, 800)))
        (wrong,) = found.malformed
        assert (wrong.place, wrong.name, wrong.element) == (2, name, "object 2 (ship), bndbox")
        assert told in wrong.reason and wrong.line == found.lines[1]
        assert np.isnan(found.edges[1]).all() and found.edges[0].tolist() == [0, 0, 10, 10]

    @pytest.mark.parametrize("text", ["", "12a", "nan", "inf", "1e999x", "0x10"])
    def test_what_is_no_number_is_malformed(self, tmp_path, text):
        content = xml_of("00001", [("ship", SHIP)]).replace("<xmax>10</xmax>", f"<xmax>{text}</xmax>")
        (wrong,) = read(tmp_path, content).malformed
        assert wrong.name == "not_a_number" and "xmax" in wrong.reason

    def test_a_missing_box_is_malformed(self, tmp_path):
        content = xml_of("00001", [("ship", SHIP)])
        (wrong,) = read(tmp_path, content.replace("<ymin>1</ymin>", "")).malformed
        assert wrong.reason == "<ymin> is missing"
        (wrong,) = read(tmp_path, content.replace("bndbox", "box")).malformed
        assert wrong.reason == "<bndbox> is missing"

    def test_an_image_without_objects_is_background(self, tmp_path):
        found = read(tmp_path, xml_of("00001", []))
        assert found.edges.shape == (0, 4) and found.names == ()


class TestOriented:
    def test_an_upright_box_is_the_horizontal_one(self, tmp_path):
        found = one_box(tmp_path, (1, 1, 10, 1, 10, 20, 1, 20), oriented=True)
        assert found.edges.tolist() == [[0, 0, 10, 20]]
        assert found.corners is not None and found.corners[0].tolist() == [
            [0.5, 0.5],
            [9.5, 0.5],
            [9.5, 19.5],
            [0.5, 19.5],
        ]
        assert found.overhanging == 0

    def test_a_turned_box_is_the_extent_of_its_corners(self, tmp_path):
        found = one_box(tmp_path, (50, 10, 90, 50, 50, 90, 10, 50), oriented=True)
        assert found.edges.tolist() == [[9, 9, 90, 90]]

    def test_corners_outside_are_usual_and_the_extent_is_cut(self, tmp_path):
        found = one_box(tmp_path, (396, -37, 682, 249, 434, 496, 148, 211), oriented=True)
        assert found.edges.tolist() == [[147, 0, 682, 496]] and found.overhanging == 1 and found.malformed == ()
        assert found.corners is not None and found.corners.min() == -37.5

    @pytest.mark.parametrize(
        ("box", "name"),
        [
            ((530, 330) * 4, "zero_area"),
            ((162, 329, 162, 330, 162, 330, 162, 329), "zero_area"),
            ((-20, 5, -5, 5, -5, 9, -20, 9), "box_outside"),
            ((5, 801, 9, 801, 9, 809, 5, 809), "box_outside"),
        ],
    )
    def test_malformed_ones(self, tmp_path, box, name):
        (wrong,) = one_box(tmp_path, box, oriented=True).malformed
        assert wrong.name == name and wrong.element == "object 1 (ship), robndbox"

    def test_the_first_object_tells_which_kind_a_file_is(self, tmp_path):
        for oriented, box in ((False, SHIP), (True, (1, 1, 9, 1, 9, 9, 1, 9))):
            file = tmp_path / "a.xml"
            file.write_text(xml_of("a", [("ship", box)], oriented=oriented))
            assert is_oriented(file) is oriented
        file.write_text(xml_of("a", []))
        assert is_oriented(file) is False


class TestWholeFile:
    @pytest.mark.parametrize(
        ("old", "new", "name", "element"),
        [
            ("<width>40</width>", "", "size_impossible", "size"),
            ("<width>40</width>", "<width>0</width>", "size_impossible", "size"),
            ("<height>30</height>", "<height>-3</height>", "size_impossible", "size"),
            ("<height>30</height>", "<height>99999999999</height>", "size_impossible", "size"),
            ("<height>30</height>", "<height>٣</height>", "size_impossible", "size"),
            ("annotation>", "html>", "element_missing", "html"),
        ],
    )
    def test_what_stops_the_file(self, tmp_path, old, new, name, element):
        with pytest.raises(AnnotationError) as caught:
            read(tmp_path, xml_of("00001", [("ship", SHIP)]).replace(old, new))
        error = caught.value
        assert (error.name, error.element) == (name, element) and error.line and "00001.xml" in str(error)

    def test_no_size_at_all(self, tmp_path):
        with pytest.raises(AnnotationError, match="the size of the image is missing"):
            read(tmp_path, "<annotation><object/></annotation>")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real annotations are not at hand")
class TestRealFiles:
    @pytest.mark.parametrize(("kind", "tag"), [("Horizontal", "bndbox"), ("Oriented", "robndbox")])
    def test_objects_are_those_that_counting_words_finds(self, kind, tag):
        files = sorted((SHARED / f"{kind} Bounding Boxes").glob("*.xml"))
        assert len(files) == 300
        total = 0
        for file in files:
            found = read_annotation(file, oriented=kind == "Oriented")
            assert len(found.names) == file.read_text().count(f"<{tag}>") and not found.malformed
            assert found.filename == f"{file.stem}.jpg" and found.width == 800
            total += len(found.names)
        assert total == 1851
