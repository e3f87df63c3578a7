from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from audit.planted import PATH, finding, planted
from training.balance_toy import fit_pair
from veritrain.audit.verdict import judge
from veritrain.errors import UnconnectedTaskError
from veritrain.losses.options import BalanceOptions
from veritrain.losses.report004 import noise_instead_of
from veritrain.record import RunFolder, read_run


def event(step: int, **fields: Any) -> dict[str, Any]:
    usual = {
        "name": "gradnorm",
        "weights": {"boxes": 1.25, "views": 0.75},
        "weights_sum_to": 2.0,
        "grad_norms": {"boxes": 0.5, "views": 2.0},
        "unconnected": [],
    }
    return {"event": "balance", "step": step, "epoch": 1, "line": 10 * step, **usual, **fields}


def run_of(*events: dict[str, Any]):
    return planted(events=events)


def test_tasks_connected_passes():
    found = finding("tasks_connected", run_of(event(1), event(10, grad_norms={"boxes": 0.1, "views": 3.0})))
    assert found.status == "pass" and found.value == 0.1
    assert "each of 2 tasks" in found.sentence and "2 measured steps" in found.sentence


def test_tasks_connected_fails_without_a_path():
    dead = {"grad_norms": {"boxes": 0.5, "views": 0.0}, "unconnected": ["views"]}
    found = finding("tasks_connected", run_of(event(1, **dead), event(10, **dead)))
    assert found.status == "fail" and found.on_fail is None
    assert found.sentence == (
        "the loss of task 'views' does not reach the network: there is no path from it to any shared parameter"
    )
    assert [citation.line for citation in found.evidence] == [10, 100]
    assert {citation.file for citation in found.evidence} == {str(PATH / "record.jsonl")}


def test_tasks_connected_fails_where_the_gradient_is_always_zero():
    zero = {"grad_norms": {"boxes": 0.5, "views": 0.0}}
    found = finding("tasks_connected", run_of(event(1, **zero), event(10, **zero)))
    assert found.status == "fail" and "exactly 0 at all 2 measured steps" in found.sentence


def test_a_task_that_dies_only_unproves_and_a_zero_in_between_says_nothing():
    zero = {"grad_norms": {"boxes": 0.5, "views": 0.0}}
    died = finding("tasks_connected", run_of(event(1), *(event(step, **zero) for step in (10, 20, 30))))
    assert died.status == "fail" and died.on_fail == "unproves" and "the last 3 measured steps" in died.sentence
    assert finding("tasks_connected", run_of(event(1), event(10, **zero), event(20))).status == "pass"


def test_a_task_without_a_label_in_some_steps_is_judged_by_the_others():
    without = event(1, grad_norms={"boxes": 0.5, "views": None}, unconnected=[])
    assert finding("tasks_connected", run_of(without, event(2))).status == "pass"
    never = finding("tasks_connected", run_of(without))
    assert never.status == "not_run" and "'views'" in never.sentence


def test_balance_weights_sum_passes():
    found = finding("balance_weights_sum", run_of(event(1), event(10, weights={"boxes": 1.9, "views": 0.1})))
    assert found.status == "pass" and "sum to 2" in found.sentence


@pytest.mark.parametrize(
    ("weights", "total"), [((3.75, 0.25), "4"), ((1.0, 0.01), "1.01"), ((1.00001, 1.0), "2.00001")]
)
def test_balance_weights_sum_fails(weights, total):
    off = event(10, weights=dict(zip(("boxes", "views"), weights, strict=True)))
    found = finding("balance_weights_sum", run_of(event(1), off))
    assert found.status == "fail" and f"sum to {total} at step 10" in found.sentence
    assert "1 of 2" in found.sentence and found.bound == 2.0 and [c.line for c in found.evidence] == [100]


def test_a_method_that_promises_no_sum_is_not_held_to_one():
    free = event(1, name="uncertainty", weights_sum_to=None, weights={"boxes": 9.0, "views": 1.0})
    undefined = event(2, weights={"boxes": None, "views": 1.0})
    assert finding("balance_weights_sum", run_of(free, undefined)).status == "not_run"


@pytest.mark.parametrize("check", ["tasks_connected", "balance_weights_sum"])
def test_without_measurements_nothing_is_said(check):
    assert finding(check, run_of({"event": "stop", "step": 1, "epoch": 1, "line": 1})).status == "not_run"
    assert finding(check, replace(run_of(event(1)), kind="csv_history")).status == "not_run"


# ---- real runs: the fault of report 004


def noise(model):
    noise_instead_of(model, "view")


def test_a_run_that_the_loop_stopped_is_refuted_by_name(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(UnconnectedTaskError):
        fit_pair(folder, balance=BalanceOptions(balance="gradnorm"), spoil=noise)
    verdict = judge(read_run(folder.path))
    assert verdict.word == "refuted" and "'views'" in verdict.sentence


def test_a_run_with_report_004s_faults_is_refuted_by_name_and_its_sum_is_seen(tmp_path):
    folder = RunFolder(tmp_path / "run")
    fit_pair(folder, balance=BalanceOptions(balance="report004"), spoil=noise, epochs=1)
    record = read_run(folder.path)
    verdict = judge(record)
    assert verdict.word == "refuted" and "the loss of task 'views' does not reach the network" in verdict.sentence
    found = finding("balance_weights_sum", record)
    assert found.status == "fail" and "off 2 at" in found.sentence


def test_an_honest_run_passes_both(tmp_path):
    folder = RunFolder(tmp_path / "run")
    fit_pair(folder, balance=BalanceOptions(balance="gradnorm", initial_steps=2), epochs=1)
    record = read_run(folder.path)
    assert {finding(check, record).status for check in ("tasks_connected", "balance_weights_sum")} == {"pass"}
