"""The shape of the code, kept by tests: import order, size, names, types, and nothing swallowed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "veritrain"
FILES = sorted(PACKAGE.rglob("*.py"))
WRITTEN = [*FILES, *sorted((ROOT / "scripts").glob("*.py")), *sorted((ROOT / "bench").glob("*.py"))]

MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 450
FORBIDDEN = {"utils", "util", "misc", "common", "helpers", "helper"}

GROUND = ("errors", "catalog", "config", "record", "metrics", "statistics")
ROAD_1 = ("data", "worlds", "models", "losses", "tasks", "training", "probes", "study")
ROAD_2 = ("readers", "audit", "report", "monitor")
LEAVES = ("attach", "deploy")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "errors": (),
    "catalog": ("errors",),
    "config": ("errors", "catalog"),
    "record": ("errors", "config"),
    "metrics": ("errors",),
    "statistics": ("errors", "metrics"),
    "data": GROUND,
    "worlds": (*GROUND, "data"),
    "models": (*GROUND, "data"),
    "losses": (*GROUND, "data", "models"),
    "tasks": (*GROUND, "data", "models", "losses"),
    "training": (*GROUND, "data", "models", "losses", "tasks"),
    "probes": (*GROUND, "data", "models", "losses", "tasks", "training"),
    "study": (*GROUND, "data", "models", "losses", "tasks", "training", "probes"),
    "readers": GROUND,
    "audit": (*GROUND, "readers"),
    "report": (*GROUND, "readers", "audit"),
    "monitor": (*GROUND, "readers", "audit", "report"),
    "attach": (*GROUND, *ROAD_1, *ROAD_2),
    "deploy": (*GROUND, *ROAD_1, *ROAD_2),
    "experiments": (*GROUND, *ROAD_1, *ROAD_2),
    "commands": (*GROUND, *ROAD_1, *ROAD_2, *LEAVES, "experiments"),
    "cli": (*GROUND, *ROAD_1, *ROAD_2, *LEAVES, "experiments", "commands"),
    "__main__": ("cli",),
    "__init__": (*GROUND, *ROAD_2),
}
"""Each part of the package and what stands to its left: the import order of the design. ``experiments`` is where both
roads meet (train, then judge); only the command line imports it."""


def name_of(path: Path) -> str:
    """The test id of a file."""
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def part_of(path: Path) -> str:
    """The top-level part a file belongs to: ``audit`` for ``audit/labels.py``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def module_of(path: Path) -> str:
    dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    return dotted.removesuffix(".__init__")


