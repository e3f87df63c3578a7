"""XML as plain elements with their lines: nothing in the file is expanded, included or executed.

A document type declaration, and with it every entity of its own, is refused where it begins.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from veritrain.data.detection_inventory import AnnotationError

MOST_BYTES = 32 * 2**20
DEEPEST = 32
"""Elements inside each other."""
CUT_OFF = frozenset(
    expat.errors.codes[word]
    for word in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
        expat.errors.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
)
"""What expat says of a file that ends before its elements do."""


@dataclass(slots=True)
class Element:
    """One element.

    Attributes:
        tag: its name. line: 1-based line where it begins.
        text: the characters directly inside, without surrounding white space.
        children: elements inside, in order.
    """

    tag: str
    line: int
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def child(self, tag: str) -> Element | None:
        """The first child of that name, or None."""
        return next((one for one in self.children if one.tag == tag), None)

    def text_of(self, tag: str) -> str:
        """The text of the first child of that name; "" where there is none."""
        found = self.child(tag)
        return "" if found is None else found.text


def read_xml(path: Path) -> Element:
    """The root of an XML file.

    Raises:
        AnnotationError: "xml_cut_off", "xml_broken", "xml_doctype", "xml_too_large"; it names line and element.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    if len(content) > MOST_BYTES:
        raise AnnotationError(
            "the file is too large for annotations of one image",
            name="xml_too_large",
            file=path,
            expected=f"at most {MOST_BYTES:,} bytes",
            found=f"{len(content):,}",
            fix="look at what it is",
        )
    return _Reading(path).of(content)


class _Reading:
    """One file while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open = [Element("", 0)]  # the document; the root is its child
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self.parser.StartDoctypeDeclHandler = self._doctype

    def of(self, content: bytes) -> Element:
        try:
            self.parser.Parse(content, True)
        except expat.ExpatError as error:
            cut = error.code in CUT_OFF
            self._refuse(
                "the XML is cut off" if cut else "this is no well-formed XML",
                "xml_cut_off" if cut else "xml_broken",
                "every element closed" if cut else "well-formed XML",
                f"{expat.ErrorString(error.code)} in line {error.lineno} of a file of {len(content)} bytes",
                error.lineno,
            )
        except (LookupError, ValueError) as error:  # what the parser raises of an encoding that it does not know
            self._refuse("the XML has an unknown encoding", "xml_broken", "UTF-8", str(error), 1)
        return self.open[0].children[0]

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, self.parser.CurrentLineNumber)
        self.open[-1].children.append(element)
        self.open.append(element)
        if len(self.open) > DEEPEST + 1:
            self._refuse(
                "elements are nested too deep", "xml_broken", f"at most {DEEPEST} levels", "more", element.line
            )

    def _end(self, tag: str) -> None:
        element = self.open.pop()
        element.text = element.text.strip()

    def _characters(self, data: str) -> None:
        if not data.isspace():  # what stands between elements, as most of it does
            self.open[-1].text += data

    def _doctype(self, name: str, system: str | None, public: str | None, internal: bool) -> None:
        self._refuse(
            "the XML declares a document type",
            "xml_doctype",
            "annotations without <!DOCTYPE>: entities are never expanded",
            f"<!DOCTYPE {name}",
            self.parser.CurrentLineNumber,
        )

    def _refuse(self, message: str, name: str, expected: str, found: str, line: int) -> NoReturn:
        raise AnnotationError(
            message,
            name=name,
            element="/".join(element.tag for element in self.open[1:]),
            file=self.path,
            line=line,
            expected=expected,
            found=found,
            fix="copy the file again" if name == "xml_cut_off" else "correct the file, or leave its image out",
        ) from None
