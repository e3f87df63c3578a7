"""From findings to a verdict: every row of the table, waivers, crashes, and the words of the interface."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.planted import FRAME, POINT, evidence, planted, score, write_learned_run
from veritrain import catalog
from veritrain.audit import verdict
from veritrain.audit.check import Citation, Finding, failed, not_run, passed
from veritrain.audit.verdict import Judged, Waiver, as_json, decide, findings_of, judge, judge_all, waivers_of
from veritrain.errors import ConfigError
from veritrain.readers.recognise import read_artefact
from veritrain.record import Row, RunFolder, RunRecord, read_run, write_json
from veritrain.report.reasons import open_checks

TODAY = date(2026, 6, 1)
ALWAYS = date.max


class Planted:
    """A check that says what it was told to say."""

    id, subject, needs, required_for, per_claim = "X1", "planted", (), ("anomaly",), False
    on_not_run = "blocks_shown"

    def __init__(self, name, answer, on_fail="unproves", **more):
        self.name, self.answer, self.on_fail = name, answer, on_fail
        for key, value in more.items():
            setattr(self, key, value)

    def judge(self, record, evidence):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def judged(name="a", status="pass", on_fail="unproves", required=False):
    return Judged(finding=Finding(status=status, sentence="so", check=name), on_fail=on_fail, required=required)


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> RunRecord:
    folder = write_learned_run(RunFolder(tmp_path_factory.mktemp("runs") / "learned"))
    return read_run(folder.path)


def without(record, *probes):
    return replace(record, evidence={name: one for name, one in record.evidence.items() if name not in probes})


def with_values(record, probe, **values):
    old = record.evidence[probe]
    return replace(record, evidence={**record.evidence, probe: replace(old, values={**old.values, **values})})


def with_score(record, **entry):
    return replace(record, results={**record.results, "metrics": {"frame_auroc": score(**entry)}})


# --- the table, row by row ----------------------------------------------------------------------------------------

ABOVE = judged("beats_trivial", required=True)
ROWS = [
    ("all required passed", [ABOVE, judged("b", required=True)], True, "shown"),
    ("a note does not count against it", [ABOVE, judged("b", "fail", "notes")], True, "shown"),
    ("an optional one did not run", [ABOVE, judged("b", "not_run")], True, "shown"),
    ("a required one did not run", [ABOVE, judged("b", "not_run", required=True)], True, "plausible"),
    ("a required one crashed", [ABOVE, judged("b", "crashed", "refutes", required=True)], True, "plausible"),
    ("a required one is waived", [ABOVE, judged("b", "waived", "refutes", required=True)], True, "plausible"),
    ("a required one failed as a note", [ABOVE, judged("b", "fail", "notes", required=True)], True, "plausible"),
    ("a bare log, clearly above trivial", [ABOVE], False, "plausible"),
    ("a bare log, not above trivial", [judged("b")], False, "not_shown"),
    ("nothing ran", [], True, "not_shown"),
    ("nothing is required", [judged("b")], True, "not_shown"),
    ("no held-out evidence", [judged("beats_trivial", "not_run", required=True)], True, "not_shown"),
    ("beats_trivial waived", [judged("beats_trivial", "waived", required=True), judged("b")], True, "not_shown"),
    ("something unproves", [ABOVE, judged("b", "fail", "unproves")], True, "not_shown"),
    ("something unproves a bare log", [ABOVE, judged("b", "fail", "unproves")], False, "not_shown"),
    ("something refutes", [ABOVE, judged("b", "fail", "refutes")], True, "refuted"),
    ("refuting goes before unproving", [judged("a", "fail"), judged("b", "fail", "refutes")], True, "refuted"),
    ("something refutes a bare log", [ABOVE, judged("b", "fail", "refutes")], False, "refuted"),
    ("what would refute did not run", [ABOVE, judged("b", "not_run", "refutes")], False, "plausible"),
    ("what would refute crashed", [ABOVE, judged("b", "crashed", "refutes")], False, "plausible"),
]


@pytest.mark.parametrize(("items", "own", "word"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_the_table(items, own, word):
    assert decide(items, own_run=own) == word
    assert decide(items[::-1], own_run=own) == word, "the order of findings changes nothing"


def test_the_words_go_from_worst_to_best():
    assert verdict.ORDER == ("refuted", "not_shown", "plausible", "shown")
    assert set(verdict.WORDS) == set(verdict.ORDER)


STATUSES = st.sampled_from(["pass", "fail", "not_run", "crashed", "waived"])
EFFECTS = st.sampled_from(["refutes", "unproves", "notes"])
FINDINGS = st.lists(
    st.builds(judged, st.sampled_from(["beats_trivial", "a", "b", "c"]), STATUSES, EFFECTS, st.booleans()),
    max_size=6,
    unique_by=lambda item: item.finding.check,
)


@settings(max_examples=300, deadline=None)
@given(items=FINDINGS, own=st.booleans(), data=st.data())
def test_less_evidence_never_refutes_and_never_shows(items, own, data):
    demanded = {item.finding.check for item in items if item.required}
    before = decide(items, own_run=own, demanded=demanded)
    kept = data.draw(st.sets(st.sampled_from(range(len(items))) if items else st.nothing()))
    fewer = [item for place, item in enumerate(items) if place in kept]
    after = decide(fewer, own_run=own, demanded=demanded)
    assert after != "refuted" or before == "refuted"
    if any(item.required for place, item in enumerate(items) if place not in kept):
        assert after != "shown"


@settings(max_examples=200, deadline=None)
@given(items=FINDINGS, own=st.booleans(), status=st.sampled_from(["not_run", "crashed", "waived"]), data=st.data())
def test_what_did_not_run_counts_like_what_is_not_there(items, own, status, data):
    kept = data.draw(st.sets(st.sampled_from(range(len(items))) if items else st.nothing()))
    lame = [
        item if place in kept else replace(item, finding=replace(item.finding, status=status))
        for place, item in enumerate(items)
    ]
    demanded = {item.finding.check for item in items if item.required}
    fewer = [item for place, item in enumerate(items) if place in kept]
    assert decide(lame, own_run=own) == decide(fewer, own_run=own, demanded=demanded)


# --- whole runs ---------------------------------------------------------------------------------------------------


def test_a_run_that_learned_is_shown_once(learned):
    head, other = judge_all(learned)
    assert (head.word, head.claim, other.word, other.claim) == ("shown", FRAME, "shown", POINT)
    assert head.sentence.startswith("SHOWN (one run): frame_auroc on test = 0.900 [0.800, 0.950], chance 0.500.")
    count = sum(item.required for item in head.judged)
    assert f"All {count} required checks ran and passed." in head.sentence
    demanded = {name for name in catalog.CHECKS if "anomaly" in catalog.resolve("checks", name).required_for}
    assert demanded == {item.finding.check for item in head.judged if item.required} and count == len(demanded) >= 15


CHECKS = [catalog.resolve("checks", name) for name in catalog.CHECKS]
PROBES = sorted(
    {
        need.partition(":")[2]
        for check in CHECKS
        if "anomaly" in check.required_for
        for need in check.needs
        if need.startswith("evidence:")
    }
)
"""Those that a run of this task needs; the others make evidence about boxes."""


@pytest.mark.parametrize("probe", PROBES)
def test_without_any_one_probe_it_is_only_plausible(learned, probe):
    found = judge(without(learned, probe))
    assert found.word == "plausible"
    assert "Nothing contradicts it, but 1 required checks did not run or did not pass" in found.sentence


@pytest.mark.parametrize("probe", PROBES)
def test_a_crashed_probe_is_no_evidence(learned, probe):
    crashed = replace(learned.evidence[probe], status="crashed", note="RuntimeError: boom")
    assert judge(replace(learned, evidence={**learned.evidence, probe: crashed})).word == "plausible"


@pytest.mark.parametrize("probe", PROBES)
def test_evidence_about_another_checkpoint_does_not_count(learned, probe):
    stale = replace(learned.evidence[probe], inputs_hash="of an earlier checkpoint")
    found = judge(replace(learned, evidence={**learned.evidence, probe: stale}))
    assert found.word == "plausible"
    (reason,) = {item.finding.sentence for item in found.judged if item.finding.status == "not_run" and item.required}
    assert reason == f"needs the probe {probe}, done on the checkpoint and the split of results.json"


REFUTING = [
    ("labels_read_twice", {"differing": 3, "examples": ["train[0]"]}, "labels changed"),
    ("loss_under_flipped_labels", {"relative_change": {"frame": 0.0}}, "does not change when all labels are exchanged"),
    ("fresh_process_evaluation", {"frame_auroc": {"here": 0.9, "fresh": 0.7}}, "A fresh process finds"),
]


@pytest.mark.parametrize(("probe", "values", "said"), REFUTING, ids=[row[0] for row in REFUTING])
def test_an_exact_test_that_fails_refutes(learned, probe, values, said):
    found = judge(with_values(learned, probe, **values))
    assert found.word == "refuted" and found.sentence.startswith("REFUTED:") and said in found.sentence
    assert judge(without(with_values(learned, probe, **values), probe)).word == "plausible"


UNPROVING = [
    ("best_constant_loss", {"trained_total": 0.7}),
    ("one_batch_overfit", {"last_loss": 1.9}),
    (
        "between_group_permutation",
        {"frame_auroc": {"p_value": 0.3, "observed": 0.9, "null_mean": 0.9, "n_permutations": 9}},
    ),
    ("permuted_label_retraining", {"permuted": [{"frame_auroc": 0.9}] * 2}),
    ("reinitialised_networks", {"scores": [{"frame_auroc": 0.95}] * 5}),
]


@pytest.mark.parametrize(("probe", "values"), UNPROVING, ids=[row[0] for row in UNPROVING])
def test_a_control_that_does_not_fail_leaves_it_not_shown(learned, probe, values):
    found = judge(with_values(learned, probe, **values))
    assert found.word == "not_shown" and found.sentence.startswith("NOT SHOWN:")


def test_an_unused_input_leaves_it_plausible(learned):
    falls = {"image": {"frame_auroc": {"fall": 0.0, "ci95": [-0.1, 0.1]}}}
    found = judge(with_values(learned, "inputs_exchanged", falls=falls))
    assert found.word == "plausible" and "did not pass: inputs_matter" in found.sentence


@pytest.mark.parametrize(
    ("gain", "word"),
    [([0.2, 0.4], "shown"), ([-0.1, 0.1], "not_shown"), ([0.0, 0.3], "not_shown"), ([-0.2, 0.019], "refuted")],
)
def test_the_gain_over_the_best_baseline_decides(learned, gain, word):
    assert judge(with_score(learned, gain_ci95=gain)).word == word


@pytest.mark.parametrize("gain", [None, [None, None], [math.nan, math.nan], []])
def test_an_undefined_gain_shows_nothing(learned, gain):
    gain = [None if math.isnan(bound or 0) else bound for bound in gain] if gain else gain
    assert judge(with_score(learned, gain_ci95=gain)).word == "not_shown"


def test_claims_are_judged_apart(learned):
    record = with_values(learned, "reinitialised_networks", scores=[{"frame_auroc": 0.5, "point_ap": 0.99}] * 5)
    assert [one.word for one in judge_all(record)] == ["shown", "not_shown"]


@pytest.mark.parametrize("task", ["anomly", "somebody_elses", None])
def test_a_run_of_an_unknown_task_is_never_shown_for_want_of_demands(learned, task):
    assert judge(replace(learned, task=task, evidence={})).word == "plausible"
    bare = RunRecord(path=learned.path, kind="run", task=task, events=learned.events)
    assert judge(bare).word == "not_shown"


def test_judging_with_a_few_checks_cannot_show(learned):
    few = [catalog.resolve("checks", name)() for name in ("beats_trivial", "both_labels_present")]
    assert judge(learned, checks=few).word == "plausible"
    assert judge(learned, checks=[]).word == "not_shown"


def test_a_run_that_has_only_begun_is_not_shown(learned):
    young = RunRecord(path=learned.path, kind="run", task="anomaly", claims=(FRAME,), claim=FRAME, rows=learned.rows)
    assert judge(young).word == "not_shown"


# --- crashes ------------------------------------------------------------------------------------------------------


def test_a_crashed_check_is_its_own_status_and_never_passed():
    checks = [Planted("beats_trivial", passed("above")), Planted("b", ZeroDivisionError("by zero"), "refutes")]
    items = findings_of(planted(), checks)
    crashed = items[1].finding
    assert (crashed.status, crashed.sentence) == ("crashed", "the check itself broke: ZeroDivisionError: by zero")
    assert items[1].required and decide(items, own_run=True) == "plausible"


@pytest.mark.parametrize("name", sorted(catalog.CHECKS))
def test_no_check_passes_on_evidence_that_makes_no_sense(name):
    """Empty values, missing keys, wrong types: a check fails to run or fails, and the others go on."""
    check = catalog.resolve("checks", name)()
    probes = [need.partition(":")[2] for need in check.needs if need.startswith("evidence:")]
    for nonsense in ({}, {"frame_auroc": {}}, {"scores": [], "permuted": [], "true": {}, "falls": {}, "inputs": []}):
        record = planted(*(evidence(probe, nonsense) for probe in probes), results={"metrics": {"frame_auroc": {}}})
        (item,) = findings_of(record, [check])
        assert not probes or item.finding.status in ("not_run", "crashed"), item.finding


# --- waivers ------------------------------------------------------------------------------------------------------


def waived(check, until=ALWAYS):
    return [Waiver(check=check, reason="no time", until=until)]


def test_a_waived_check_counts_as_not_run(learned):
    assert judge(learned).word == "shown"
    found = judge(learned, waivers=waived("beats_untrained"))
    assert found.word == "plausible"
    (item,) = [item for item in found.judged if item.finding.status == "waived"]
    assert item.finding.check == "beats_untrained" and item.required
    assert item.finding.sentence.startswith(f"waived until {ALWAYS}: no time (The trained network scores above")


@pytest.mark.parametrize("status", ["fail", "not_run", "crash"])
def test_what_would_have_happened_is_told_beside_the_reason(status):
    answers = {"fail": failed("it fell"), "not_run": not_run("no data"), "crash": KeyError("x")}
    items = findings_of(planted(), [Planted("b", answers[status])], waived("b"), TODAY)
    assert items[0].finding.status == "waived"
    assert {"fail": "it fell", "not_run": "no data", "crash": "KeyError"}[status] in items[0].finding.sentence


def test_a_waiver_cannot_lift_refuted(learned):
    broken = with_values(learned, "labels_read_twice", differing=3, examples=["train[0]"])
    every = [waiver for name in catalog.CHECKS for waiver in waived(name)]
    assert judge(broken, waivers=every).word == "refuted"
    own = [Planted("b", failed("it changed", on_fail="refutes"), "notes")]
    assert findings_of(planted(), own, waived("b"), TODAY)[0].finding.status == "fail"


def test_a_waived_failure_is_never_shown_also_when_nobody_requires_it():
    optional = Planted("b", failed("doubtful"), required_for=(), on_not_run="nothing")
    items = findings_of(planted(), [Planted("beats_trivial", passed("above")), optional], waived("b"), TODAY)
    assert decide(items, own_run=True) == "plausible"


@pytest.mark.parametrize(("days", "status"), [(-1, "pass"), (0, "waived"), (1, "waived")])
def test_a_waiver_ends_with_its_last_day(days, status):
    waivers = waived("b", TODAY + timedelta(days=days))
    assert findings_of(planted(), [Planted("b", passed("fine"))], waivers, TODAY)[0].finding.status == status


def test_a_waiver_is_for_one_check_only():
    items = findings_of(planted(), [Planted("a", passed("x")), Planted("b", passed("x"))], waived("b"), TODAY)
    assert [item.finding.status for item in items] == ["pass", "waived"]


def recipe(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_waivers_are_read_from_a_recipe(tmp_path):
    first_one = "- {check: finite, reason: one day, until: 2026-07-01}\n"
    text = f"waivers:\n{first_one}- {{check: inputs_matter, reason: r, until: '2026-01-01'}}\n"
    first, second = waivers_of(recipe(tmp_path, text))
    assert first == Waiver(check="finite", reason="one day", until=date(2026, 7, 1))
    assert second.until == date(2026, 1, 1)
    assert waivers_of(recipe(tmp_path, "seed: 1\n")) == waivers_of(recipe(tmp_path, "waivers: []\n")) == ()
    assert waivers_of(tmp_path / "nothing.yaml") == ()


def test_a_waiver_of_an_unknown_check_names_the_nearest(tmp_path):
    path = recipe(tmp_path, "waivers:\n- {check: inputs_mater, reason: r, until: 2026-07-01}\n")
    with pytest.raises(ConfigError, match="did you mean 'inputs_matter'") as caught:
        waivers_of(path)
    assert caught.value.file == str(path) and caught.value.exit_code == 64


@pytest.mark.parametrize(
    "entry",
    [
        "{check: finite, until: 2026-07-01}",
        "{check: finite, reason: '', until: 2026-07-01}",
        "{check: finite, reason: r}",
        "{reason: r, until: 2026-07-01}",
        "{check: finite, reason: r, until: someday}",
        "finite",
        "[finite]",
    ],
)
def test_half_a_waiver_is_refused(tmp_path, entry):
    with pytest.raises(ConfigError):
        waivers_of(recipe(tmp_path, f"waivers:\n- {entry}\n"))


def test_waivers_that_are_no_list_are_refused(tmp_path):
    with pytest.raises(ConfigError):
        waivers_of(recipe(tmp_path, "waivers: finite\n"))


# --- the words of the interface -----------------------------------------------------------------------------------


def test_the_json_has_the_words_of_the_interface(learned):
    broken = with_values(without(learned, "inputs_exchanged"), "labels_read_twice", differing=1, examples=["train[0]"])
    content = json.loads(
        json.dumps(as_json(judge_all(broken, waived("beats_untrained")), learned.path), allow_nan=False)
    )
    assert content["schema"] == 1 and content["verdict"] == "refuted" and content["path"] == str(learned.path)
    for item in content["findings"]:
        assert {"id", "check", "status", "sentence", "value", "bound", "evidence", "to_settle"} <= set(item)
        assert all(set(cited) == {"file", "line"} for cited in item["evidence"])
        assert item["status"] in ("pass", "fail", "crashed", "waived")
    by_name = {item["check"]: item for item in content["findings"]}
    assert by_name["labels_deterministic"]["id"] == "D4" and by_name["labels_deterministic"]["status"] == "fail"
    assert by_name["labels_deterministic"]["to_settle"] and by_name["labels_deterministic"]["evidence"]
    idle = {item["check"]: item for item in content["not_run"]}
    assert {"id", "check", "reason"} <= set(idle["inputs_matter"]) and idle["inputs_matter"]["id"] == "J4"
    assert "inputs_exchanged" in idle["inputs_matter"]["reason"]
    assert [item["check"] for item in content["waived"]] == ["beats_untrained"]
    assert set(by_name) | set(idle) == set(catalog.CHECKS) and not set(by_name) & set(idle)
    assert [(claim["metric"], claim["verdict"]) for claim in content["claims"]] == [
        ("frame_auroc", "refuted"),
        ("point_ap", "refuted"),
    ]


NUMBERS = [
    math.nan,
    math.inf,
    np.float64("nan"),
    np.float32(0.5),
    np.array([1.0, math.inf]),
    {"a": (1, math.nan)},
    None,
]


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_what_is_not_finite_is_null_in_the_json(number):
    checks = [Planted("b", failed("so", value=number, bound=number, evidence=(Citation(file="x", line=1),)))]
    text = json.dumps(as_json([judge(planted(), checks=checks)], "x"), allow_nan=False)
    assert "NaN" not in text and "Infinity" not in text


def test_plain_values_keep_what_is_finite():
    plain = verdict._plain({"a": np.array([1.5, math.inf]), 2: (np.float32(0.5), np.int64(3), "x", None)})
    assert plain == {"a": [1.5, None], "2": [0.5, 3, "x", None]}


def test_a_foreign_artefact_has_one_verdict_and_no_claim(tmp_path):
    rows = tuple(Row(file="a.csv", line=i, name="loss", raw="loss", value=1 / i, epoch=i) for i in range(1, 9))
    content = as_json(judge_all(RunRecord(path=tmp_path, kind="csv_history", rows=rows)), tmp_path)
    assert content["verdict"] == "not_shown" and content["claim"] is None and content["claims"] == []
    assert not any(item["required"] for item in content["findings"])


def history_of(tmp_path, header, rows):
    path = tmp_path / "history.csv"
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return read_artefact(path)


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        (
            "val_auroc",
            [0.61, 0.7, 0.8, 0.84, 0.85, 0.86],
            "val auroc goes from 0.61 to 0.85 (median of the last 3 of 6), clearly above the trivial level 0.5 by at "
            "least 0.1 (lines 2 and 7).",
        ),
        (
            "val_accuracy",
            [0.31, 0.7, 0.8, 0.84, 0.85, 0.86],
            "val accuracy rises from 0.31 to 0.85 (median of the last 3 of 6) on held-out data; the file does not tell "
            "the trivial level, so its first evaluation stands in (lines 2 and 7).",
        ),
    ],
)
def test_plausible_names_the_score_from_what_to_what_the_trivial_level_and_the_lines(tmp_path, column, values, said):
    found = judge(history_of(tmp_path, f"epoch,{column}", list(enumerate(values))))
    assert found.sentence == f"PLAUSIBLE: {said} Nothing here contradicts it; the file alone cannot show more."


def test_a_sentence_after_a_full_stop_starts_with_a_capital_letter_and_no_name_is_changed():
    checks = [Planted("a", failed("the gain is small")), Planted("b", failed("point_ap is no number")),
              Planted("c", failed("'done' is missing"))]  # fmt: skip
    own = judge(planted(results={"metrics": {"frame_auroc": score()}}), checks=checks).sentence
    assert own.endswith("chance 0.500. The gain is small. point_ap is no number. 'done' is missing.")
    bare = judge(RunRecord(path=Path("a.csv"), kind="csv_history"), checks=[checks[1], checks[0]]).sentence
    assert bare == "NOT SHOWN: point_ap is no number. The gain is small."


@pytest.mark.parametrize(("task", "to_settle"), [("anomaly", ""), ("joint", "do this"), (None, "do this")])
def test_a_check_that_only_other_tasks_need_asks_for_nothing(task, to_settle):
    """What did not run and is demanded of another task leaves nothing to settle here."""
    check = Planted("b", not_run("nothing recorded", to_settle="do this"), required_for=("joint",))
    (item,) = findings_of(planted(task=task), [check])
    assert (item.finding.status, item.finding.to_settle, item.required) == ("not_run", to_settle, task != "anomaly")


def test_an_anomaly_run_is_not_asked_for_the_gradients_of_joint_tasks(learned):
    content = as_json(judge_all(learned), learned.path)
    assert "tasks_connected" not in open_checks(content) == []


def test_an_unfinished_results_file_gives_no_number(learned):
    found = judge(with_score(learned, value=None, ci95=[None, None], gain_ci95=[None, None]))
    assert found.word == "not_shown" and "=" not in found.sentence.split(".")[0]


def test_the_verdict_of_a_run_on_disk_is_the_same_when_read_again(tmp_path):
    folder = write_learned_run(RunFolder(tmp_path / "run"))
    first = as_json(judge_all(read_run(folder.path)), folder.path)
    write_json(folder.verdict, first)
    assert as_json(judge_all(read_run(folder.path)), folder.path) == json.loads(folder.verdict.read_text())
