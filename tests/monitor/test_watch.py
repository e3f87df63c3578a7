"""Watching real folders while real processes write, end, hang and die; and nothing is ever written into them."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from dataclasses import replace

import pytest
from rich.console import Console

from monitor.writing import epochs, start, step, until, writer_process
from veritrain.errors import RecordError
from veritrain.monitor import watch as module
from veritrain.monitor.watch import Watcher, watch
from veritrain.record import RecordWriter, RunFolder, write_json

TRAIN_AND_WAIT = """
start(writer, epochs=9)
for number in range(1, 5):
    step(writer, number, 1)
    time.sleep(0.05)
time.sleep(60)
"""


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


@pytest.fixture
def finished(folder):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6, 0.7))
        writer.event("end", status="done")
    write_json(folder.verdict, {"verdict": "not_shown", "sentence": "NOT SHOWN: it cannot be told."})
    return folder


@pytest.fixture
def running(folder):
    process = writer_process(folder, TRAIN_AND_WAIT)
    try:
        until(lambda: folder.record.exists() and folder.record.read_text().count('"term"') == 8)
        yield folder, process
    finally:
        process.kill()
        process.wait()


def everything_in(folder):
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_ctime_ns, path.stat().st_ino, path.stat().st_size)
        for path in (folder.path, *sorted(folder.path.rglob("*")))
    }


def plain(folder, **options):
    """What plain watching prints, and its exit code."""
    out = io.StringIO()
    console = Console(file=out, width=80, highlight=False)
    code = watch(folder, console, **({"once": False, "every": 0.1, "plain": False} | options))
    return out.getvalue(), code


def later(monkeypatch, seconds):
    """The clocks of whoever watches stand this much later."""
    now, tick = time.time, time.monotonic
    monkeypatch.setattr(module.time, "time", lambda: now() + seconds)
    monkeypatch.setattr(module.time, "monotonic", lambda: tick() + seconds)


# --- states, by real processes ----------------------------------------------------------------------------------


def test_a_living_writer_runs_stalls_and_dies(running, monkeypatch):
    folder, process = running
    watcher = Watcher(folder)
    view = watcher.look()
    assert view.state.word == "running" and (view.step, view.total_steps, view.epochs) == (4, 36, 9)
    with monkeypatch.context() as patch:
        later(patch, 61.0)
        stalled = watcher.look().state
        assert stalled.word == "stalled" and "process" in stalled.text and "alive" in stalled.text
    assert watcher.look().state.word == "running"
    process.kill()
    process.wait()
    died = watcher.look().state
    assert died.word == "died" and not watcher.settled(died) and watcher.settled(watcher.look().state)


def test_a_run_is_followed_from_before_its_beginning_to_its_end(folder):
    folder.path.mkdir()
    watcher = Watcher(folder)
    assert watcher.look().state.word == "waiting"
    process = writer_process(folder, "epochs(writer, scores=(0.6, 0.7, 0.8)); writer.event('end', status='done')")
    assert process.wait(60) == 0
    view = watcher.look()
    assert view.state.word == "finished" and view.verdict is None and view.findings == ()
    first = view.scores[0]
    assert (first.name, first.value, first.best_epoch) == ("frame_auroc", 0.8, 3)
    write_json(folder.verdict, {"verdict": "plausible", "sentence": "PLAUSIBLE: so far."})
    assert watcher.look().verdict == {"verdict": "plausible", "sentence": "PLAUSIBLE: so far."}


def test_a_resumed_run_is_no_longer_what_its_last_segment_was(folder):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6,))
        writer.event("signal", step=4, epoch=1, name="SIGTERM")
        writer.event("stop", step=4, epoch=1, reason="SIGTERM")
    watcher = Watcher(folder)
    assert watcher.look().state.word == "interrupted"
    with RecordWriter(folder) as writer:
        start(writer, resumed=True)
        writer.event("resume", step=4, epoch=1, checkpoint="x", unfinished_saves=[])
        step(writer, 5, 2)
        writer.flush()
        view = watcher.look()
        assert (view.state.word, view.segments, view.step) == ("running", 2, 5)


def test_the_verdict_of_an_earlier_segment_is_not_shown_for_a_later_one(finished):
    old = time.time() - 3600
    os.utime(finished.verdict, (old, old))
    assert Watcher(finished).look().verdict is None


def test_a_copy_that_grows_without_a_lock_of_its_own_is_not_dead(folder, tmp_path):
    """A mirror of a run on another machine: its lock file is there, and nobody here holds it."""
    with RecordWriter(folder) as writer:
        start(writer)
        for number in (1, 2, 3):
            step(writer, number, 1)
    whole = folder.record.read_text().splitlines(keepends=True)
    folder.record.write_text("".join(whole[:4]))
    watcher = Watcher(folder)
    assert not watcher.settled(watcher.look().state)
    with folder.record.open("a") as file:
        file.write("".join(whole[4:]))
    assert watcher.look().state.word == "running"


def test_a_half_written_line_is_waited_for(folder):
    with RecordWriter(folder) as writer:
        start(writer)
        step(writer, 1, 1)
        writer.flush()
        whole = folder.record.read_text()
        line = whole.splitlines()[-1].replace('"step": 1', '"step": 2')
        watcher = Watcher(folder)
        watcher.look()
        with folder.record.open("a") as file:
            file.write(line[:30])
            file.flush()
            assert watcher.look().step == 1
            file.write(line[30:] + "\n")
        assert watcher.look().step == 2


def test_a_record_that_is_replaced_is_told_and_read_again(folder):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6, 0.7))
    watcher = Watcher(folder)
    assert watcher.look().step == 8
    folder.record.write_text("".join(folder.record.read_text().splitlines(keepends=True)[:6]))
    view = watcher.look()
    assert view.step == 2 and view.scores == () and "replaced or cut 1 times" in view.warnings[0]


def test_a_line_that_is_no_event_is_a_warning(folder):
    with RecordWriter(folder) as writer:
        start(writer)
    with folder.record.open("a") as file:
        file.write("surprise\n")
    assert "line 3" in Watcher(folder).look().warnings[0]


@pytest.mark.parametrize("make", ["nothing", "a file", "other things"])
def test_what_is_no_run_is_refused(folder, make):
    if make == "a file":
        folder.path.write_text("here")
    elif make == "other things":
        folder.path.mkdir()
        (folder.path / "holiday.jpg").write_text("sun")
    with pytest.raises(RecordError, match="not a run folder") as caught:
        Watcher(folder)
    assert caught.value.exit_code == 66


# --- plain lines ------------------------------------------------------------------------------------------------


def test_a_finished_run_is_printed_once(finished):
    for once in (True, False):
        text, code = plain(finished, once=once)
        assert code == 0 and text.count("state finished") == 1
        assert text.count("verdict NOT SHOWN: it cannot be told.") == 1


def test_plain_lines_follow_a_real_run_to_its_end(folder, monkeypatch):
    monkeypatch.setattr(module, "VERDICT_SECONDS", 0.3)
    code = """
    start(writer, epochs=2)
    for number in range(1, 9):
        step(writer, number, (number + 3) // 4, frame=float("nan") if number == 6 else None)
        time.sleep(0.15)
        if number % 4 == 0:
            validate(writer, number, number // 4, auroc=0.6 + number / 40)
    writer.event("end", status="done")
    """
    process = writer_process(folder, code)
    try:
        until(lambda: folder.record.exists() and folder.record.stat().st_size > 0)
        text, exit_code = plain(folder)
    finally:
        process.kill()
        process.wait()
    lines = text.splitlines()
    assert exit_code == 0 and lines[0] in ("run run · anomaly", "run run")
    steps = [line for line in lines if line.startswith("epoch ")]
    assert len(steps) >= 3 and "step 8/8" in steps[-1] and "chance 0.500" in steps[-1]
    assert len([line for line in lines if line.startswith("finding T1 finite fails (would refute)")]) == 1
    assert any(line.startswith("state finished") for line in lines)
    assert lines[-1] == "no verdict: veritrain audit RUN judges what there is"
    assert not [char for char in text if ord(char) < 32 and char != "\n"]


def test_a_death_while_watching_ends_it_with_1(running):
    folder, process = running
    out = io.StringIO()
    process.kill()
    process.wait()
    code = watch(folder, Console(file=out), once=False, every=0.1, plain=True)
    assert code == 1 and "state died: no process holds the run" in out.getvalue()


def test_once_tells_of_a_run_that_goes_on(running, monkeypatch):
    folder, _ = running
    text, code = plain(folder, once=True)
    assert code == 0 and "state running: training" in text
    later(monkeypatch, 3600.0)
    text, code = plain(folder, once=True)
    assert code == 1 and "state stalled: no new line for 60 min while training (step 4)" in text


# --- a terminal -------------------------------------------------------------------------------------------------


def test_on_a_terminal_the_screen_is_used_and_given_back(finished, monkeypatch):
    out = io.StringIO()
    monkeypatch.setenv("TERM", "xterm")
    console = Console(file=out, force_terminal=True, width=80, height=24, color_system=None, highlight=False)
    assert watch(finished, console, once=False, every=0.1, plain=False) == 0
    drawn = out.getvalue()
    assert drawn.index("\x1b[?1049h") < drawn.index("\x1b[?1049l"), "the alternate screen, left again"
    after = drawn[drawn.index("\x1b[?1049l") :]
    assert "FINISHED" in after and "NOT SHOWN" in after, "what stays on the terminal"


def test_plain_on_a_terminal_moves_no_cursor(finished, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, height=24, color_system=None, highlight=False)
    assert watch(finished, console, once=False, every=0.1, plain=True) == 0
    assert "\x1b" not in out.getvalue() and "state finished" in out.getvalue()


# --- it only looks ----------------------------------------------------------------------------------------------


def test_nothing_is_written_into_the_run(finished, tmp_path):
    (finished.evidence).mkdir()
    before = everything_in(finished)
    for plainly in (True, False):
        out = Console(file=io.StringIO(), force_terminal=not plainly, width=80, height=24)
        watch(finished, out, once=True, every=None, plain=plainly)
        watch(finished, out, once=False, every=0.1, plain=plainly)
    assert everything_in(finished) == before


def test_a_folder_that_nobody_may_write_can_be_watched(finished):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    finished.path.chmod(0o500)
    try:
        assert plain(finished, once=True)[1] == 0
    finally:
        finished.path.chmod(0o700)


def test_files_beside_the_record_may_be_half_written(finished):
    finished.recipe.write_text("epochs: [1, 2")
    finished.results.write_text('{"metrics": {"fra')
    finished.verdict.write_text("{")
    view = Watcher(finished).look()
    assert view.state.word == "finished" and view.verdict is None and view.scores


def test_the_chance_of_a_test_score_is_read_from_the_results(finished):
    with RecordWriter(finished) as writer:
        writer.event("metric", name="frame_ap", split="test", value=0.9, n=9)
    finished.results.write_text(json.dumps({"metrics": {"frame_ap": {"chance": 0.46}}}))
    view = Watcher(finished).look()
    (test_row,) = [row for row in view.scores if row.split == "test"]
    assert test_row.chance == 0.46
    assert view.state == replace(view.state, word="finished"), "what is written after the end does not begin it again"


def test_a_signal_in_a_real_run_is_an_interruption(folder):
    code = """
    import signal
    def stop(*_):
        writer.event("signal", step=1, epoch=1, name="SIGTERM")
        writer.event("stop", step=1, epoch=1, reason="SIGTERM")
        sys.exit(143)
    signal.signal(signal.SIGTERM, stop)
    start(writer)
    step(writer, 1, 1)
    writer.flush()
    time.sleep(60)
    """
    process = writer_process(folder, code)
    try:
        until(lambda: folder.record.exists() and '"term"' in folder.record.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143
    finally:
        process.kill()
        process.wait()
    state = Watcher(folder).look().state
    assert state.word == "interrupted" and "SIGTERM" in state.text