def imported_modules(path: Path, nodes: Iterator[ast.AST]) -> Iterator[tuple[str, int]]:
    """``veritrain...`` modules named by the import statements among ``nodes``, with their lines."""
    known = {module_of(file) for file in FILES}
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name.startswith("veritrain"))
        elif isinstance(node, ast.ImportFrom) and node.level:
            pytest.fail(f"{name_of(path)}:{node.lineno}: relative import; write it in full", pytrace=False)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("veritrain"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in known else str(node.module)), node.lineno


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring and decorators."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def top_level(tree: ast.Module) -> Iterator[ast.AST]:
    """Statements that run on import; TYPE_CHECKING blocks and function bodies do not."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += list(ast.iter_child_nodes(node))


def is_public(name: str) -> bool:
    return not name.startswith("_") or name == "__init__"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_imports_only_from_its_left(path):
    part = part_of(path)
    assert part in MAY_IMPORT, f"'{part}' has no place in the import order; give it one in MAY_IMPORT"
    wrong = []
    for module, line in imported_modules(path, ast.walk(tree_of(path))):
        target = module.split(".")[1] if "." in module else "__init__"
        if target not in (part, "__init__") and target not in MAY_IMPORT[part]:
            wrong.append(f"{name_of(path)}:{line} imports {module}")
    assert not wrong, f"'{part}' may import {MAY_IMPORT[part]}: {wrong}"


def test_the_order_itself_keeps_the_roads_apart():
    for part in ROAD_2:
        assert not set(MAY_IMPORT[part]) & set(ROAD_1), f"{part} is on road 2"
    for part, allowed in MAY_IMPORT.items():
        assert part in ("cli", "commands") or not set(allowed) & set(LEAVES), f"{part} imports a leaf"
        assert part == "__main__" or "cli" not in allowed
    for part in (*GROUND, *ROAD_1):
        assert not set(MAY_IMPORT[part]) & set(ROAD_2), f"{part} must not know how it is judged"


def test_no_import_cycles():
    graph = {
        module_of(path): {module for module, _ in imported_modules(path, top_level(tree_of(path)))} for path in FILES
    }
    done: set[str] = set()

    def walk(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, "import cycle: " + " -> ".join([*trail[trail.index(module) :], module])
        if module in done:
            return
        for target in sorted(graph.get(module, set())):
            if target != module:
                walk(target, (*trail, module))
        done.add(module)

    for module in sorted(graph):
        walk(module, ())


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_files_and_functions_stay_short(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_FILE_LINES, f"{lines} lines; split it by what it does"
    long = [f"{f.name} ({length_of(f)})" for f in functions_of(tree_of(path)) if length_of(f) > MAX_FUNCTION_LINES]
    assert not long, f"over {MAX_FUNCTION_LINES} lines: {long}"


def test_no_file_is_named_after_nothing():
    everywhere = [*WRITTEN, *sorted((ROOT / "tests").rglob("*.py"))]
    parts = {part.removeprefix("test_").lstrip("_") for path in everywhere for part in path.with_suffix("").parts[-2:]}
    assert not parts & FORBIDDEN


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_nothing_is_swallowed(path):
    wrong = []
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = "" if node.type is None else ast.unparse(node.type)
        idle = all(isinstance(line, ast.Pass | ast.Continue) for line in node.body)
        if not caught or (idle and re.search(r"\b(Base)?Exception\b", caught)):
            wrong.append(f"{name_of(path)}:{node.lineno}: except {caught}")
    assert not wrong


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_public_functions_are_typed(path):
    wrong = []
    for function in functions_of(tree_of(path)):
        spec = function.args
        named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
        bare = [arg.arg for arg in named if arg.annotation is None and arg.arg not in ("self", "cls")]
        if is_public(function.name) and (bare or function.returns is None):
            wrong.append(f"{name_of(path)}:{function.lineno} {function.name}({', '.join(bare)})")
    assert not wrong, f"untyped: {wrong}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_modules_say_what_they_are(path):
    assert ast.get_docstring(tree_of(path)), f"{name_of(path)} has no docstring"


@pytest.mark.parametrize("path", sorted((ROOT / "requirements").glob("*.lock")), ids=name_of)
def test_locks_carry_hashes_and_no_addresses(path):
    text = path.read_text(encoding="utf-8")
    assert "://" not in text and "index-url" not in text
    pinned = re.findall(r"^[A-Za-z0-9_.\[\]-]+==.*\\$", text, flags=re.M)
    assert len(pinned) == len(re.findall(r"^[A-Za-z0-9_.\[\]-]+==", text, flags=re.M)) > 0
    for block in re.split(r"\n(?=\S)", text):
        assert block.startswith("#") or "--hash=sha256:" in block, block.splitlines()[0]


def test_the_base_lock_has_no_torch():
    names = re.findall(r"^([A-Za-z0-9_.-]+)==", (ROOT / "requirements" / "base.lock").read_text(), flags=re.M)
    assert "numpy" in names and not [name for name in names if "torch" in name or name.startswith("nvidia")]


def test_the_imports_of_the_design_are_all_parts_that_exist():
    parts = {part_of(path) for path in FILES}
    assert parts <= set(MAY_IMPORT), f"no place in the import order: {sorted(parts - set(MAY_IMPORT))}"
