from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.readers.matrices import MatrixFinder, confusion_values


def find(text):
    finder = MatrixFinder()
    return [one for number, line in enumerate(text.splitlines(), 1) for one in finder.feed(number, line)]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("TP: 4200, TN: 0, FP: 3, FN: 1", [[0, 3], [1, 4200]]),
        ("TP:      0  FP:      0\nFN:    407  TN:   3793", [[3793, 0], [407, 0]]),
        ("- True Positive (TP): 4,189\n- True Negative (TN): 1,199\n- (FP): 1\n- (FN): 11", [[1199, 1], [11, 4189]]),
        ("Confusion Matrix:\n[[ 9 64]\n [ 1 28]]", [[9, 64], [1, 28]]),
        (
            "混淆矩阵:\n====\n        Predicted 0  Predicted 1\nTrue 0      7      8\nTrue 1      5      4",
            [[7, 8], [5, 4]],
        ),
        ("Confusion Matrix:\n│ Not Fall │ 80 │ 0 │\n├───┤\n│ Fall │ 0 │ 40 │", [[80, 0], [0, 40]]),
    ],
)
def test_prints(text, rows):
    assert [found for _, found in find(text)] == [rows]


@pytest.mark.parametrize(
    "text", ["TP: 99.5%, TN: 1%", "layers\n[[1 2]\n", "TP: 3\n" + "\n" * 20 + "FP: 4, TN: 5, FN: 6"]
)
def test_other_numbers_are_no_matrix(text):
    assert find(text) == []


@given(st.lists(st.integers(0, 999), min_size=4, max_size=4).filter(any))
def test_what_a_matrix_says(cells):
    a, b, c, d = cells
    values = confusion_values([[a, b], [c, d]])
    assert values["n"] == sum(cells) and values["correct"] == a + d and values["largest"] == max(a + b, c + d)
    assert values["tp"] == d and values["fp"] == b
