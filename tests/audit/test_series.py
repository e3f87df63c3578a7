from __future__ import annotations

from pathlib import Path

from veritrain.audit.series import held_out, loss_series, series_of, summarised
from veritrain.record import Row, RunRecord


def row(line, value, *, name="accuracy", split="val", epoch=None, **more):
    return Row(file="a.csv", line=line, name=name, raw=name, value=value, split=split, epoch=epoch, **more)


def record(*rows):
    return RunRecord(path=Path("a.csv"), kind="csv_history", rows=rows)


def test_the_last_value_of_an_epoch_counts():
    (series,) = series_of(record(row(2, 0.1, epoch=0), row(3, 0.2, epoch=0), row(4, 0.3, epoch=1)))
    assert series.values == [0.2, 0.3]
    assert [citation.line for citation in series.cite()] == [3, 4]


def test_best_so_far_and_unplaced_numbers_are_no_evaluations():
    assert series_of(record(row(2, 0.9, name="best/accuracy", epoch=3), row(3, 0.9))) == []


def test_losses_and_precision_are_no_scores():
    rows = [row(i, 0.5, name=name, epoch=i) for i, name in enumerate(("loss", "precision", "recall", "map_50"), 1)]
    assert [series.name for series in held_out(series_of(record(*rows)))] == ["map_50"]


def test_training_losses_are_found():
    rows = [row(1, 0.5, name="loss", split="train", epoch=1), row(2, 0.5, name="loss", split="val", epoch=1)]
    assert [series.split for series in loss_series(record(*rows))] == ["train"]


def test_initial_best_and_final_on_one_line_are_three_evaluations():
    places = [("first/accuracy", 0.2), ("best/accuracy", 0.6), ("accuracy", 0.5)]
    (series,) = summarised(record(*[row(9, value, name=name) for name, value in places]))
    assert series.values == [0.2, 0.6, 0.5] and series.settled() == 0.5


def test_the_settled_value_is_the_median_of_three():
    (series,) = series_of(record(*[row(i, value, epoch=i) for i, value in enumerate((0.1, 0.8, 0.2, 0.9), 1)]))
    assert series.settled() == 0.8
