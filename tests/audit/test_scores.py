from __future__ import annotations

from pathlib import Path

import pytest

from veritrain.audit.scores import (
    BeatsTrivial,
    HeldOutSignalExists,
    MetricMoves,
    NoLateOverfit,
    NotTooGoodTooEarly,
    ValNotAboveTrain,
)
from veritrain.readers.recognise import read_artefact
from veritrain.record import Claim, RunRecord


def history(tmp_path, header, rows):
    path = tmp_path / "history.csv"
    path.write_text("\n".join([header, *[",".join(map(str, row)) for row in rows]]) + "\n", encoding="utf-8")
    return read_artefact(path)


def log(tmp_path, text):
    path = tmp_path / "log.txt"
    path.write_text(text, encoding="utf-8")
    return read_artefact(path)


def own(low, high, minimal_effect=0.05, groups=12):
    claim = Claim(metric="frame_auroc", minimal_effect=minimal_effect)
    results = {"metrics": {"frame_auroc": {"value": 0.8, "gain_ci95": [low, high], "n": 10, "groups": groups}}}
    return RunRecord(path=Path("run"), kind="run", task="anomaly", claim=claim, claims=(claim,), results=results)


def test_beats_trivial_passes_on_a_rising_score(tmp_path):
    record = history(tmp_path, "epoch,val_map50", [(i, 0.05 * i) for i in range(12)])
    finding = BeatsTrivial().judge(record, {})
    assert finding.status == "pass" and [citation.line for citation in finding.evidence] == [2, 13]


def test_beats_trivial_fails_on_a_score_pinned_at_zero(tmp_path):
    record = history(tmp_path, "epoch,train_loss,val_map50", [(i, 1.0 / (i + 1), 0.0) for i in range(12)])
    finding = BeatsTrivial().judge(record, {})
    assert finding.status == "fail" and finding.on_fail == "refutes" and finding.to_settle


def test_beats_trivial_fails_on_a_confusion_matrix_at_majority(tmp_path):
    record = log(tmp_path, "Model evaluation\nAccuracy: 0.897\nConfusion Matrix:\n[[897 0]\n [103 0]]\n")
    finding = BeatsTrivial().judge(record, {})
    assert finding.status == "fail" and finding.on_fail is None and finding.evidence[0].line == 4


@pytest.mark.parametrize("matrix", ["[[7 8]\n [5 4]]", "[[0 0]\n [0 4200]]"])
def test_few_samples_or_one_class_never_refute(tmp_path, matrix):
    record = log(tmp_path, f"Model evaluation on the test set\nConfusion Matrix:\n{matrix}\n")
    finding = BeatsTrivial().judge(record, {})
    assert finding.status == "fail" and finding.on_fail == "unproves"


@pytest.mark.parametrize("matrix", ["[[56864 0]\n [0 98]]", "[[56852 12]\n [20 78]]"])
def test_a_class_so_rare_that_nobody_could_gain_refutes_nothing(tmp_path, matrix):
    """Perfect, or good: always naming the other class has 0.998 right as well."""
    record = log(tmp_path, f"Model evaluation on the test set\nConfusion Matrix:\n{matrix}\n")
    assert BeatsTrivial().judge(record, {}).on_fail == "unproves"


def test_a_good_ranking_outweighs_accuracy_at_majority(tmp_path):
    record = log(tmp_path, "Test AUROC: 0.93\nTest accuracy: 0.897\nConfusion Matrix:\n[[897 0]\n [103 0]]\n")
    assert BeatsTrivial().judge(record, {}).on_fail == "unproves"


def test_beats_trivial_passes_on_an_own_run_with_a_gain():
    assert BeatsTrivial().judge(own(0.02, 0.3), {}).status == "pass"


