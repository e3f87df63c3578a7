from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.readers.wording import remarks_in, statements_in


def kinds(text):
    return {said.kind for said in statements_in(text)}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("✅ 训练成功完成", "success"),
        ("項目狀態: 圓滿完成", "success"),
        ("The model was successfully trained", "success"),
        ("收敛状态: ✅ 完全收敛", "converged"),
        ("The model converges within 5 epochs", "converged"),
        ("检测损失改善: 82.4% (5.7746 → 1.0139)", "improvement"),
        ("训练过程中无过拟合现象", "no_overfitting"),
        ("## 性能对比(预估)", "estimate"),
        ("| mAP | 待50epoch完成 |", "pending"),
        ("- [ ] evaluate on the test set", "pending"),
        ("Best epoch: 64", "best_epoch"),
        ("300 epochs completed in 0.228 hours.", "epochs_done"),
        ("NUM_CLASSES: 19", "classes"),
        ("檢測權重 +275%", "weights_changed"),
    ],
)
def test_statements(text, kind):
    assert kind in kinds(text)


@pytest.mark.parametrize(
    "text", ["模型未收敛", "训练没有收敛", "The loss does not converge", "should converge later", "无法收敛"]
)
def test_a_negated_claim_is_no_claim(text):
    assert "converged" not in kinds(text)


def test_a_change_carries_its_numbers():
    (said,) = [said for said in statements_in("总损失改善: 30.6% (5.7829 → 4.0149)") if said.kind == "improvement"]
    assert (said.values["from"], said.values["to"], said.values["percent"]) == (5.7829, 4.0149, 30.6)


@pytest.mark.parametrize(
    ("text", "majority"),
    [
        ("随机伪标签(10%异常)", 0.9),
        ("类别分布: 0=15, 1=9", 0.625),
        ("随机预测: ~50%", 0.5),
        ("Majority class baseline: 71%", 0.71),
        ("The data have 10% positive samples.", 0.9),
        ("prevalence: 0.03", 0.97),
        ("Anomalous frames: 10 % of the data.", 0.9),
        ("- positive samples: 25% of all images", 0.75),
        ("90% of the samples belong to class A.", 0.9),
    ],
)
def test_prevalences(text, majority):
    found = [said.values["majority"] for said in statements_in(text) if said.kind == "prevalence"]
    assert found == pytest.approx([majority])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("❌ Batch 0 出错: no attribute", "swallowed_exception"),
        ("RuntimeError: Error(s) in loading state_dict for Net:", "key_mismatch"),
        ("val dataset: 0 samples", "empty_split"),
        ("Early stopping triggered", "stopped_early"),
        ("模型训练完成，日志已保存", "success_banner"),
        ("Training complete in 0m 50s", "success_banner"),
    ],
)
def test_remarks(text, kind):
    assert kind in set(remarks_in(text))


@pytest.mark.parametrize(
    "text", ["val: Scanning labels... 0 backgrounds, 0 corrupt", "10 samples", "Training is not complete"]
)
def test_ordinary_lines_carry_no_remark(text):
    assert not set(remarks_in(text))


@given(st.text(max_size=100))
def test_any_line_is_survived(text):
    list(statements_in(text))
    list(remarks_in(text))


@pytest.mark.parametrize(
    "text",
    [
        "10 classes; random baseline 0.1",
        "Users gave 95% positive feedback in the pilot.",
        "Augmentation keeps 10% positive patches per batch",
        "AUROC random baseline 0.5",
        "80% of the samples are used for training",
        "5% of the images belong to the rarest class",
    ],
)
def test_what_tells_no_majority(text):
    assert not [said for said in statements_in(text) if said.kind == "prevalence"]


@pytest.mark.parametrize(("text", "count"), [("CIFAR-10, 10 classes", 10), ("router (12-way)", 12), ("共 8 个类别", 8)])
def test_classes_in_words(text, count):
    assert [said.values for said in statements_in(text) if said.kind == "classes_in_words"] == [{"classes": count}]


def test_a_weighted_loss_is_noticed():
    assert "weighted_loss" in [said.kind for said in statements_in("Training used BCE with pos_weight 9.")]
