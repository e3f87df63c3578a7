"""The checks on a record that grows: each finding once, when it arises."""

from __future__ import annotations

import pytest

from monitor.writing import epochs, start, step, validate
from veritrain.monitor.findings import Watchdog, checks_while_running
from veritrain.monitor.tail import RecordTail
from veritrain.record import RecordWriter, RunFolder


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def look(dog, folder):
    tail = RecordTail(folder.record)
    tail.read()
    return dog.look(tail.lines, None)


def test_only_checks_that_a_record_alone_can_answer():
    names = {check.name for check in checks_while_running()}
    assert {"finite", "loss_not_vanished", "selection_leaves_test_alone"} <= names
    assert not names & {"record_whole", "beats_permuted_labels", "both_labels_present", "numbers_agree"}


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 7, 20, 40])
def test_a_sound_run_has_no_finding_at_any_time(folder, lines):
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6, 0.7, 0.75))
    tail = RecordTail(folder.record)
    tail.read()
    assert Watchdog(folder).look(tail.lines[:lines], None) == []


def test_a_nan_is_told_once_when_it_comes(folder):
    dog = Watchdog(folder)
    with RecordWriter(folder) as writer:
        start(writer)
        step(writer, 1, 1)
    assert look(dog, folder) == []
    with RecordWriter(folder) as writer:
        step(writer, 2, 1, frame=float("nan"))
    (found,) = look(dog, folder)
    assert (found.check, found.status, found.effect) == ("finite", "fail", "refutes") and found.sentence
    assert look(dog, folder) == [] and list(dog.standing) == ["finite"]


def test_a_selection_on_test_is_told_as_it_happens(folder):
    dog = Watchdog(folder)
    with RecordWriter(folder) as writer:
        epochs(writer, scores=(0.6,))
        writer.event("look", step=4, epoch=1, split="test", purpose="selection")
    assert [found.check for found in look(dog, folder)] == ["selection_leaves_test_alone"]


def test_what_goes_away_is_told_too(folder):
    dog = Watchdog(folder)
    with RecordWriter(folder) as writer:
        start(writer)
        step(writer, 1, 1, frame=float("nan"))
    assert [found.status for found in look(dog, folder)] == ["fail"]
    folder.record.unlink()
    with RecordWriter(folder) as writer:
        start(writer)
        step(writer, 1, 1)
        validate(writer, 1, 1, auroc=0.7)
    assert [found.status for found in look(dog, folder)] == ["cleared"] and not dog.standing


def test_a_look_is_due_when_something_new_came_and_not_all_the_time(folder):
    dog = Watchdog(folder)
    with RecordWriter(folder) as writer:
        start(writer)
    tail = RecordTail(folder.record)
    tail.read()
    assert dog.due(tail.lines)
    dog.look(tail.lines, None)
    assert not dog.due(tail.lines), "nothing new"
