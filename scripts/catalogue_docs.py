"""Write ``docs/catalogue.md`` from the catalogue; with ``--check``, say whether it is up to date."""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path
from typing import Any

from veritrain import catalog

PAGE = Path(__file__).resolve().parent.parent / "docs" / "catalogue.md"
HEAD = """# The catalogue

Written by `make docs` from `src/veritrain/catalog.py` and the first line of each docstring; do not edit.
"""
EFFECT = {"refutes": "REFUTED", "unproves": "NOT SHOWN", "notes": "a note"}


def first_line(entry: Any) -> str:
    """The first line of the entry's docstring."""
    lines = (inspect.getdoc(entry) or "").splitlines()
    return lines[0].strip() if lines else ""


def cell(text: str) -> str:
    """A text that cannot end its table cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def row(cells: list[str]) -> str:
    return "| " + " | ".join(cell(text) for text in cells) + " |"


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    return [row(head), row(["---"] * len(head)), *map(row, rows)]


def check_rows() -> list[list[str]]:
    """One row per check, in the order of their ids."""
    checks = [(catalog.resolve("checks", name), name) for name in catalog.CHECKS]
    checks.sort(key=lambda pair: (pair[0].id[0], int(pair[0].id[1:])))
    return [
        [
            check.id,
            f"`{name}`",
            first_line(check),
            EFFECT[check.on_fail],
            ", ".join(check.required_for) or "-",
            ", ".join(f"`{need}`" for need in check.needs) or "-",
        ]
        for check, name in checks
    ]


def section(kind: str) -> list[str]:
    """The heading and the table of one kind."""
    entries = catalog.KINDS[kind]
    lines = [f"## {kind.capitalize()}", ""]
    if not entries:
        return [*lines, "None yet.", ""]
    if kind == "checks":
        head = ["id", "name", "true when it passes", "when it fails", "required for", "needs"]
        return [*lines, *table(head, check_rows()), ""]
    rows = [[f"`{name}`", first_line(catalog.resolve(kind, name)), f"`{entries[name]}`"] for name in entries]
    return [*lines, *table(["name", "what it is", "where"], rows), ""]


def render() -> str:
    """The whole page."""
    lines = [line for kind in catalog.KINDS for line in section(kind)]
    return HEAD + "\n" + "\n".join(lines).rstrip() + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is out of date")
    asked = parser.parse_args(arguments)
    page = render()
    if asked.check:
        fresh = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page
        print("docs/catalogue.md is up to date" if fresh else "docs/catalogue.md is out of date: run `make docs`")
        return 0 if fresh else 1
    PAGE.write_text(page, encoding="utf-8")
    print(f"wrote docs/{PAGE.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
