from __future__ import annotations

import pytest

from veritrain.report.reasons import headline_of, open_checks, reasons_of, sentence_of, sorted_findings, to_settle


def found(check, status, on_fail="unproves", subject="loss", settle="", required=True):
    words = {"check": check, "status": status, "on_fail": on_fail, "subject": subject}
    return {**words, "to_settle": settle, "required": required, "id": "X1", "sentence": check}


@pytest.mark.parametrize(
    ("word", "sentence", "rest"),
    [
        ("shown", "SHOWN (one run): a = 0.9. All ran.", "a = 0.9. All ran."),
        ("not_shown", "NOT SHOWN: it: may.", "it: may."),
        ("refuted", "the loss: 0 on line 3", "the loss: 0 on line 3"),
        ("shown", "NOT SHOWN: another word is no repetition", "NOT SHOWN: another word is no repetition"),
    ],
)
def test_the_word_is_not_said_twice(word, sentence, rest):
    assert sentence_of({"verdict": word, "sentence": sentence}) == rest


def test_only_shown_says_that_it_rests_on_one_run():
    assert headline_of({"verdict": "shown", "one_run": True}) == "SHOWN (one run)"
    assert headline_of({"verdict": "shown", "one_run": False}) == "SHOWN"
    assert headline_of({"verdict": "refuted", "one_run": True}, "zh") == "已否定"


def test_idle_checks_matter_when_required_or_when_they_would_settle_something():
    idle = [{"check": "a", "required": True}, {"check": "b", "to_settle": "do"}, {"check": "c", "to_settle": ""}]
    assert open_checks({"not_run": idle}) == ["a", "b"] and open_checks({}) == []


def test_the_worst_comes_first():
    findings = [
        found("p", "pass"),
        found("w", "waived"),
        found("note", "fail", "notes"),
        found("u", "fail", "unproves"),
        found("c", "crashed"),
        found("r", "fail", "refutes"),
    ]
    assert [one["check"] for one in sorted_findings({"findings": findings})] == ["r", "u", "note", "c", "w", "p"]


def test_failures_that_count_are_the_reasons():
    findings = [found("p", "pass"), found("n", "fail", "notes"), found("r", "fail", "refutes")]
    assert [one["check"] for one in reasons_of({"findings": findings})] == ["r"]


def test_the_strongest_passes_are_the_reasons_when_nothing_failed():
    findings = [
        found("a", "pass", subject="loss"),
        found("b", "pass", subject="generalisation"),
        found("c", "pass", subject="controls"),
        found("d", "pass", subject="generalisation", required=False),
        found("e", "fail", "notes"),
    ]
    assert [one["check"] for one in reasons_of({"findings": findings})] == ["b", "c", "a"]


def test_what_settles_it_belongs_to_what_is_open():
    failed = [found("u", "fail", settle="do u"), found("n", "fail", "notes", settle="do n")]
    idle = [{"to_settle": "run it"}, {"to_settle": ""}, {"to_settle": "run it"}, {}]
    assert to_settle({"verdict": "not_shown", "findings": failed, "not_run": idle}) == ["do u"]
    assert to_settle({"verdict": "plausible", "findings": [], "not_run": idle}) == ["run it"]
    crashed = [found("c", "crashed", settle="mend it")]
    assert to_settle({"verdict": "plausible", "findings": crashed, "not_run": idle}) == ["mend it", "run it"]
    assert to_settle({"verdict": "shown", "findings": failed, "not_run": idle}) == []
