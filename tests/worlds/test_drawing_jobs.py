"""Jobs side by side: every result, in order, told as it comes."""

from __future__ import annotations

import os

import pytest

from veritrain.worlds.drawing_jobs import drawn


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