@pytest.mark.parametrize(("low", "status"), [(0.47, "fail"), (0.5, "fail"), (0.501, "pass")])
def test_a_gain_counts_only_where_the_score_itself_leaves_chance(low, status):
    record = own(0.02, 0.3)
    record.results["metrics"]["frame_auroc"] |= {"ci95": [low, 0.9], "chance": 0.5}
    found = BeatsTrivial().judge(record, {})
    assert found.status == status
    if status == "fail":
        assert found.on_fail == "unproves" and "holds chance (0.500)" in found.sentence


def test_of_a_score_that_is_better_when_lower_the_upper_end_decides():
    claim = Claim(metric="error", minimal_effect=0.05, higher_is_better=False)
    entry = {"value": 0.3, "gain_ci95": [0.02, 0.3], "n": 10, "groups": 12, "ci95": [0.2, 0.45], "chance": 0.5}
    scores = {"metrics": {"error": entry}}
    record = RunRecord(path=Path("run"), kind="run", task="anomaly", claim=claim, claims=(claim,), results=scores)
    assert BeatsTrivial().judge(record, {}).status == "pass"
    entry["ci95"] = [0.2, 0.55]
    assert BeatsTrivial().judge(record, {}).on_fail == "unproves"


@pytest.mark.parametrize(("low", "high", "effect"), [(-0.2, 0.04, "refutes"), (-0.1, 0.2, "unproves")])
def test_beats_trivial_fails_on_an_own_run_without(low, high, effect):
    finding = BeatsTrivial().judge(own(low, high), {})
    assert finding.status == "fail" and finding.on_fail == effect


@pytest.mark.parametrize(("low", "high", "groups"), [(0.0, 0.0, 12), (-0.2, 0.04, 9), (-0.2, 0.04, None)])
def test_no_width_or_too_few_groups_refute_nothing(low, high, groups):
    finding = BeatsTrivial().judge(own(low, high, groups=groups), {})
    assert finding.status == "fail" and finding.on_fail == "unproves"


def test_an_own_run_without_the_interval_is_not_run():
    record = RunRecord(path=Path("run"), kind="run", task="anomaly")
    assert BeatsTrivial().judge(record, {}).status == "not_run"


def test_accuracy_that_rises_while_f1_does_not_is_a_doubt(tmp_path):
    rows = [(i, 0.4 + 0.05 * i, 0.19 + 0.005 * i) for i in range(9)]
    record = history(tmp_path, "epoch,val_accuracy,val_f1", rows)
    assert BeatsTrivial().judge(record, {}).on_fail == "unproves"


def test_held_out_signal_exists_passes(tmp_path):
    record = history(tmp_path, "epoch,loss,val_acc", [(1, 0.5, 0.5)])
    assert HeldOutSignalExists().judge(record, {}).status == "pass"


def test_held_out_signal_exists_fails_on_losses(tmp_path):
    record = history(tmp_path, "epoch,loss,val_loss", [(1, 0.5, 0.5), (2, 0.4, 0.4)])
    finding = HeldOutSignalExists().judge(record, {})
    assert finding.status == "fail" and "loss" in finding.sentence


def test_metric_moves_passes(tmp_path):
    record = history(tmp_path, "epoch,val_acc", [(i, 0.5 + i / 100) for i in range(6)])
    assert MetricMoves().judge(record, {}).status == "pass"


def test_metric_moves_passes_on_a_plateau_above_a_known_level(tmp_path):
    record = history(tmp_path, "epoch,val_map50", [(i, 0.61) for i in range(6)])
    assert MetricMoves().judge(record, {}).status == "pass"


def test_metric_moves_fails_on_one_number(tmp_path):
    record = history(tmp_path, "epoch,val_acc", [(i, 0.7305) for i in range(6)])
    assert MetricMoves().judge(record, {}).status == "fail"


def test_not_too_good_too_early_passes(tmp_path):
    record = history(tmp_path, "epoch,val_acc", [(1, 0.5), (2, 0.99)])
    assert NotTooGoodTooEarly().judge(record, {}).status == "pass"


