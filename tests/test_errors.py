"""Errors: the tree that the module draws, exit codes, and the four things an error says."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from veritrain import errors
from veritrain.errors import ConfigError, Interrupted, UsageError, VeritrainError, did_you_mean

PACKAGE = Path(errors.__file__).parent
TREE = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, VeritrainError)]
DRAWN = re.compile(r"^(?P<bars>[│├└─ ]*)(?P<name>\w+)\s+(?P<code>\d+)(/\d+)?\s")


def test_what_to_do_is_said_as_it_is_typed_at_the_shell():
    """``--on_broken skip``, as a command takes it, and not ``on_broken='skip'``, as a call in Python would."""
    found = {
        f"{path.relative_to(PACKAGE)}: {text.value}"
        for path in PACKAGE.rglob("*.py")
        for text in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and re.search(r"\bon_\w+='", text.value)
    }
    assert not found


def drawn_tree() -> dict[str, tuple[int, str | None]]:
    """What the docstring draws: name -> (exit code, name of its parent)."""
    trail: list[str] = []
    found: dict[str, tuple[int, str | None]] = {}
    for line in (errors.__doc__ or "").splitlines():
        match = DRAWN.match(line)
        if match is None:
            continue
        depth = len(match["bars"]) // 4
        found[match["name"]] = (int(match["code"]), trail[depth - 1] if depth else None)
        trail[depth:] = [match["name"]]
    return found


def test_the_drawing_is_the_tree():
    bases = {kind.__name__: kind.__bases__[0].__name__ for kind in TREE}
    drawn = drawn_tree()
    assert set(drawn) == set(bases)
    for name, (_, parent) in drawn.items():
        assert bases[name] == (parent or "Exception"), name


@pytest.mark.parametrize("kind", [kind for kind in TREE if kind is not Interrupted], ids=lambda kind: kind.__name__)
def test_the_drawing_has_the_exit_codes(kind):
    assert drawn_tree()[kind.__name__][0] == kind.exit_code == kind("x").exit_code


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)])
def test_a_signal_exits_as_shells_expect(number, code):
    assert Interrupted("stopped", signal_number=number).exit_code == code
    assert drawn_tree()["Interrupted"][0] == 130


def test_an_error_says_where_what_was_expected_what_was_found_and_what_to_do():
    error = ConfigError(
        "too small", expected="at least 2", found="1", fix="give more", file=Path("a") / "b.yaml", line=7
    )
    assert str(error).splitlines() == [
        "a/b.yaml:7: too small",
        "  expected: at least 2",
        "  found:    1",
        "  do:       give more",
    ]


def test_an_error_leaves_out_what_it_does_not_know():
    assert str(VeritrainError("broken")) == "broken"
    assert str(VeritrainError("broken", file="x.csv")) == "x.csv: broken"
    assert str(UsageError("broken", found="")) == "broken\n  found:    "


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("epoch", ["seed", "epochs"], "did you mean 'epochs'?"),
        ("anomly", ("joint", "anomaly"), "did you mean 'anomaly'?"),
        ("zzz", {"b", "a"}, "choose from: a, b"),
    ],
)
def test_did_you_mean(word, known, said):
    assert did_you_mean(word, known) == said


def raised_in(path: Path) -> list[tuple[str, int, ast.Call]]:
    """Our own errors that a file raises with a call, with their lines."""
    names = {kind.__name__ for kind in TREE}
    calls = [node.exc for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Raise)]
    return [
        (call.func.id, call.lineno, call)
        for call in calls
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in names
    ]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_error_raised_says_more_than_its_message(path):
    wordless = [f"{name} at line {line}" for name, line, call in raised_in(path) if not call.keywords]
    assert not wordless
