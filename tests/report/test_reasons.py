from __future__ import annotations

from veritrain.report.reasons import reasons_of, sorted_findings, to_settle


def found(check, status, on_fail="unproves", subject="loss", settle="", required=True):
    words = {"check": check, "status": status, "on_fail": on_fail, "subject": subject}
    return {**words, "to_settle": settle, "required": required, "id": "X1", "sentence": check}


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
