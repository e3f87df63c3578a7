"""The words that the screen and plain lines share."""

from __future__ import annotations

from monitor.looks import EMPTY, finding, score, term, view
from veritrain.monitor import words
from veritrain.monitor.findings import Arisen
from veritrain.monitor.state import State


def test_what_is_unknown_says_so():
    assert words.place(EMPTY) == "no step yet" and words.speed(EMPTY) == ["samples/s unknown"]
    assert words.chance(score(chance=None)) == "chance unknown"
    assert words.term_value(term(finite=False)) == "not finite"


def test_a_run_that_stands_still_or_is_over_has_no_end_to_wait_for():
    assert words.eta(view(state=State(word="stalled", text=""))) == "ETA unknown (stalled)"
    assert words.eta(view(state=State(word="died", text=""))) == ""


def test_a_finding_says_what_it_would_do():
    assert words.finding(finding(sentence="s")) == "T2 loss_not_vanished fails (would unprove): s"
    gone = Arisen(id="T2", check="c", status="cleared", effect="notes", sentence="no longer")
    assert words.finding(gone) == "T2 c: no longer found"
    broken = Arisen(id="T2", check="c", status="crashed", effect="refutes", sentence="it broke")
    assert words.finding(broken) == "T2 c crashed: it broke"


def test_only_whole_parts_are_joined():
    assert words.joined(["abc", "defg", "h"], 9) == "abc  defg"
    assert words.joined(["abc", "defg"], 8) == "abc" and words.joined(["abc"], 2) == ""


def test_a_later_segment_is_named():
    assert words.title(view(segments=3)) == "mine · anomaly · segment 3"
