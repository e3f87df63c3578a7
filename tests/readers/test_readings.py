from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.readers.numbers import Number, parse_number
from veritrain.readers.readings import Collector, Reading, rows_of


def reading(text, *, line=1, name="accuracy", **more):
    number = parse_number(text)
    assert number is not None
    return Reading(line=line, raw=name, name=name, number=number, **more)


def values(*readings):
    return [row.value for row in rows_of(readings, "a.txt")[0]]


def test_a_column_is_in_percent_when_one_number_must_be():
    assert values(reading("0.9", split="val"), reading("58.78", split="val")) == [0.009000000000000001, 0.5878]
    assert values(reading("0.9", split="val"), reading("0.5", split="val")) == [0.9, 0.5]


def test_a_percent_sign_counts_for_its_number_alone():
    assert values(reading("89.81%"), reading("0.5")) == [0.8981, 0.5]


def test_losses_are_never_percent():
    assert values(reading("58.78", name="loss")) == [58.78]


def test_the_counter_that_falls_back_starts_a_run():
    readings = [reading("0.5", line=i, epoch=float(epoch)) for i, epoch in enumerate((0, 1, 2, 0, 1), 1)]
    rows, remarks = rows_of(readings, "a.csv")
    assert [row.run for row in rows] == ["1", "1", "1", "2", "2"] and [remark.line for remark in remarks] == [4]


def test_a_resume_is_no_new_run():
    readings = [reading("0.5", line=i, epoch=float(epoch)) for i, epoch in enumerate((0, 1, 2, 1, 2, 3), 1)]
    assert {row.run for row in rows_of(readings, "a.csv")[0]} == {"1"}


def splits(*pairs):
    return [row.split for row in rows_of([reading("0.5", name=name, split=split) for name, split in pairs], "a")[0]]


def test_keras_leaves_training_unlabelled():
    assert splits(("accuracy", None), ("accuracy", "val")) == ["train", "val"]


def test_beside_a_labelled_training_score_the_bare_one_is_held_out():
    assert splits(("accuracy", "train"), ("accuracy", None)) == ["train", "val"]
    assert splits(("loss", "train"), ("loss", "val"), ("auroc", None)) == ["train", "val", "val"]


def test_nothing_is_guessed_without_a_convention():
    assert splits(("accuracy", None), ("loss", None)) == [None, None]
    assert splits(("map_50", None)) == ["val"]


@given(st.integers(1, 5000))
def test_memory_is_bounded_and_the_last_stays(count):
    collector = Collector(limit=50)
    for line in range(1, count + 1):
        collector.add(reading("0.5", line=line, name="loss"))
    kept = [one.line for one in collector.readings()]
    assert len(kept) <= 60 and kept[0] == 1 and kept[-1] == count and kept == sorted(kept)


def column(values, name="auroc"):
    found = [
        Reading(line=i, raw=name, name=name, number=Number(value=value, half_ulp=5e-4), split="val", epoch=float(i))
        for i, value in enumerate(values)
    ]
    return [row.value for row in rows_of(found, "a")[0]]


@pytest.mark.parametrize(
    ("name", "values", "fractions"),
    [
        ("auroc", [0.55, 0.7, 0.8, 0.9, 0.93, 93.1], [0.55, 0.7, 0.8, 0.9, 0.93, 0.931]),
        ("map", [0.1, 0.5, 1.2, 2.0, 3.0], [0.001, 0.005, 0.012, 0.02, 0.03]),
        ("map", [0.1, 0.4, 0.9, 1.6], [0.001, 0.004, 0.009, 0.016]),
        ("wer", [98.0, 40.0, 17.0], [0.98, 0.4, 0.17]),
        ("wer", [1.8, 1.0, 0.4], [1.8, 1.0, 0.4]),
        ("mcc", [-5.0, 20.0, 61.0], [-0.05, 0.2, 0.61]),
        ("error_rate", [90.1, 89.9], [0.901, 0.899]),
    ],
)
def test_which_numbers_are_percent(name, values, fractions):
    assert column(values, name) == pytest.approx(fractions)
