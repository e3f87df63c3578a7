from pathlib import Path

import pytest

from veritrain.audit.loss import Finite
from veritrain.readers.blank_nans import unmeasured
from veritrain.readers.csv_history import CsvHistoryReader

CODES = {" ": 0, "1": 1, "n": 2, "i": 3}


def cells(text: str) -> bytes:
    return bytes(CODES[letter] for letter in text)


@pytest.mark.parametrize(
    ("text", "blank"),
    [
        ("nnnn1nnnn1nnnn1", True),  # validated every fifth epoch
        ("1nnn1nnn1nnn", True),  # the first epoch of four
        ("n1n1n1", True),
        ("n 1 n 1", True),  # rows of another split between them
        ("11n11n", False),  # no rhythm: a step of 1, then 2
        ("1n1nnnn", False),  # it stays nan: it diverged
        ("nnnn1", False),  # once is no rhythm
        ("nn1n1n1", False),  # the first one came too late
        ("n1ni", False),  # an infinity
        ("111nnn", False),
        ("1111", False),
    ],
)
def test_a_rhythm_of_finite_cells_is_a_plan(text, blank):
    assert (unmeasured({"loss": cells(text)}) == {"loss"}) == blank


@pytest.mark.parametrize(
    ("train", "val", "blank"),
    [
        ("11n1111n1n", "nn1nnnn1n1", {"train", "val"}),
        ("11n1111n1n", "  1    1 1", {"train"}),
        ("11nn", "nn11", set()),  # a loss that broke, and a score that began: one change of turns
        ("11n1n11n1", "nn1nn11nn", set()),  # a row with neither
        ("11n11nnnnnn", "11111111111", set()),
    ],
)
def test_columns_that_take_turns_measure_each_other_s_rows(train, val, blank):
    assert unmeasured({"train": cells(train), "val": cells(val)}) == blank


def read(folder: Path, text: str):
    path = folder / "history.csv"
    path.write_text(text, encoding="utf-8")
    return CsvHistoryReader().read(path)


def test_a_validation_every_fifth_epoch_is_no_broken_loss(tmp_path):
    scores = [f"{1.1 / i},{i / 20}" if i % 5 == 0 else "nan,nan" for i in range(1, 16)]
    rows = [f"{i},{1 / i:.3f},{scored}" for i, scored in enumerate(scores, start=1)]
    record = read(tmp_path, "\n".join(["epoch,train_loss,val_loss,val_acc", *rows]) + "\n")
    assert Finite().judge(record, {}).status == "pass"
    assert [(row.epoch, row.line) for row in record.rows if row.raw == "val_loss"] == [(5, 6), (10, 11), (15, 16)]
    assert [remark.text for remark in record.remarks] == ["nan in val_acc", "nan in val_loss"]


def test_a_validation_that_breaks_on_its_turn_is_still_broken(tmp_path):
    rows = [f"{i},{1 / i:.3f},{1.1 / i if i in (5, 10, 15) else 'nan'}" for i in range(1, 26)]
    record = read(tmp_path, "\n".join(["epoch,train_loss,val_loss", *rows]) + "\n")
    assert Finite().judge(record, {}).status == "fail"


def test_ragged_rows_keep_their_places(tmp_path):
    record = read(tmp_path, "epoch,loss,val_loss\n1,0.5,nan\n2,0.4\n3,0.3,0.3\n4,0.2,0.2\n5,0.1,nan,9\n")
    assert [row.value for row in record.rows if row.raw == "val_loss"] == [None, 0.3, 0.2, None]
