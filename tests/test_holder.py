"""Whether a process holds a run: a real one that lives, ends or is killed; and no look disturbs a writer."""

from __future__ import annotations

import fcntl
import os
import threading

import pytest

from monitor.writing import until, writer_process
from veritrain.record import RecordWriter, RunFolder, holder, holder_of


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


@pytest.fixture(params=["listed", "tried"])
def way(request, monkeypatch, tmp_path):
    """By the kernel's list, and without it (another machine, another system)."""
    if request.param == "tried":
        monkeypatch.setattr(holder, "LOCKS", tmp_path / "no list")
    elif not holder.LOCKS.exists():
        pytest.skip("this system has no /proc/locks")
    return request.param


def test_without_a_lock_nobody_can_tell(folder, way):
    assert holder_of(folder.lock).state == "unknown"


def test_a_writer_holds_its_run_until_it_closes(folder, way):
    with RecordWriter(folder):
        found = holder_of(folder.lock)
        assert found.state == "held" and found.pid == (os.getpid() if way == "listed" else None)
    assert holder_of(folder.lock).state == "free"


def test_a_killed_process_lets_go(folder, way):
    process = writer_process(folder, "start(writer); time.sleep(60)")
    try:
        until(lambda: folder.record.exists() and folder.record.stat().st_size > 0)
        found = holder_of(folder.lock)
        assert found.state == "held" and found.pid in (process.pid, None)
    finally:
        process.kill()
        process.wait()
    assert holder_of(folder.lock).state == "free"


def test_a_look_at_the_wrong_moment_keeps_no_writer_out(folder):
    RecordWriter(folder).close()
    glance = folder.lock.open("rb")
    fcntl.flock(glance, fcntl.LOCK_SH)
    over = threading.Timer(0.1, glance.close)
    over.start()
    RecordWriter(folder).close()
    over.join()
