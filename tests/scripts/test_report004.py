"""Report 004's training, acted out again: stopped by the loop, or refuted by the audit, naming the task."""

from __future__ import annotations

import pytest

from scripts.scripts_loaded import script
from veritrain.audit.verdict import judge
from veritrain.record import RunFolder, read_run

report004 = script("report004")


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("report004") / "run")
    report004.train(folder)
    return read_run(folder.path)


def test_its_last_batch_of_two_makes_the_gain(record):
    lines = report004.as_printed(record)
    assert len(lines) == 131 and lines[0]["images"] == 8 and lines[-1]["images"] == 2
    printed, image = (report004.change(lines, per_image=which) for which in (False, True))
    assert printed < image and (1 + image) == pytest.approx(4 * (1 + printed))
    last = lines[-1]
    assert last["total"] == pytest.approx(last["w_detection"] * last["detection"] + last["w_view"] * last["view"])


def test_its_class_loss_is_that_of_noise(record):
    """E softplus(N(0, 1)) = 0.806: three independent logits, one of them meant to be high."""
    views = [line["view"] for line in report004.as_printed(record)]
    assert sum(views) / len(views) == pytest.approx(0.806, abs=0.03)


def test_its_weights_sum_to_t_squared(record):
    sums = {round(line["w_detection"] + line["w_view"], 9) for line in report004.as_printed(record)}
    assert sums == {1.01, 4.0}


def test_the_audit_refutes_it_naming_the_unconnected_task(record):
    found = judge(record)
    assert found.word == "refuted" and "loss of task 'view' does not reach the network" in found.sentence
    failed = {item.finding.check for item in found.judged if item.finding.status == "fail"}
    assert {"tasks_connected", "balance_weights_sum"} <= failed


def test_with_a_view_that_is_connected_only_the_sum_of_weights_is_wrong(tmp_path):
    folder = RunFolder(tmp_path / "run")
    report004.train(folder, noise=False)
    failed = {item.finding.check for item in judge(read_run(folder.path)).judged if item.finding.status == "fail"}
    assert "tasks_connected" not in failed and "balance_weights_sum" in failed


def test_any_honest_balancer_stops_it_before_step_1(tmp_path, capsys):
    assert report004.main(["--run", str(tmp_path / "run"), "--balance", "gradnorm"]) == 0
    told = capsys.readouterr().out
    assert "before the update of step 1: the loss of task 'view'" in told and "REFUTED" in told
    assert not read_run(tmp_path / "run").of("term")
