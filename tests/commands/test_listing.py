"""``veritrain list``: what the source says, which is what the imported object says, without importing it."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

from veritrain import catalog, cli
from veritrain.commands.listing import as_lines, rows_of


@pytest.mark.parametrize("kind", ["checks", "readers"])
def test_rows_are_what_the_objects_say(kind):
    for row in rows_of(kind):
        entry = catalog.resolve(kind, row["name"])
        assert row["about"] == inspect.getdoc(entry).splitlines()[0].strip()
        assert row.get("id") == getattr(entry, "id", None)


@pytest.mark.parametrize("kind", sorted(catalog.KINDS))
def test_every_entry_says_what_it_is(kind):
    rows = rows_of(kind)
    assert [row["name"] for row in rows] == list(catalog.KINDS[kind])
    assert all(row["about"] for row in rows)
    assert all(("id" in row) == (kind == "checks") for row in rows)


def test_listing_everything_loads_no_torch():
    code = (
        "import sys\nfrom veritrain import catalog\nfrom veritrain.commands.listing import rows_of\n"
        "for kind in catalog.KINDS: rows_of(kind)\nprint('torch' in sys.modules, 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_lines_are_aligned_and_have_ids_where_there_are_some(capsys):
    rows = [{"name": "long_name", "id": "J1", "about": "One."}, {"name": "b", "id": "J10", "about": None}]
    assert as_lines(rows) == ["long_name  J1   One.", "b          J10"]
    assert as_lines([{"name": "a", "about": "Two."}]) == ["a  Two."] and as_lines([]) == []
    assert cli.main(["list", "checks"]) == 0
    first = capsys.readouterr().out.splitlines()[0].split()
    assert first[:2] == ["beats_trivial", "J1"] and len(first) > 4


def test_for_machines_the_same_rows(capsys):
    assert cli.main(["list", "checks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == rows_of("checks")
