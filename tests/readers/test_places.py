from __future__ import annotations

import pytest

from veritrain.readers.lines import Line
from veritrain.readers.places import Place, bar_head, head_of_line, header_split, leading_split


def line(text, indent=0):
    return Line(number=1, said=text, text=text, indent=indent)


@pytest.mark.parametrize(
    ("text", "epoch", "planned"),
    [
        ("Epoch 1/50", 1, 50),
        ("Epoch [3/100] Loss: 2.9", 3, 100),
        ("Epoch: [3][10/200]\tLoss 6.9", 3, None),
        ("Epoch: [41/520] Iter:[220/247]", 41, 520),
        ("Epoch:0,Train Loss:1.38", 0, None),
        ("## Epoch no. = 12", 12, None),
        ("SqueezeNetBypass - Epoch 7/49", 7, 49),
        ("第3轮/共12轮", 3, None),
        ("轮次 4/12: 训练损失=0.5", 4, 12),
        ("[Epoch 5] train loss: 0.5", 5, None),
        ("Epoch(val) [6][20/20]", 6, None),
        ("### 最终性能 (Epoch 141)", 141, None),
        ("Ep 3/100", 3, 100),
    ],
)
def test_heads(text, epoch, planned):
    head = head_of_line(text)
    assert (head.epoch, head.planned) == (epoch, planned)


@pytest.mark.parametrize(
    "text",
    [
        "Best epoch: 64",
        "Epoch 1-5: falls",
        "Epochs: 50",
        "模型在前5个epoch收敛",
        "saved at epoch 5",
        "no counter here 3/4",
    ],
)
def test_prose_is_no_head(text):
    assert head_of_line(text).epoch is None


def test_steps_and_the_rest():
    head = head_of_line("Epoch [1/12], Step [100/391], Loss: 0.5")
    assert (head.epoch, head.step) == (1, 100) and "Loss: 0.5" in head.rest and "391" not in head.rest
    assert head_of_line("[12]\ttrain-auc:0.8").step == 12
    assert head_of_line("16/16 [=====] - 5s 312ms/step - loss: 0.5").rest.strip(" |") == "loss: 0.5"


def test_a_bar():
    who, done, rest = bar_head("Epoch 2 Validation: 100%|███| 10/10 [00:01<00:00, 9.0it/s, loss=0.5]") or ("", 0, "")
    assert who == "Epoch 2 Validation:" and done == 10 and rest.strip() == "loss=0.5"


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("Validating...", "val"),
        ("验证损失:", "val"),
        ("Epoch, Loss: 0.5", None),
        ("loading the test data from disk", None),
    ],
)
def test_header_lines(text, split):
    assert header_split(line(text)) == split


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("Test set: Average loss: 0.1", "test"),
        ("[VAL] acc 0.5", "val"),
        ("Train Epoch: 1 [0/60000]", "train"),
        ("Loss: 0.5", None),
    ],
)
def test_leading_words(text, split):
    assert leading_split(text) == split


def test_deeper_lines_belong_to_the_block():
    place = Place(header="val", block_split="train", block_indent=2)
    assert place.split_for(line("- GIoU: 0.5", indent=4)) == "train"
    assert place.split_for(line("loss: 0.5", indent=2)) == "val"
    assert place.split_for(line(" * Acc@1 69.7", indent=1)) == "val"
