# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

from veritrain.readers.recognise import read_artefact
from veritrain.readers.training_text import speaks_of_training


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
