"""Nothing is written over."""

from __future__ import annotations

import pytest

from veritrain.data.free_folder import demand_free, undone_on_failure
from veritrain.errors import StorageError, UsageError


def test_a_new_or_an_empty_folder_is_free(tmp_path):
    demand_free(tmp_path)
    demand_free(tmp_path / "new")


def test_a_file_or_a_full_folder_is_not(tmp_path):
    (tmp_path / "file").write_text("x")
    for place, found in ((tmp_path / "file", "a file"), (tmp_path, "1 entries")):
        with pytest.raises(UsageError, match="holds something") as caught:
            demand_free(place)
        assert caught.value.found == found and caught.value.file == str(place)


def written(folder, error=None):
    with undone_on_failure(folder, "the toy", expected="room for a grain", fix="elsewhere"):
        (folder / "part").mkdir(parents=True)
        (folder / "part" / "a").write_text("a")
        (folder / "card").write_text("b")
        if error is not None:
            raise error


def test_what_could_be_written_whole_stays(tmp_path):
    written(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").rglob("*")} == {"part", "a", "card"}


def test_a_full_disk_leaves_nothing_and_says_what_was_needed(tmp_path):
    with pytest.raises(StorageError, match="the toy cannot be written") as caught:
        written(tmp_path / "new", OSError(28, "No space left on device"))
    assert not list((tmp_path / "new").iterdir())
    assert "room for a grain" in str(caught.value.expected) and "No space left" in str(caught.value.found)


def test_an_error_of_another_kind_is_not_a_full_disk(tmp_path):
    with pytest.raises(ValueError, match="ours"):
        written(tmp_path / "new", ValueError("ours"))
