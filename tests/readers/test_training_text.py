# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

from pathlib import Path

import pytest

from veritrain.readers.lines import Line
from veritrain.readers.recognise import read_artefact
from veritrain.readers.training_text import TrainingText, speaks_of_training


def read(tmp_path, text):
    path = tmp_path / "text"
    path.write_text(text, encoding="utf-8", newline="")
    return read_artefact(path)


def rows(record, *names):
    return [
        (row.line, row.split, row.name, row.value, row.epoch) for row in record.rows if not names or row.name in names
    ]


def test_the_split_of_a_header_lasts_until_the_next_epoch(tmp_path):
    text = "Epoch 1/2\n总损失: 1.9\n验证损失:\n  总损失: 1.8\nEpoch 2/2\n总损失: 1.7\n"
    assert rows(read(tmp_path, text)) == [
        (2, "train", "loss", 1.9, 1.0),
        (4, "val", "loss", 1.8, 1.0),
        (6, "train", "loss", 1.7, 2.0),
    ]


def test_deeper_lines_are_terms_of_the_loss_above(tmp_path):
    text = "Epoch 1/2:\n  Train Loss: 4.18\n    - Position: 0.14\n    - GIoU: 1.09\n  Val Loss: 5.47\n"
    assert [(split, name) for _, split, name, _, _ in rows(read(tmp_path, text))] == [
        ("train", "loss"),
        ("train", "loss/position"),
        ("train", "loss/giou"),
        ("val", "loss"),
    ]


def test_an_estimated_section_gives_no_numbers(tmp_path):
    text = "# Model report\n\n## 性能对比(预估)\n\n### table\n\n| Method | AUROC |\n|---|---|\n| ours | ~0.87 |\n\n## Results\n\n- AUROC: 0.6\n"
    record = read(tmp_path, text)
    assert [row.line for row in record.rows] == [13]
    assert any(one.kind == "estimate" and one.values.get("value") == 0.87 for one in record.statements)


def test_code_is_not_read_as_numbers(tmp_path):
    text = "# Training report\n\n- **model**: net\n\n```python\naccuracy = 1.0\nlr = 0.1\n```\n\n```\nEpoch 1 loss: 0.5\n```\n"
    assert [(row.line, row.name) for row in read(tmp_path, text).rows] == [(11, "loss")]


def test_the_planned_epochs_are_remembered(tmp_path):
    record = read(tmp_path, "Epoch 1/50 loss: 0.5\nEpoch 2/50 loss: 0.4\n")
    assert [remark.text for remark in record.remarks if remark.kind == "truncated"] == [
        "50 epochs were planned, the last one seen is 2"
    ]


def test_numbers_after_the_banner_have_no_epoch(tmp_path):
    record = read(tmp_path, "Epoch 9/9 val_acc: 0.5\nTraining complete in 0m 50s\nval_acc: 0.6\n")
    assert [row.epoch for row in record.rows] == [9.0, None]


def test_two_words_make_a_training():
    assert speaks_of_training("Epoch 1 loss") and not speaks_of_training("the train to Berlin")


def text_of(*lines):
    text = TrainingText("a.md")
    for number, line in enumerate(lines, 1):
        text.feed(Line(number=number, said=line, text=line, indent=0))
    return text.record(Path("a.md"), "report")


def test_rouge_in_a_log_is_no_r2():
    assert not text_of("Epoch 1/2 R1: 0.2000 R2: 0.0100 RL: 0.1500").rows


@pytest.mark.parametrize(
    "title", ["Hypothetical results", "Simulated training log", "Example output", "示例输出", "模拟结果"]
)
def test_numbers_below_a_heading_that_disowns_them_are_not_read(title):
    assert not text_of(f"## {title}", "| epoch | val accuracy |", "|---|---|", "| 1 | 0.5 |").rows


@pytest.mark.parametrize(
    "line",
    ["epoch 1 | train loss 2.2 | val loss 2.3 | val acc 0.55", "輪次 1/20 train loss 2.2 val loss 2.3 val acc 0.55"],
)
def test_words_before_a_number_keep_their_split(line):
    assert [(row.name, row.split, row.epoch) for row in text_of(line).rows] == [
        ("loss", "train", 1.0),
        ("loss", "val", 1.0),
        ("accuracy", "val", 1.0),
    ]


@pytest.mark.parametrize(
    ("above", "title", "baseline", "split"),
    [
        ("## Baseline (majority class)", "Confusion matrix:", 1.0, None),
        ("## Our model", "Confusion matrix (test set):", 0.0, 2.0),
        ("## Our model", "Confusion matrix of the dummy:", 1.0, None),
    ],
)
def test_whose_matrix_it_is(above, title, baseline, split):
    record = text_of(above, title, "[[900 0]", " [100 0]]")
    (matrix,) = [one for one in record.statements if one.kind == "confusion"]
    assert (matrix.values["baseline"], matrix.values.get("split")) == (baseline, split)