def test_not_too_good_too_early_fails(tmp_path):
    record = history(tmp_path, "epoch,val_acc", [(1, 1.0), (2, 1.0)])
    assert NotTooGoodTooEarly().judge(record, {}).status == "fail"


def test_val_not_above_train_passes(tmp_path):
    record = history(tmp_path, "epoch,train_acc,val_acc", [(i, 0.8, 0.7) for i in range(4)])
    assert ValNotAboveTrain().judge(record, {}).status == "pass"


def test_val_not_above_train_fails(tmp_path):
    record = history(tmp_path, "epoch,train_acc,val_acc", [(1, 0.74, 1.0), (2, 0.97, 1.0), (3, 0.99, 1.0)])
    assert ValNotAboveTrain().judge(record, {}).status == "fail"


def test_no_late_overfit_passes(tmp_path):
    record = history(tmp_path, "epoch,val_loss,val_acc", [(i, 1 / (i + 1), 0.5) for i in range(6)])
    assert NoLateOverfit().judge(record, {}).status == "pass"


def test_no_late_overfit_fails(tmp_path):
    record = history(
        tmp_path, "epoch,val_loss,val_acc", [(i, value, 0.5) for i, value in enumerate((1, 0.5, 0.6, 0.9, 1.1))]
    )
    finding = NoLateOverfit().judge(record, {})
    assert finding.status == "fail" and NoLateOverfit.on_fail == "notes"


def test_the_best_of_several_matrices_decides(tmp_path):
    constant, good = "Confusion matrix:\n[[900 0]\n [100 0]]\n", "Confusion matrix:\n[[880 20]\n [10 90]]\n"
    assert BeatsTrivial().judge(log(tmp_path, "Model training, test results\n" + constant), {}).on_fail is None
    assert (
        BeatsTrivial().judge(log(tmp_path, "Model training, test results\n" + constant + good), {}).on_fail
        == "unproves"
    )
    assert (
        BeatsTrivial().judge(log(tmp_path, "# Model training\n\n## Majority baseline\n" + constant), {}).on_fail
        == "unproves"
    )


def test_a_flat_score_beside_one_that_is_above_is_a_note(tmp_path):
    text = "epoch,val_auroc,val_specificity\n" + "".join(f"{i},0.{60 + i},1.0\n" for i in range(12))
    assert MetricMoves().judge(log(tmp_path, text), {}).on_fail == "notes"


def test_an_unfilled_column_of_average_precision_is_left_out(tmp_path):
    text = "epoch,metrics/mAP50(B),metrics/mAP75(B)\n" + "".join(f"{i},0.{30 + i},0.0\n" for i in range(12))
    assert BeatsTrivial().judge(log(tmp_path, text), {}).status == "pass"


@pytest.mark.parametrize(("shift", "status"), [(0.0, "fail"), (0.001, "pass")])
def test_a_held_out_score_that_copies_the_training_score_unproves(tmp_path, shift, status):
    text = "epoch,accuracy,val_accuracy\n" + "".join(
        f"{i},{0.3 + i / 17:.4f},{0.3 + i / 17 + shift * (i == 3):.4f}\n" for i in range(9)
    )
    finding = ValNotAboveTrain().judge(log(tmp_path, text), {})
    assert (finding.status, finding.on_fail) == (status, "unproves" if status == "fail" else None)


@pytest.mark.parametrize(
    ("low", "high", "groups", "said"),
    [
        (-0.104, 0.292, 12, "[-0.104, +0.292], includes zero"),
        (0.0, 0.3, 12, "includes zero"),
        (-0.3, -0.1, 4, "lies below zero, and rests on 4 groups"),
    ],
)
def test_a_gain_that_is_not_clear_says_what_its_interval_holds(low, high, groups, said):
    """An interval from below 0 to above 0 leaves it open; it does not say that there is no gain."""
    finding = BeatsTrivial().judge(own(low, high, groups=groups), {})
    assert finding.on_fail == "unproves" and said in finding.sentence and "no gain" not in finding.sentence
