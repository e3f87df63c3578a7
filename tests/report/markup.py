"""Reads a page the way a person does: the tree, the visible words of one language, and where numbers come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "input", "br", "img", "link", "hr", "wbr"})
SILENT = frozenset({"style", "title", "desc", "script"})


@dataclass
class Node:
    """One element; ``words`` holds strings and child elements in order."""

    tag: str
    attributes: dict[str, str | None]
    words: list[Node | str] = field(default_factory=list)

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.words:
            if isinstance(child, Node):
                yield from child.walk()

    def text(self, language: str = "en") -> str:
        """The visible text when ``language`` is chosen."""
        if self.tag in SILENT or (
            self.tag != "svg" and self.attributes.get("lang", language) not in (language, "en-GB")
        ):
            return "" if self.tag != "html" else "".join(self._texts(language))
        return "".join(self._texts(language))

    def _texts(self, language: str) -> Iterator[str]:
        for child in self.words:
            yield child.text(language) if isinstance(child, Node) else child

    def by_id(self, name: str) -> Node:
        return next(node for node in self.walk() if node.attributes.get("id") == name)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("root", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, dict(attrs))
        self.open[-1].words.append(node)
        if tag not in VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].words.append(Node(tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].words.append(data)


def parse(html: str) -> Node:
    """The tree of a page whose every element is closed.

    Raises:
        AssertionError: an element is left open or closed out of order.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader.open) == 1, f"left open: {[node.tag for node in reader.open]}"
    return reader.root
