"""The words that the screen and plain lines share."""

from __future__ import annotations

from monitor.looks import EMPTY, finding, score, task, term, view
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


def test_a_weight_that_moves_stays_short():
    assert words.weight(term()) == "x 2" and words.weight(task(weight=0.0512345678)) == "x 0.05123"
    assert words.weight(task(weight=None)) == "x ?"


def test_only_what_is_known_of_a_task_is_said():
    assert (
        words.task_facts(task(ratio=None)) == ["gradient norm 3.46"]
        and words.task_facts(task(norm=None, ratio=None)) == []
    )


def test_a_cosine_says_when_tasks_pull_apart():
    assert words.cosine("a", "b", 0.25) == "cosine of a and b 0.250" and "apart" not in words.cosine("a", "b", 0.0)
    assert words.cosine("a", "b", -0.25).endswith("(they pull apart)")
    assert words.cosine("a", "b", None) == "cosine of a and b undefined"


def test_only_whole_parts_are_joined():
    assert words.joined(["abc", "defg", "h"], 9) == "abc  defg"
    assert words.joined(["abc", "defg"], 8) == "abc" and words.joined(["abc"], 2) == ""


def test_a_later_segment_is_named():
    assert words.title(view(segments=3)) == "mine · anomaly · segment 3"
