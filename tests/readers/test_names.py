from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.readers.names import canonical, counter, plain_map, split_word

SPELLINGS = [
    ("train/box_loss", "loss/box", "train"),
    ("metrics/mAP_0.5", "map_50", "val"),
    ("metrics/mAP_0.5:0.95", "map", "val"),
    ("metrics/mAP50-95(B)", "map", "val"),
    ("mAP@.5:.95", "map", None),
    ("metrics/accuracy_top1", "accuracy", "val"),
    ("coco/bbox_mAP_50", "map_50", None),
    ("loss_bbox", "loss/bbox", None),
    ("train_loss_epoch", "loss", "train"),
    ("val_accuracy", "accuracy", "val"),
    ("val_fused_pred_accuracy", "accuracy/fused", "val"),
    ("Final Training Accuracy", "accuracy", "train"),
    ("Test Accuracy (with last epoch model)", "accuracy", "test"),
    ("AUC-ROC", "auroc", None),
    ("ROC AUC Score", "auroc", None),
    ("准确率 (Accuracy)", "accuracy", None),
    ("F1 分数 (F1-Score)", "f1", None),
    ("验证集准确率", "accuracy", "val"),
    ("驗證準確率", "accuracy", "val"),
    ("分类损失", "loss/分类", None),
    ("总损失", "loss", None),
    ("平均召回率", "recall", None),
    ("MeanIU", "miou", None),
    ("lr/pg0", "learning_rate", None),
    ("x/lr0", "learning_rate", None),
    ("w_det", "weight/det", None),
    ("val_wer", "wer", "val"),
    ("test_r2", "r2", "test"),
]


@pytest.mark.parametrize(("raw", "name", "split"), SPELLINGS)
def test_spellings(raw, name, split):
    found = canonical(raw)
    assert found is not None and (found.name, found.split) == (name, split)


@pytest.mark.parametrize(
    ("raw", "place"), [("Best_mIoU", "best"), ("最佳验证准确率", "best"), ("初始Loss", "first"), ("val_acc", None)]
)
def test_places(raw, place):
    found = canonical(raw)
    assert found is not None and found.place == place


@pytest.mark.parametrize(
    "raw", ["time", "Anomaly Score", "GT标签", "weight_decay", "macro avg", "Batch Size", "置信度均值"]
)
def test_other_words_are_no_metrics(raw):
    assert canonical(raw) is None


@given(st.text(max_size=60))
def test_any_text_is_survived(text):
    canonical(text)
    split_word(text)
    plain_map(text)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        ("epoch", "epoch"),
        (" Epoch ", "epoch"),
        ("轮次", "epoch"),
        ("global_step", "step"),
        ("fold", "run"),
        ("epochs", None),
    ],
)
def test_counters(raw, kind):
    assert counter(raw) == kind


@pytest.mark.parametrize(
    ("text", "split"),
    [("Validating...", "val"), ("验证损失:", "val"), ("### Training Metrics", "train"), ("train and test", None)],
)
def test_split_words(text, split):
    assert split_word(text) == split
