"""How a run stands, by hand-worked cases; real processes are in ``test_watch.py``."""

from __future__ import annotations

import pytest

from monitor.writing import epochs, start, step, told
from veritrain.monitor.state import allowed_silence, state_of
from veritrain.monitor.story import Mark, Story
from veritrain.record import Holder, RecordWriter, RunFolder

HELD, FREE, UNKNOWN = Holder(state="held", pid=77), Holder(state="free"), Holder(state="unknown")


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


@pytest.fixture
def training(folder):
    with RecordWriter(folder) as writer:
        start(writer)
        for number in (1, 2, 3):
            step(writer, number, 1)
    return folder


def after(folder, event, **fields):
    with RecordWriter(folder) as writer:
        writer.event(event, step=3, epoch=1, **fields)
    return told(folder)


def test_a_run_with_a_holder_and_new_lines_runs(training):
    assert state_of(told(training), HELD, silence=2.0).word == "running"
    assert state_of(told(training), UNKNOWN, silence=2.0).word == "running"


def test_silence_with_a_living_process_is_a_stall_and_without_one_a_death(training):
    stalled = state_of(told(training), HELD, silence=61.0)
    assert stalled.word == "stalled" and "process 77 is alive" in stalled.text and "61 s" in stalled.text
    assert "cannot be told" in state_of(told(training), UNKNOWN, silence=61.0).text
    died = state_of(told(training), FREE, silence=61.0)
    assert died.word == "died" and "no process" in died.text and "step 3" in died.text
    assert (stalled.exit_code, died.exit_code, stalled.over, died.over) == (1, 1, False, True)


@pytest.mark.parametrize("silence", [0.0, 1e6])
@pytest.mark.parametrize("holder", [HELD, FREE, UNKNOWN])
def test_a_finished_run_is_finished_whoever_holds_it_and_however_long_ago(training, holder, silence):
    story = after(training, "end", status="done")
    assert state_of(story, holder, silence=silence).word == "finished"
    assert state_of(story, holder, silence=silence).exit_code == 0


def test_an_interrupted_run_names_the_signal(training):
    after(training, "signal", name="SIGTERM")
    story = after(training, "stop", reason="SIGTERM")
    state = state_of(story, FREE, silence=3.0)
    assert state.word == "interrupted" and "SIGTERM" in state.text and state.exit_code == 1


def test_a_run_that_stopped_for_nan_failed(training):
    after(training, "nonfinite", name="frame", found="nan", split="train", samples=[])
    state = state_of(after(training, "stop", reason="nonfinite"), FREE, silence=1.0)
    assert state.word == "failed" and "frame = nan" in state.text


def test_a_stop_of_its_own_is_not_the_end(training):
    story = after(training, "stop", reason="epochs", summary={})
    assert state_of(story, HELD, silence=300.0).word == "running", "controls write nothing for a long time"
    assert state_of(story, FREE, silence=300.0).word == "died", "but results and evidence are missing"


def test_a_resumed_run_runs_again(training):
    after(training, "stop", reason="SIGTERM")
    with RecordWriter(training) as writer:
        start(writer, resumed=True)
    assert state_of(told(training), HELD, silence=1.0).word == "running"


def test_an_interrupted_run_that_is_held_again_is_being_taken_up(training):
    story = after(training, "stop", reason="SIGTERM")
    assert state_of(story, HELD, silence=2.0).word == "interrupted"
    assert state_of(story, HELD, silence=60.0).word == "running"


def test_a_run_without_a_line():
    assert state_of(Story(), HELD, silence=5.0).word == "running", "it reads its data"
    assert state_of(Story(), UNKNOWN, silence=None).word == "waiting"
    assert state_of(Story(), FREE, silence=5.0).word == "died"


def test_what_silence_is_usual_follows_the_run(folder):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6,))
        step(writer, 5, 2)
    story = told(folder)
    assert allowed_silence(story) == 60.0
    story.marks = [Mark(step=n, epoch=1, at=20.0 * n) for n in range(10)]
    assert allowed_silence(story) == 200.0, "ten times the median"
    story.phase, story.validations = "validating", [500.0, 30.0]
    assert allowed_silence(story) == 1000.0
    story.phase = "judging"
    assert allowed_silence(story) == 1800.0
