# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

import pytest

from veritrain.audit.claims import (
    AccuracyCarriesF1,
    ClaimsSupported,
    LabelDefinitionDeterministic,
    LossDefinitionReadsLabels,
)
from veritrain.readers.recognise import read_artefact


def read(tmp_path, text, name="report.md"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return read_artefact(path)


GOOD = """# Training report

- **Loss**: 2.0000 → 1.0000 (improved by 50.0%)

| Epoch | Train Loss | Val Loss | Val Acc |
|---|---|---|---|
| 1 | 2.0 | 2.1 | 40.0% |
| 2 | 1.5 | 1.6 | 60.0% |
| 3 | 1.0 | 1.1 | 75.0% |
| 4 | 1.0 | 1.1 | 76.0% |

Training completed successfully and converged.
"""


def test_claims_supported_passes(tmp_path):
    assert ClaimsSupported().judge(read(tmp_path, GOOD), {}).status == "pass"


FALSE = {
    "a vanished loss": "# 报告\n\n- **初始Loss**: 0.0091 (Epoch 1)\n- **最终Loss**: 0.0000 (Epoch 50)\n- 收敛状态: ✅ 完全收敛\n",
    "two accuracies": "Model training report\nFinal Validation Accuracy: 0.1727\nFinal Training Loss: 0.1259\n\n"
    "              precision    recall  f1-score   support\naccuracy       0.977335  0.977335  0.977335     0.977335\n",
    "a matrix that does not fit": "Test evaluation report\nAccuracy: 0.9500\nConfusion Matrix:\n[[60 20]\n [10 30]]\n",
    "a negative accuracy": "epoch,train_loss,val_accuracy\n1,0.5,0.95\n2,0.4,-0.99\n3,0.3,0.94\n",
    "a negative word error rate": "epoch,train_loss,val_wer\n1,0.5,0.95\n2,0.4,0.5\n3,0.3,-0.2\n",
}


@pytest.mark.parametrize("case", FALSE)
def test_claims_supported_fails(tmp_path, case):
    name = "a.csv" if FALSE[case].startswith("epoch,") else "report.txt"
    finding = ClaimsSupported().judge(read(tmp_path, FALSE[case], name), {})
    assert finding.status == "fail" and finding.on_fail in (None, "refutes")
    assert finding.evidence and finding.to_settle


WEAK = {
    "estimates": "# Report\n\n## Comparison (estimated)\n\n| Method | AUROC |\n|---|---|\n| ours | ~0.87 |\n\n"
    "- **Result**: better than the baseline (+6.1%)\n- trained for 5 epochs\n",
    "a percentage": "# Report\n\n- **Loss** 2.0 → 1.9 improved by 40.0%\n- **model**: trained\n- **epochs**: 5\n",
    "a best epoch after the end": "# Report\n\n- **Total epochs**: 30\n- **Best epoch**: 42\n- **Loss**: 0.5\n",
}


@pytest.mark.parametrize("case", WEAK)
def test_a_weak_claim_unproves(tmp_path, case):
    finding = ClaimsSupported().judge(read(tmp_path, WEAK[case]), {})
    assert finding.status == "fail" and finding.on_fail == "unproves"


def test_accuracy_carries_f1_passes(tmp_path):
    record = read(tmp_path, "Test accuracy: 0.92\nTest F1: 0.71\nTest recall: 0.66\nmodel epoch 5\n", "log.txt")
    assert AccuracyCarriesF1().judge(record, {}).status == "pass"


def test_accuracy_carries_f1_fails(tmp_path):
    text = "# 推理报告\n\n- **总体准确率**: 92.24%\n- **平均F1分数**: 2.71%\n- **平均召回率**: 2.92%\n"
    finding = AccuracyCarriesF1().judge(read(tmp_path, text), {})
    assert finding.status == "fail" and [citation.line for citation in finding.evidence] == [3, 4]


CODE = "# Training report\n\n- **model**: a net\n- **loss**: see below\n\n```python\n{code}\n```\n"


def test_loss_definition_reads_labels_passes_by_not_running(tmp_path):
    record = read(tmp_path, CODE.format(code="loss = F.cross_entropy(logits, labels).mean()"))
    assert LossDefinitionReadsLabels().judge(record, {}).status == "not_run"


@pytest.mark.parametrize(
    "code", ["loss = criterion(out, y)", "loss = -torch.mean(fake_score)", "loss = ((x - y) ** 2).mean()"]
)
def test_losses_with_two_operands_are_left_alone(tmp_path, code):
    assert LossDefinitionReadsLabels().judge(read(tmp_path, CODE.format(code=code)), {}).status == "not_run"


def test_loss_definition_reads_labels_fails(tmp_path):
    code = "loss = torch.mean(anomaly_score) + 0.1 * torch.std(anomaly_score)"
    finding = LossDefinitionReadsLabels().judge(read(tmp_path, CODE.format(code=code)), {})
    assert finding.status == "fail" and finding.evidence[0].line == 7


def test_label_definition_deterministic_passes_by_not_running(tmp_path):
    record = read(
        tmp_path, CODE.format(code="labels = batch['label']\nif torch.rand(1) < 0.5:\n    image = image.flip(2)")
    )
    assert LabelDefinitionDeterministic().judge(record, {}).status == "not_run"


def test_label_definition_deterministic_fails(tmp_path):
    code = "def pseudo_labels(batch):\n    return (torch.rand(B) < 0.1).float()"
    finding = LabelDefinitionDeterministic().judge(read(tmp_path, CODE.format(code=code)), {})
    assert finding.status == "fail" and finding.evidence[0].line == 8


@pytest.mark.parametrize("name", ["val_accuracy", "val_specificity", "val_balanced_accuracy", "val_map_75", "val_r2"])
def test_a_score_just_above_one_may_be_percent_and_unproves(tmp_path, name):
    text = f"epoch,train_loss,{name}\n1,0.5,0.31\n2,0.4,0.72\n3,0.3,1.04\n"
    assert ClaimsSupported().judge(read(tmp_path, text, "a.csv"), {}).on_fail == "unproves"


@pytest.mark.parametrize("values", [("-1.0", "0.2000", "0.4000"), ("-0.3000", "-0.5000", "-0.9000")])
def test_an_undefined_or_a_negated_score_is_not_impossible(tmp_path, values):
    text = "epoch,train_loss,val_map\n" + "".join(f"{i},0.5,{value}\n" for i, value in enumerate(values))
    assert ClaimsSupported().judge(read(tmp_path, text, "a.csv"), {}).status == "pass"


def test_a_small_loss_that_is_not_zero_contradicts_no_claim(tmp_path):
    rows = "".join(f"Epoch {i}/8 loss: {10.0**-i:.3e}\n" for i in range(1, 9))
    assert ClaimsSupported().judge(read(tmp_path, rows + "Training converged.\n", "a.log"), {}).status == "pass"


@pytest.mark.parametrize("score", ["val_auc", "val_ap", "val_map"])
def test_a_detector_that_ranks_well_may_have_a_low_f1(tmp_path, score):
    text = f"epoch,val_loss,val_accuracy,val_f1,{score}\n" + "".join(
        f"{i},0.2,0.97,0.0{i},0.{i + 4}1\n" for i in range(5)
    )
    assert AccuracyCarriesF1().judge(read(tmp_path, text, "a.csv"), {}).on_fail == "notes"


def test_accuracies_under_different_headings_may_be_of_two_models(tmp_path):
    table = "              precision    recall  f1-score   support\naccuracy       0.977335  0.977335  0.977335     0.977335\n"
    text = f"# Report\n\n## Fine-tuned model\n\n{table}\n## Ablation\n\nTest accuracy: 0.5120 (linear probe)\n"
    assert ClaimsSupported().judge(read(tmp_path, text), {}).on_fail == "unproves"


@pytest.mark.parametrize(
    ("accuracy", "title", "status", "on_fail"),
    [
        ("Test accuracy: 0.9312", "Confusion matrix (test set):", "fail", "refutes"),
        ("Val accuracy: 0.9312", "Confusion matrix (test set):", "pass", None),
        ("Accuracy: 0.9312", "Confusion matrix:", "fail", "unproves"),
        ("Test accuracy: 0.9312\n\n## Another model", "Confusion matrix (test set):", "pass", None),
    ],
)
def test_a_matrix_misfits_only_an_accuracy_of_its_own_split(tmp_path, accuracy, title, status, on_fail):
    text = f"# Results of the classifier\n\n{accuracy}\n\n{title}\n\n[[450  50]\n [ 48 452]]\n"
    finding = ClaimsSupported().judge(read(tmp_path, text), {})
    assert (finding.status, finding.on_fail) == (status, on_fail)


@pytest.mark.parametrize(
    ("row", "status"),
    [
        ("0.40,0.60", "fail"),
        ("0.60,0.40", "pass"),
        ("0.60,0.60", "pass"),  # two boxes without any doubt
        ("0.60,0.61", "pass"),  # printed with two digits
        ("0.60,-1", "pass"),  # undefined
    ],
)
def test_no_average_precision_is_above_the_one_that_asks_for_less(tmp_path, row, status):
    path = tmp_path / "results.csv"
    header = "epoch,train/box_loss,metrics/mAP50(B),metrics/mAP50-95(B)\n"
    path.write_text(header + "".join(f"{i},{1 / i:.3f},{row}\n" for i in range(1, 7)), encoding="utf-8")
    finding = ClaimsSupported().judge(read_artefact(path), {})
    assert finding.status == status
    if status == "fail":
        assert "0.6 on line 2, above" in finding.sentence
