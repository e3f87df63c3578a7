"""Confusion matrices, however they are printed: TP/TN/FP/FN, NumPy brackets, tables of class rows."""

from __future__ import annotations

import re

_COUNT = re.compile(r"\b(TP|TN|FP|FN)\b\)?\s*[:=]\s*([\d,]+)(?![\d.]*\s*%)(?!\.\d)")
_TITLE = re.compile(r"(?i)confusion matrix|混淆矩阵|混淆矩陣|matriz de confus|^\s*\[\[")
_BRACKET = re.compile(r"^\s*(?:array\()?\[?\[\s*(\d+(?:[\s,]+\d+)+)\s*\]")
_REACH = 8


class MatrixFinder:
    """Fed line by line; gives the cells of a matrix, rows = true classes, when one is complete."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._counts_line = 0
        self._title: int | None = None
        self._rows: list[list[int]] = []
        self._first_line = 0

    def feed(self, number: int, text: str) -> list[tuple[int, list[list[int]]]]:
        found = self._feed_counts(number, text)
        if _TITLE.search(text):
            self._title, self._rows = number, []
        row = self._row(text) if self._title is not None else None
        if row is not None:
            self._rows.append(row)
            self._first_line = self._first_line if len(self._rows) > 1 else number
            done = self._complete()
            if done is not None:
                found.append((self._first_line, done))
        elif self._title is not None and text.strip() and number > self._title + _REACH + len(self._rows):
            self._title, self._rows = None, []
        return found

    def _feed_counts(self, number: int, text: str) -> list[tuple[int, list[list[int]]]]:
        for key, count in _COUNT.findall(text):
            if key in self._counts or number > self._counts_line + _REACH:
                self._counts = {}
            self._counts[key] = int(count.replace(",", ""))
            self._counts_line = number
        if len(self._counts) < 4:
            return []
        counts, self._counts = self._counts, {}
        return [(number, [[counts["TN"], counts["FP"]], [counts["FN"], counts["TP"]]])]

    @staticmethod
    def _row(text: str) -> list[int] | None:
        bracket = _BRACKET.match(text)
        if bracket:
            return [int(word) for word in re.split(r"[\s,]+", bracket[1])]
        bare = re.sub(r"^\s*(?:True|Actual|真实|实际|真實)[_ ]+\S+", " ", re.sub(r"[│|]", " ", text))
        words = bare.split()
        tail: list[int] = []
        for word in reversed(words):
            if not word.isdecimal():
                break
            tail.append(int(word))
        return tail[::-1] if len(tail) >= 2 else None

    def _complete(self) -> list[list[int]] | None:
        width = len(self._rows[-1])
        if any(len(row) != width for row in self._rows):
            self._rows = [self._rows[-1]]
            return None
        if len(self._rows) < width:
            return None
        rows, self._rows, self._title = self._rows, [], None
        return rows if len(rows) == width and sum(map(sum, rows)) > 0 else None


def confusion_values(rows: list[list[int]]) -> dict[str, float]:
    """What the rules need of a matrix: n, correct, the largest class, the number of classes, four cells when binary."""
    total = sum(map(sum, rows))
    values = {
        "n": float(total),
        "correct": float(sum(row[index] for index, row in enumerate(rows))),
        "largest": float(max(map(sum, rows))),
        "classes": float(len(rows)),
    }
    if len(rows) == 2:
        values |= {"tn": float(rows[0][0]), "fp": float(rows[0][1]), "fn": float(rows[1][0]), "tp": float(rows[1][1])}
    return values
