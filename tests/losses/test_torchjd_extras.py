from __future__ import annotations

import pytest

from veritrain.errors import MissingExtraError
from veritrain.losses.torchjd_extras import made_by_torchjd


def test_what_can_be_made_is_given_back():
    assert made_by_torchjd("pcgrad", lambda: 3, packages=("json",)) == 3


def test_torchjd_itself_may_be_missing():
    def make():
        raise ImportError("No module named 'torchjd'")

    with pytest.raises(MissingExtraError, match="No module named 'torchjd'") as caught:
        made_by_torchjd("pcgrad", make)
    assert "veritrain[train]" in str(caught.value)


def test_a_package_that_is_there_and_does_not_import_is_found_out_at_once(tmp_path, monkeypatch):
    (tmp_path / "broken_solver.py").write_text("import a_module_that_is_not_there\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtraError, match="a_module_that_is_not_there"):
        made_by_torchjd("cagrad", lambda: 3, extra="cagrad", packages=("broken_solver",))
