"""Nothing is written over."""

from __future__ import annotations

import pytest

from veritrain.errors import UsageError
from veritrain.worlds.free_folder import demand_free


def test_a_new_or_an_empty_folder_is_free(tmp_path):
    demand_free(tmp_path)
    demand_free(tmp_path / "new")


def test_a_file_or_a_full_folder_is_not(tmp_path):
    (tmp_path / "file").write_text("x")
    for place, found in ((tmp_path / "file", "a file"), (tmp_path, "1 entries")):
        with pytest.raises(UsageError, match="holds something") as caught:
            demand_free(place)
        assert caught.value.found == found and caught.value.file == str(place)
