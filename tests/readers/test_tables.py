# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

from veritrain.readers.tables import ColumnTable, MarkdownTable, report_accuracy, yolo_all, yolo_classes


def markdown(text, section=None):
    table = MarkdownTable()
    return [cell for line in text.splitlines() for cell in table.feed(line, section)]


def test_an_epoch_column_makes_a_series():
    cells = markdown(
        "| 轮次 | 训练损失 | 验证准确率 |\n|---|:--:|--:|\n| 1 | 0.64 | 74.3% |\n| ... | ... | ... |\n| **2/9** | 0.48 | 97.2% |"
    )
    assert [(cell.epoch, cell.name.name, cell.name.split) for cell in cells] == [
        (1.0, "loss", "train"),
        (1.0, "accuracy", "val"),
        (2.0, "loss", "train"),
        (2.0, "accuracy", "val"),
    ]


def test_a_list_of_metrics_takes_the_split_of_its_heading():
    cells = markdown("| Metric | Initial | Final | Best |\n|---|---|---|---|\n| Accuracy | 0.25 | 0.47 | 0.49 |", "val")
    assert [(cell.name.place, cell.name.split, cell.number.value) for cell in cells] == [
        ("first", "val", 0.25),
        (None, "val", 0.47),
        ("best", "val", 0.49),
    ]


def test_rows_of_classes_or_rivals_keep_their_subject():
    cells = markdown("| Model | Accuracy |\n|---|---|\n| ours | 0.9 |\n| theirs | 0.8 |")
    assert [cell.subject for cell in cells] == ["ours", "theirs"]


def test_a_column_table():
    table = ColumnTable()
    assert table.take_header("Epoch    Loss       Accuracy     Avg Score")
    epoch, planned, cells = table.row("1        0.3617     89.81%       0.1220") or (0.0, None, [])
    assert (epoch, planned) == (1.0, None) and [cell.name.name for cell in cells] == ["loss", "accuracy"]


def test_the_tables_of_yolo():
    table = ColumnTable()
    assert table.take_header("     Epoch   gpu_mem       box       obj       cls    labels  img_size")
    epoch, planned, cells = table.row(
        "     61/63     4.89G   0.01714   0.01035         0         1      1280: 100%|█| 213/213"
    ) or (0, 0, [])
    assert (epoch, planned) == (61.0, 63.0) and [cell.name.name for cell in cells] == [
        "loss/box",
        "loss/obj",
        "loss/cls",
    ]
    images, cells = yolo_all(
        "                 all        677       2449      0.828      0.569      0.656      0.321"
    ) or (0, [])
    assert images == 677 and [(cell.name.name, cell.number.value) for cell in cells][2:] == [
        ("map_50", 0.656),
        ("map", 0.321),
    ]
    assert [cell.number.value for cell in yolo_classes("                   all      0.83      0.99")] == [0.83, 0.99]
    assert yolo_all("                    明2          1          1     0.0312          1     0.0398     0.0279") is None


def test_the_report_of_scikit_learn():
    cell = report_accuracy("    accuracy                           0.46        24")
    assert cell is not None and cell.number.value == 0.46
    assert report_accuracy("accuracy: 0.9") is None
