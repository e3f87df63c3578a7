"""Following a record: each line once, torn and broken lines, replaced files."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.writing import start, step
from veritrain.errors import RecordError
from veritrain.monitor.tail import RecordTail
from veritrain.record import RecordWriter, RunFolder, read_run


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def write(folder, *numbers):
    with RecordWriter(folder) as writer:
        for number in numbers:
            step(writer, number, 1)


def steps_of(tail):
    return [line["step"] for line in tail.lines if line.get("name") == "frame"]


def test_a_record_that_does_not_exist_yet_has_no_lines(folder):
    tail = RecordTail(folder.record)
    assert not tail.read() and tail.lines == []
    write(folder, 1)
    assert tail.read() and steps_of(tail) == [1]
    assert not tail.read(), "nothing new"


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(min_value=0, max_value=1500), max_size=6))
def test_however_a_record_grows_it_is_read_as_a_whole_file_would_be(tmp_path_factory, cuts):
    folder = RunFolder(tmp_path_factory.mktemp("grow") / "run")
    with RecordWriter(folder) as writer:
        start(writer)
        for number in range(1, 4):
            step(writer, number, 1)
    whole = folder.record.read_bytes()
    events = read_run(folder.path).events
    tail = RecordTail(folder.record)
    for cut in [*sorted(min(cut, len(whole)) for cut in cuts), len(whole)]:
        folder.record.write_bytes(whole[:cut])
        tail.read()
        assert len(tail.lines) == whole[:cut].count(b"\n")
    assert tail.lines == [dict(event) for event in events] and tail.replaced == 0


def test_a_torn_line_that_the_next_writer_cuts_is_never_seen(folder):
    write(folder, 1)
    tail = RecordTail(folder.record)
    with folder.record.open("a") as file:
        file.write('{"v": 1, "event": "te')
    tail.read()
    write(folder, 2)
    tail.read()
    assert steps_of(tail) == [1, 2] and tail.broken == [] and tail.replaced == 0


def test_a_record_that_shrinks_or_is_replaced_is_read_again(folder, tmp_path):
    write(folder, 1, 2, 3)
    tail = RecordTail(folder.record)
    tail.read()
    lines = folder.record.read_text().splitlines(keepends=True)
    folder.record.write_text("".join(lines[:2]))
    assert tail.read() and steps_of(tail) == [1] and tail.replaced == 1
    (tmp_path / "other").write_text("".join(lines).replace('"step": 3', '"step": 9'))
    (tmp_path / "other").replace(folder.record)
    assert tail.read() and steps_of(tail) == [1, 2, 9] and tail.replaced == 2
    folder.record.write_text("".join(lines).replace('"step": 3', '"step": 7') * 2)
    assert tail.read() and steps_of(tail) == [1, 2, 7, 1, 2, 7] and tail.replaced == 3
    folder.record.unlink()
    assert tail.read() and tail.lines == []


@pytest.mark.parametrize("line", ["not json", "[1]", '{"v": 1}', "\x00\x00"])
def test_a_whole_line_that_is_no_event_is_counted_and_passed_over(folder, line):
    write(folder, 1)
    with folder.record.open("a") as file:
        file.write(line + "\n")
    write(folder, 2)
    tail = RecordTail(folder.record)
    tail.read()
    assert steps_of(tail) == [1, 2] and tail.broken == [3]
    assert [event["line"] for event in tail.lines] == [1, 2, 4, 5]


def test_another_version_is_an_error(folder):
    write(folder, 1)
    folder.record.write_text(folder.record.read_text().replace('"v": 1', '"v": 99'))
    with pytest.raises(RecordError, match="another version"):
        RecordTail(folder.record).read()
