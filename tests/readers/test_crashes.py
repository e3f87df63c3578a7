# ruff: noqa: E501 - planted lines are as long as the tools print them
from __future__ import annotations

import pytest

from veritrain.readers.crashes import CrashFinder


def crashes(text):
    finder = CrashFinder()
    found = [(number, finder.feed(number, line)) for number, line in enumerate(text.splitlines(), 1)]
    return [(number, crash) for number, crash in found if crash]


def test_a_traceback_ends_with_its_error():
    text = 'ok\nTraceback (most recent call last):\n  File "a.py", line 1\n    x()\n_pickle.UnpicklingError: pickle data was truncated\nafter\n'
    assert crashes(text) == [(5, "_pickle.UnpicklingError: pickle data was truncated")]


@pytest.mark.parametrize("line", ["Segmentation fault (core dumped)", "Killed", "Process finished with exit code 137"])
def test_other_violent_ends(line):
    assert crashes(f"epoch 1\n{line}\n") == [(2, line)]


@pytest.mark.parametrize(
    "line", ["Process finished with exit code 0", "grep -i error log", "ValueError: caught and handled"]
)
def test_ordinary_lines(line):
    assert crashes(line) == []


def test_python_itself_says_that_an_error_was_ignored():
    text = "Exception ignored in: <function X.__del__>\nTraceback (most recent call last):\n  x\nAssertionError: late\nTraceback (most recent call last):\n  y\nValueError: real\n"
    assert crashes(text) == [(7, "ValueError: real")]
