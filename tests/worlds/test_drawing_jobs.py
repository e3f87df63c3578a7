"""Jobs side by side: every result, in order, told as it comes."""

from __future__ import annotations

import os

import pytest

from veritrain.errors import StorageError, UsageError
from veritrain.worlds.drawing_jobs import drawn, world_folder


def doubled(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


@pytest.mark.parametrize(("workers", "jobs"), [(1, 5), (2, 5), (3, 1), (2, 0), (None, 3)])
def test_results_keep_the_order_of_the_jobs_and_each_is_told(workers, jobs):
    told = []
    found = list(drawn(doubled, range(jobs), lambda *done: told.append(done), workers=workers, chunk=2))
    assert [result for result, _ in found] == [2 * number for number in range(jobs)]
    assert told == [(done, jobs) for done in range(1, jobs + 1)]


def test_one_worker_or_one_job_needs_no_other_process_and_two_have_some():
    here = os.getpid()
    assert {process for _, process in drawn(doubled, range(4), workers=1)} == {here}
    assert {process for _, process in drawn(doubled, range(1), workers=4)} == {here}
    assert here not in {process for _, process in drawn(doubled, range(4), workers=2)}


def test_nothing_that_was_there_is_touched(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError), world_folder(tmp_path, "toy", room="a grain"):
        (tmp_path / "file").unlink()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_names_the_world_and_the_room_that_it_needs(tmp_path):
    with (
        pytest.raises(StorageError, match="the toy world cannot be written") as caught,
        world_folder(tmp_path, "toy", room="a grain"),
    ):
        raise OSError(28, "No space left on device")
    assert "room for a grain" in str(caught.value.expected)
