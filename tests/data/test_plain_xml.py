"""XML without surprises: equal to ElementTree on what it reads, and nothing is expanded."""

from __future__ import annotations

import pickle
import xml.etree.ElementTree as ElementTree

import pytest

from dior_folders import SHIP, xml_of
from veritrain.data.detection_inventory import AnnotationError
from veritrain.data.plain_xml import DEEPEST, Element, read_xml

BOMB = """<?xml version="1.0"?>
<!DOCTYPE annotation [
 <!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">
]>
<annotation><filename>&c;</filename></annotation>"""
OUTSIDE = '<!DOCTYPE a [<!ENTITY secret SYSTEM "file:///etc/hostname">]><annotation>&secret;</annotation>'


def read(tmp_path, content):
    file = tmp_path / "a.xml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_xml(file)


def refused(tmp_path, content):
    with pytest.raises(AnnotationError) as caught:
        read(tmp_path, content)
    assert caught.value.file == str(tmp_path / "a.xml")
    return caught.value


def as_tree(one: Element):
    return one.tag, one.text, [as_tree(child) for child in one.children]


def as_reference(one):
    inside = (one.text or "") + "".join(child.tail or "" for child in one)
    return one.tag, inside.strip(), [as_reference(child) for child in one]


@pytest.mark.parametrize(
    "text",
    [
        xml_of("00001", [("ship", SHIP), ("dam", (2, 3, 4, 5))]),
        "<a>x<b/>y<!-- no --><b>&lt;&#65;</b><![CDATA[<z>]]></a>",
        '<?xml version="1.0" encoding="UTF-8"?>\n<a k="v">ä</a>',
    ],
)
def test_it_reads_what_elementtree_reads(tmp_path, text):
    assert as_tree(read(tmp_path, text)) == as_reference(ElementTree.fromstring(text))


def test_encodings_are_read(tmp_path):
    text = '<?xml version="1.0" encoding="{}"?><a>ä</a>'
    for name in ("utf-8", "utf-16", "iso-8859-1"):
        assert read(tmp_path, text.format(name).encode(name)).text == "ä"


def test_elements_know_their_lines(tmp_path):
    root = read(tmp_path, xml_of("00001", [("ship", SHIP), ("dam", (2, 3, 4, 5))]))
    lines = xml_of("00001", [("ship", SHIP), ("dam", (2, 3, 4, 5))]).split("\r\n")
    objects = [one for one in root.children if one.tag == "object"]
    assert [one.line for one in objects] == [n for n, line in enumerate(lines, start=1) if "<object>" in line]
    assert root.text_of("filename") == "00001.jpg" and root.child("nothing") is None and root.text_of("nothing") == ""


@pytest.mark.parametrize("bad", [BOMB, OUTSIDE, BOMB.encode("utf-16"), "<!DOCTYPE html><annotation/>"])
def test_a_document_type_is_refused_before_any_entity(tmp_path, bad):
    error = refused(tmp_path, bad)
    assert error.name == "xml_doctype" and "DOCTYPE" in str(error)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.7, 0.9, 0.99])
def test_a_file_that_is_cut_off_names_the_element(tmp_path, share):
    text = xml_of("00001", [("ship", SHIP)] * 3).rstrip()
    error = refused(tmp_path, text[: int(len(text) * share)])
    assert error.name == "xml_cut_off" and error.line and error.element.startswith("annotation")
    assert error.element in str(error) and "cut off" in str(error)


def test_other_damage(tmp_path):
    assert refused(tmp_path, b"").name == "xml_cut_off"
    assert refused(tmp_path, "<a></b>").name == "xml_broken"
    assert refused(tmp_path, "no xml").name == "xml_broken"
    assert refused(tmp_path, "<a>&unknown;</a>").name == "xml_broken"
    assert refused(tmp_path, '<?xml version="1.0" encoding="klingon"?><a/>').name == "xml_broken"
    assert refused(tmp_path, "<a>" * (DEEPEST + 1) + "</a>" * (DEEPEST + 1)).name == "xml_broken"
    assert read(tmp_path, "<a>" * DEEPEST + "</a>" * DEEPEST).tag == "a"


def test_an_error_survives_the_way_between_processes(tmp_path):
    error = refused(tmp_path, "<annotation><size>")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and (again.name, again.element) == (error.name, error.element)


def test_what_is_too_large_is_not_parsed(tmp_path, monkeypatch):
    monkeypatch.setattr("veritrain.data.plain_xml.MOST_BYTES", 10)
    assert refused(tmp_path, "<annotation/>").name == "xml_too_large"
