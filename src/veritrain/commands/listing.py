"""``veritrain list``: what there is of a kind, read from the source text, so that nothing of it is imported."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from veritrain import catalog

SOURCE = Path(catalog.__file__).parent


def rows_of(kind: str) -> list[dict[str, Any]]:
    """One row per entry, in the order of the catalogue.

    Returns:
        ``name``; ``id`` where the entry has one (checks); ``about``, the first line of its docstring, None without one.
    """
    return [{"name": name, **_told_by_source(place)} for name, place in catalog.KINDS[kind].items()]


def as_lines(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Aligned columns: name, id where the kind has ids, what it is."""
    widths = {key: max((len(row.get(key) or "") for row in rows), default=0) for key in ("name", "id")}
    columns = [key for key, width in widths.items() if width]
    return [
        "  ".join([*((row.get(key) or "").ljust(widths[key]) for key in columns), row["about"] or ""]).rstrip()
        for row in rows
    ]


def _told_by_source(place: str) -> dict[str, Any]:
    """The id and the first docstring line of ``module:Name``, without running the module."""
    module, _, name = place.partition(":")
    path = SOURCE.joinpath(*module.split(".")[1:]).with_suffix(".py")
    entry = _definition(ast.parse(path.read_text(encoding="utf-8")), name)
    if entry is None:
        return {"about": None}
    told = {"id": value} if (value := _id_of(entry)) else {}
    about = (ast.get_docstring(entry) or "").splitlines()
    return {**told, "about": about[0].strip() if about else None}


def _definition(tree: ast.Module, name: str) -> ast.ClassDef | ast.FunctionDef | None:
    defined = (node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef))
    return next((node for node in defined if node.name == name), None)


def _id_of(entry: ast.ClassDef | ast.FunctionDef) -> str | None:
    """The constant that the class calls ``id``."""
    for node in entry.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        named = any(isinstance(target, ast.Name) and target.id == "id" for target in targets)
        value = getattr(node, "value", None)
        if named and isinstance(value, ast.Constant) and isinstance(value.value, str):
            return value.value
    return None
