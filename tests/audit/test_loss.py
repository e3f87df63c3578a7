from __future__ import annotations

from pathlib import Path

import pytest

from veritrain.audit.loss import BeatsConstantLoss, Finite, LossFallsGradually, LossMoves, LossNotVanished
from veritrain.readers.recognise import read_artefact
from veritrain.record import RunRecord


def read(tmp_path, text, name="log.txt"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_artefact(path)


def losses(values, score=None):
    lines = [
        f"Epoch {i}/{len(values)} - train_loss: {value}" + ("" if score is None else f" - val_map50: {score[i - 1]}")
        for i, value in enumerate(values, 1)
    ]
    return "\n".join(lines) + "\n"


def test_finite_passes(tmp_path):
    assert Finite().judge(read(tmp_path, losses([1.0, 0.5])), {}).status == "pass"


def test_finite_fails_on_nan(tmp_path):
    finding = Finite().judge(read(tmp_path, losses([1.0, "nan", "nan"])), {})
    assert finding.status == "fail" and finding.on_fail is None
    assert [citation.line for citation in finding.evidence] == [2, 3]


@pytest.mark.parametrize(
    ("rows", "said", "lines"),
    [
        (
            ["1,0.9,0.8", "2,0.5,0.6", "3,nan,nan", "4,nan,nan"],
            "train_loss is nan on line 4 and on 1 more line,",
            [4, 5],
        ),
        (["1,0.9,0.8", "2,0.5,0.6", "3,0.5,0.6", "4,nan,nan"], "train_loss is nan on line 5, and", [5]),
        (["1,0.9,0.8", "2,nan,nan", "3,nan,nan", "4,nan,nan"], "on line 3 and on 2 more lines,", [3, 4, 5]),
    ],
)
def test_finite_counts_lines_and_cites_each_once(tmp_path, rows, said, lines):
    """Two cells of one line that are no numbers are one line."""
    table = "epoch,train_loss,val_loss\n" + "\n".join(rows) + "\n"
    finding = Finite().judge(read(tmp_path, table, "a.csv"), {})
    assert said in finding.sentence and finding.value == len(lines)
    assert [citation.line for citation in finding.evidence] == lines


def test_a_loss_that_recovers_is_a_note(tmp_path):
    finding = Finite().judge(read(tmp_path, losses([1.0, "nan", 0.8, 0.7, 0.6, 0.5])), {})
    assert finding.status == "fail" and finding.on_fail == "notes"


def test_an_undefined_score_is_a_note(tmp_path):
    finding = Finite().judge(read(tmp_path, "epoch,train_loss,val_f1\n1,0.5,nan\n2,0.4,0.5\n", "a.csv"), {})
    assert finding.status == "fail" and finding.on_fail == "notes"


@pytest.mark.parametrize(
    ("events", "status"), [((), "pass"), (({"event": "nonfinite", "line": 7, "name": "loss"},), "fail")]
)
def test_finite_judges_our_own_runs(events, status):
    finding = Finite().judge(RunRecord(path=Path("run"), kind="run", task="anomaly", events=events), {})
    assert finding.status == status


def test_loss_not_vanished_passes(tmp_path):
    assert LossNotVanished().judge(read(tmp_path, losses([1.0, 0.5, 0.4])), {}).status == "pass"


def test_loss_not_vanished_fails(tmp_path):
    finding = LossNotVanished().judge(read(tmp_path, losses([0.9144, "0.0000", "0.0000", "0.0000"])), {})
    assert finding.status == "fail" and "below 5e-05" in finding.sentence


def test_a_vanished_loss_beside_a_good_score_is_healthy(tmp_path):
    record = read(tmp_path, losses([0.9, "0.0000", "0.0000", "0.0000"], score=[0.1, 0.5, 0.7, 0.8]))
    assert LossNotVanished().judge(record, {}).status == "pass"


def test_a_term_that_is_zero_all_along_is_no_vanished_loss(tmp_path):
    text = "epoch,train/box_loss,train/cls_loss,metrics/mAP_0.5\n" + "".join(f"{i},0.05,0,0.6\n" for i in range(6))
    assert LossNotVanished().judge(read(tmp_path, text, "a.csv"), {}).status == "pass"


PRIOR = "labels: 10% anomalies\nEpoch Loss Accuracy\n1 0.3617 89.81%\n2 0.3451 89.98%\n3 {loss} {accuracy}\n"


def test_beats_constant_loss_passes(tmp_path):
    record = read(tmp_path, PRIOR.format(loss="0.1200", accuracy="95.90%"))
    assert BeatsConstantLoss().judge(record, {}).status == "pass"


def test_beats_constant_loss_fails_at_the_prior(tmp_path):
    finding = BeatsConstantLoss().judge(read(tmp_path, PRIOR.format(loss="0.3331", accuracy="89.93%")), {})
    assert finding.status == "fail" and finding.bound == pytest.approx(0.3251)
    assert [citation.line for citation in finding.evidence] == [1, 4, 5]


def test_a_loss_below_the_entropy_has_learned_something(tmp_path):
    record = read(tmp_path, PRIOR.format(loss="0.3100", accuracy="89.93%"))
    assert BeatsConstantLoss().judge(record, {}).status == "pass"


def test_without_a_prevalence_it_is_not_run(tmp_path):
    assert BeatsConstantLoss().judge(read(tmp_path, losses([1.0, 0.5])), {}).status == "not_run"


def test_loss_moves_passes(tmp_path):
    assert LossMoves().judge(read(tmp_path, losses([1 / i for i in range(1, 13)])), {}).status == "pass"


def test_loss_moves_fails(tmp_path):
    assert LossMoves().judge(read(tmp_path, losses([0.6931] * 12)), {}).status == "fail"


def test_loss_falls_gradually_passes(tmp_path):
    assert LossFallsGradually().judge(read(tmp_path, losses([1 - i / 30 for i in range(25)])), {}).status == "pass"


def test_loss_falls_gradually_fails(tmp_path):
    finding = LossFallsGradually().judge(
        read(tmp_path, losses([0.9, *[0.0001 + i * 1e-9 for i in range(30, 0, -1)]])), {}
    )
    assert finding.status == "fail" and LossFallsGradually.on_fail == "notes"


MANY = "{head}\n\n| epoch | train loss | val loss | val accuracy |\n|---|---|---|---|\n" + "".join(
    f"| {i} | {1.9 - i / 10:.2f} | {2 - i / 10:.2f} | {0.5 + i / 27:.4f} |\n" for i in range(1, 11)
)


@pytest.mark.parametrize("head", ["10 classes; random baseline 0.1", "Router, 12 classes: 10% positives in a batch"])
def test_a_chance_level_of_many_classes_is_no_majority(tmp_path, head):
    assert BeatsConstantLoss().judge(read(tmp_path, MANY.format(head=head), "a.md"), {}).status == "not_run"


@pytest.mark.parametrize("beside", ["test AUROC: 0.9312", "trained with BCE and pos_weight 9"])
def test_a_weighted_loss_or_a_good_ranking_makes_it_a_note(tmp_path, beside):
    text = (
        f"# Test report\n\nThe data have 10% positive samples.\n\ntest loss: 0.4810\ntest accuracy: 0.8650\n{beside}\n"
    )
    finding = BeatsConstantLoss().judge(read(tmp_path, text, "a.md"), {})
    assert finding.status == "fail" and finding.on_fail == "notes"


def test_an_infinite_best_loss_before_training_is_where_the_search_starts(tmp_path):
    text = "start training, best_loss: inf\n" + losses([1.0, 0.5, 0.4])
    assert Finite().judge(read(tmp_path, text), {}).on_fail == "notes"


@pytest.mark.parametrize("column", ["val/box_loss", "train/seg_loss"])
def test_a_term_or_held_out_loss_that_broke_beside_a_rising_score_is_a_note(tmp_path, column):
    text = f"epoch,train_loss,{column},metrics/mAP50(B)\n" + "".join(
        f"{i},{1 / i},nan,{i / 20}\n" for i in range(1, 13)
    )
    finding = Finite().judge(read(tmp_path, text, "a.csv"), {})
    assert finding.status == "fail" and finding.on_fail == "notes"
    sick = "epoch,train_loss,metrics/mAP50(B)\n" + "".join(f"{i},nan,{i / 20}\n" for i in range(1, 13))
    assert Finite().judge(read(tmp_path, sick, "a.csv"), {}).on_fail is None


DRAWN = "labels = (torch.rand(len(batch)) < 0.1).float()"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("Anomalous frames: 10 % of the data.", DRAWN, "(stated on line 3)"),
        (DRAWN, "Anomalous frames: 10 % of the data.", "(stated on line 12)"),
        (DRAWN, "", "(as the labels of line 3 are drawn)"),
    ],
)
def test_the_share_is_cited_where_it_is_stated(tmp_path, before, after, said):
    text = (
        f"# Training\n\n{before}\n\n| Epoch | Train Loss | Val Loss | Val Accuracy |\n|---|---|---|---|\n"
        "| 1 | 0.36 | 0.339 | 89.81% |\n| 2 | 0.34 | 0.335 | 89.95% |\n| 3 | 0.33 | 0.334 | 89.93% |\n\n\n"
        f"{after}\n"
    )
    finding = BeatsConstantLoss().judge(read(tmp_path, text, "a.md"), {})
    assert finding.status == "fail" and said in finding.sentence, finding.sentence
    assert str(finding.evidence[0].line) in said
