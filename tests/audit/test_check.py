"""What a finding is, and that a check never sees the options of the run."""

from __future__ import annotations

import ast
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import get_args

import pytest

from veritrain import audit, catalog
from veritrain.audit.check import Check, Citation, Finding, Status, failed, not_run, passed
from veritrain.record import RunRecord

FILES = sorted(Path(audit.__file__).parent.glob("*.py"))


@pytest.mark.parametrize(("make", "status"), [(passed, "pass"), (failed, "fail"), (not_run, "not_run")])
def test_the_three_ways_to_answer(make, status):
    found = make("because", value=1, evidence=(Citation(file="a.csv", line=3),))
    assert (found.status, found.sentence, found.value) == (status, "because", 1)
    assert found.status in get_args(Status) and found.on_fail is None


def test_a_finding_cannot_be_changed_afterwards():
    with pytest.raises(FrozenInstanceError):
        passed("so").status = "fail"


def test_a_check_lacking_a_part_of_the_protocol_is_no_check():
    class Half:
        id = "X1"
        name = "half"

        def judge(self, record, evidence) -> Finding: ...

    assert not isinstance(Half(), Check)
    assert isinstance(catalog.resolve("checks", "finite")(), Check)


def words_of(path: Path) -> list[tuple[str, str]]:
    """(function, identifier or string) for everything a file names; docstrings are left out."""
    found = []

    def walk(node, function):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return
        inside = node.name if isinstance(node, ast.FunctionDef) else function
        found.extend((inside, getattr(node, key, "") or "") for key in ("id", "attr", "arg"))
        if isinstance(node, ast.ImportFrom):
            found.extend((inside, alias.name) for alias in node.names if node.module == "veritrain.config")
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append((inside, node.value))
        for child in ast.iter_child_nodes(node):
            walk(child, inside)

    walk(ast.parse(path.read_text(encoding="utf-8")), "")
    return found


WAIVERS = {"waivers_of", "_waiver", "_day"}
"""Functions of verdict.py through which a recipe's waivers come in: the only key of it that is read."""


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_check_reads_the_options_of_the_run(path):
    options = {"recipe", "recipe.yaml", "read_mapping", "RunFolder", "AnomalyRecipe", "environment.json", "README.md"}
    named = {(function, word) for function, word in words_of(path) if word in options or "recipe.yaml" in word}
    if path.name == "verdict.py":
        named = {(function, word) for function, word in named if function not in WAIVERS} - {("", "read_mapping")}
    assert not named


def test_the_waivers_are_the_only_key_of_a_recipe_that_is_read():
    (verdict,) = (path for path in FILES if path.name == "verdict.py")
    keys = {word for function, word in words_of(verdict) if function == "waivers_of"}
    assert {"read_mapping", "waivers"} <= keys and not keys & {"labels", "split", "loss", "seed", "data"}


def test_a_record_has_no_place_for_options():
    assert not {field.name for field in fields(RunRecord)} & {"recipe", "options", "config", "arguments"}
