"""The catalogue, entry by entry: it resolves, fits its protocol, is tested and is described."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pytest

from veritrain import catalog
from veritrain.audit.check import Check, Finding, OnFail, OnNotRun
from veritrain.errors import UsageError
from veritrain.record import Row, RunRecord

ROOT = Path(__file__).resolve().parent.parent
ENTRIES = [(kind, name) for kind, entries in catalog.KINDS.items() for name in entries]
CHECKS = sorted(catalog.CHECKS)
NEEDS = {"rows", "statements", "remarks", "events", "data", "results", "score", "run"}
TASK_METHODS = ("model", "losses", "predict", "score", "chance", "tables", "known_answers", "kind_of")


def entry(kind: str, name: str) -> Any:
    """The entry, or a failure that says which line of the catalogue points nowhere."""
    target = catalog.KINDS[kind][name]
    try:
        return catalog.resolve(kind, name)
    except (ImportError, AttributeError) as error:
        return pytest.fail(f"catalog.py lists {kind} '{name}' as {target}, but: {error}", pytrace=False)


def mirrored_test(kind: str, name: str) -> Path:
    """``veritrain.audit.labels:X`` is tested by ``tests/audit/test_labels.py``."""
    module = catalog.KINDS[kind][name].partition(":")[0].split(".")[1:]
    return ROOT / "tests" / Path(*module[:-1]) / f"test_{module[-1]}.py"


def functions_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def catalogue_docs() -> Any:
    spec = importlib.util.spec_from_file_location("catalogue_docs", ROOT / "scripts" / "catalogue_docs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("kind", "name"), ENTRIES, ids=lambda part: part)
class TestEntry:
    def test_it_resolves(self, kind, name):
        assert callable(entry(kind, name))

    def test_its_name_is_a_word(self, kind, name):
        assert re.fullmatch(r"[a-z]\w*(-\w+)*" if kind == "models" else r"[a-z]\w*", name) and name == name.lower()

    def test_its_docstring_opens_with_a_row_for_the_docs(self, kind, name):
        found = entry(kind, name)
        own = vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__
        assert own and own.strip(), f"{name} has no docstring of its own"
        assert len(own.strip().splitlines()[0]) <= 140

    def test_it_has_a_mirrored_test(self, kind, name):
        path = mirrored_test(kind, name)
        assert path.is_file(), f"{kind} '{name}' needs {path.relative_to(ROOT)}"


@pytest.mark.parametrize("name", CHECKS)
class TestCheck:
    def test_it_fits_the_protocol(self, name):
        check = entry("checks", name)()
        assert isinstance(check, Check)
        assert check.name == name and name.isidentifier()
        assert re.fullmatch(r"[A-Z]\d{1,3}", check.id), f"id {check.id!r} is not a letter and a number"
        assert check.subject == type(check).__module__.rpartition(".")[2], "the subject is the file it lives in"

    def test_its_words_are_legal(self, name):
        check = entry("checks", name)()
        assert check.on_fail in get_args(OnFail)
        assert check.on_not_run in get_args(OnNotRun)
        assert isinstance(check.per_claim, bool)
        unknown = [need for need in check.needs if need not in NEEDS and not need.startswith("evidence:")]
        assert not unknown, f"unknown needs {unknown}"
        assert set(check.required_for) <= set(catalog.TASKS)

    def test_its_probes_exist(self, name):
        probes = {need.partition(":")[2] for need in entry("checks", name)().needs if need.startswith("evidence:")}
        assert probes <= set(catalog.PROBES), f"no such probe: {sorted(probes - set(catalog.PROBES))}"

    def test_it_has_planted_runs(self, name):
        path = mirrored_test("checks", name)
        assert path.is_file(), f"needs {path.relative_to(ROOT)}"
        names = functions_in(path)
        for outcome in ("passes", "fails"):
            wanted = f"{name}_{outcome}"
            assert any(wanted in found for found in names), f"{path.relative_to(ROOT)} has no function '*{wanted}*'"


def test_ids_are_unique():
    counted = Counter(entry("checks", name).id for name in CHECKS)
    assert not [one for one, times in counted.items() if times > 1]


@pytest.mark.parametrize("name", sorted(catalog.TASKS))
def test_a_task_fits_the_protocol(name):
    task = entry("tasks", name)
    missing = [method for method in TASK_METHODS if not callable(getattr(task, method, None))]
    assert not missing, f"task '{name}' lacks {missing}"
    assert any("one_batch" in found for found in functions_in(mirrored_test("tasks", name))), "it overfits one batch"


def test_an_unknown_entry_names_the_nearest():
    with pytest.raises(UsageError, match="anomaly"):
        catalog.resolve("tasks", "anomly")
    with pytest.raises(UsageError, match="tasks"):
        catalog.resolve("task", "anomaly")


def test_the_docs_table_is_fresh():
    docs = catalogue_docs()
    assert docs.PAGE.is_file(), "run `make docs`"
    assert docs.PAGE.read_text(encoding="utf-8") == docs.render(), "docs/catalogue.md is out of date: run `make docs`"


def test_the_example_of_the_docs_is_a_check():
    text = (ROOT / "docs" / "add_a_check.md").read_text(encoding="utf-8")
    source = re.search(r"```python\n(.*?)```", text, flags=re.S)
    assert source is not None
    space: dict[str, Any] = {}
    exec(source.group(1), space)
    check = space["LossMoves"]()
    assert isinstance(check, Check)

    def verdict_on(values: list[float]) -> Finding:
        rows = tuple(Row(file="a.csv", line=i, name="loss", raw="loss", value=v) for i, v in enumerate(values, 1))
        return check.judge(RunRecord(path=Path("a.csv"), kind="csv_history", rows=rows), {})

    assert verdict_on([0.7, 0.5]).status == "pass"
    assert verdict_on([0.7, 0.7]).status == "fail"
