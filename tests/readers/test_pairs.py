# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.readers.pairs import pairs_in


def named(text):
    return [(pair.name.name, pair.name.split, pair.number.value) for pair in pairs_in(text) if pair.name is not None]


LINES = {
    "Train Loss:1.38,Train Acc:0.49,Valid Loss:1.09,Valid Acc:0.62,Time:560.9s": [
        ("loss", "train", 1.38), ("accuracy", "train", 0.49), ("loss", "val", 1.09), ("accuracy", "val", 0.62)],
    "Loss is: 0.0125, Training Accuracy: 73.7283%, Test Accuracy: 87.96": [
        ("loss", None, 0.0125), ("accuracy", "train", 73.7283), ("accuracy", "test", 87.96)],
    "Time 0.1 (0.2)\tLoss 6.9012 (7.0101)\tAcc@1 0.00 (0.20)": [("loss", None, 7.0101), ("accuracy", None, 0.2)],
    "{'eval_loss': 0.5, 'eval_accuracy': 0.91, 'epoch': 1.0}": [("loss", "val", 0.5), ("accuracy", "val", 0.91)],
    "loss: 0.52 - accuracy: 0.81 - val_loss: 0.61 - val_accuracy: 0.79": [
        ("loss", None, 0.52), ("accuracy", None, 0.81), ("loss", "val", 0.61), ("accuracy", "val", 0.79)],
    "Average loss: 0.0281, Accuracy: 9910/10000 (99%)": [("loss", None, 0.0281), ("accuracy", None, 99.0)],
    "The final training accuracy was 0.66475%, and the final validation accuracy was 0.6671%.": [
        ("accuracy", "train", 0.66475), ("accuracy", "val", 0.6671)],
    "训练损失:0.5,验证准确率:91.2%": [("loss", "train", 0.5), ("accuracy", "val", 91.2)],
    "wandb:      metrics/mAP50-95 0.97633": [("map", "val", 0.97633)],
    "total_loss = 1.4745312929153442, classification_loss = 0.0": [("loss", None, 1.4745312929153442), ("loss/classification", None, 0.0)],
}  # fmt: skip


@pytest.mark.parametrize("text", LINES)
def test_lines(text):
    assert named(text) == LINES[text]


@pytest.mark.parametrize(
    "text",
    [
        "Accuracy: +20.19%",
        "AUROC:  0.4979 → 0.5148",
        "Loss变化: -7.91% (0.3617 → 0.3331)",
        "accuracy: 30 epochs",
        "val time: 3s",
        "loss 在第 3 轮",
        "accuracy = 100.0 * correct",
        "random baseline accuracy: 50%",
    ],
)
def test_changes_counts_and_code_are_no_values(text):
    assert named(text) == []


def test_the_epoch_of_one_number():
    (pair,) = pairs_in("Best Accuracy: 0.8925 (Epoch 12)")
    assert pair.epoch == 12.0
    (pair,) = pairs_in("最佳验证精度: 51.51% (第29轮)")
    assert pair.epoch == 29.0


def test_nan_is_told():
    assert [pair.number.nonfinite for pair in pairs_in("Train Loss: nan | Val Loss: -inf")] == ["nan", "-inf"]


@given(st.text(max_size=120))
def test_any_line_is_survived(text):
    list(pairs_in(text))
