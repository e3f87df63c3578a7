from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veritrain.audit.bare_log import (
    FAMILIES,
    MIN_EVALUATIONS,
    RULE_VERSION,
    answer_pair,
    judge_series,
    majority_of,
    read_log,
    upper_share,
)
from veritrain.audit.series import Point, Series
from veritrain.record import Row, RunRecord, Statement

DOCS = Path(__file__).resolve().parents[2] / "docs" / "bare_log_rule.md"


def series(values, name="accuracy", split="val"):
    points = tuple(Point(value=value, line=i + 2, half_ulp=5e-5, place=float(i)) for i, value in enumerate(values))
    return Series(file="a.csv", run="1", split=split, name=name, points=points)


def record(values, name="accuracy", statements=()):
    rows = tuple(
        Row(file="a.csv", line=i + 2, name=name, raw=name, value=value, split="val", epoch=float(i))
        for i, value in enumerate(values)
    )
    return RunRecord(path=Path("a.csv"), kind="csv_history", rows=rows, statements=statements)


def told(kind, **values):
    return Statement(file="a.csv", line=1, kind=kind, text="", values=values)


HEALTHY = {
    "a plateau at a good value": ([0.0, 0.2, 0.6] + [0.9] * 250, "map_50"),
    "flat for the whole run, fine-tuned": ([0.61] * 30, "map_50"),
    "a warm start that dips": ([0.62, 0.4, 0.3, 0.5, 0.7, 0.8], "map_50"),
    "at chance for five epochs": ([0.51, 0.5, 0.49, 0.53, 0.55, 0.8, 0.95, 0.97], "auroc"),
    "below chance at first": ([0.26, 0.25, 0.4, 0.71, 0.9, 0.92, 0.93], "accuracy"),
    "word errors fall": ([1.0, 1.0, 0.8, 0.5, 0.2, 0.14], "wer"),
    "a late collapse that stays above": ([0.06, 0.2, 0.3, 0.42, 0.24, 0.18, 0.23], "miou"),
    "wild noise": ([0.59, 0.39, 0.8, 0.86, 0.66, 0.93, 0.85, 0.95, 0.95, 0.87], "accuracy"),
    "a third of the error gone": ([0.88, 0.92, 0.946, 0.95, 0.957], "accuracy"),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_a_healthy_log_is_above(case):
    values, name = HEALTHY[case]
    assert judge_series(series(values, name)).word == "above"


OPEN = {
    "saturated from the first epoch": ([0.993, 1.0, 0.98, 0.986, 0.979], "accuracy"),
    "a small gain from a high start": ([0.958, 0.96, 0.965, 0.967], "accuracy"),
    "one jump, then the same number for ever": ([0.4, 0.73, 0.73, 0.73, 0.73, 0.73], "accuracy"),
    "two answers in turn": ([0.375, 0.625, 0.625, 0.375, 0.625, 0.625, 0.5, 0.6, 0.625], "accuracy"),
    "still rising from nothing": ([0.0] * 8 + [0.001, 0.004, 0.009, 0.015], "map_50"),
    "an error without a scale": ([3.0, 1.0, 0.2, 0.1], "mae"),
}


@pytest.mark.parametrize("case", OPEN)
def test_a_log_that_cannot_tell_is_open(case):
    values, name = OPEN[case]
    assert judge_series(series(values, name)).word == "open"


TRIVIAL = {
    "AUROC at chance for a long run": ([0.5, 0.51, 0.49, 0.52, 0.5, 0.48, 0.51, 0.5, 0.49, 0.5, 0.51], "auroc"),
    "mAP pinned at 0": ([0.005, 0.04, 0.008] + [0.0] * 30, "map_50"),
    "word errors stay at 1": ([1.0] * 12, "wer"),
    "one answer of ten classes": ([0.1] * 8, "accuracy"),
    "one answer of two": ([0.5] * 20, "accuracy"),
}


@pytest.mark.parametrize("case", TRIVIAL)
def test_positive_evidence_of_no_learning_is_trivial(case):
    values, name = TRIVIAL[case]
    assert judge_series(series(values, name)).word == "trivial"


def test_two_evaluations_are_too_few():
    assert read_log(record([0.1, 0.9])) == []
    assert len(read_log(record([0.1, 0.9, 0.9]))) == 1
    assert MIN_EVALUATIONS == 3


def test_the_majority_of_the_file_is_the_trivial_level():
    prior = told("prevalence", majority=0.9, positive=0.1)
    assert read_log(record([0.5, 0.89, 0.9, 0.9], statements=(prior,)))[0].word == "open"
    assert read_log(record([0.5, 0.89, 0.9, 0.9]))[0].word == "above"


def test_mean_iou_knows_its_level_from_the_number_of_classes():
    values = [0.063, 0.063, 0.192, 0.192, 0.192]
    assert read_log(record(values, "miou", (told("classes", classes=19.0),)))[0].word == "above"


def test_a_completed_training_needs_no_long_log():
    values = [0.012, 0.0118, 0.0117, 0.0184]
    assert judge_series(series(values, "map_50")).word == "open"
    assert judge_series(series(values, "map_50"), completed=True).word == "trivial"


def test_series_without_a_subject_come_first():
    rows = [*record([0.1, 0.8, 0.9]).rows]
    rows += [
        Row(file="a.csv", line=9, name="accuracy/head", raw="", value=0.5, split="val", epoch=float(i))
        for i in range(5)
    ]
    both = RunRecord(path=Path("a.csv"), kind="csv_history", rows=tuple(rows))
    assert [reading.series.name for reading in read_log(both)] == ["accuracy"]


@given(st.lists(st.floats(0, 1), min_size=3, max_size=40), st.sampled_from(sorted(FAMILIES)))
def test_every_series_gets_one_of_three_words(values, name):
    reading = judge_series(series(values, name))
    assert reading.word in ("above", "open", "trivial") and reading.sentence


@given(st.lists(st.floats(0.0, 0.019), min_size=3, max_size=9))
def test_few_evaluations_near_zero_never_refute(values):
    assert judge_series(series(values, "map_50")).word == "open"


@given(st.integers(1, 500), st.data())
def test_the_upper_bound_is_above_the_share(n, data):
    correct = data.draw(st.integers(0, n))
    assert correct / n - 1e-9 <= upper_share(correct, n) <= 1.0 + 1e-9


def test_a_pair_of_answers_must_sum_to_one():
    assert answer_pair(series([0.4, 0.6, 0.6, 0.6, 0.4])) == 0.6
    assert answer_pair(series([0.3, 0.6, 0.6, 0.6, 0.3])) is None


def test_the_page_states_the_rule_that_runs():
    text = DOCS.read_text(encoding="utf-8")
    assert f"Version {RULE_VERSION}" in text
    for name, family in FAMILIES.items():
        line = next(line for line in text.splitlines() if line.startswith("|") and f"`{name}`" in line)
        assert f"{family.effect:g}" in line or "never large" in line


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("auroc", [0.45 - i / 50 for i in range(20)]),
        ("auroc", [0.43] * 20),
        ("wer", [17.0] * 20),
        ("cer", [1.7] * 20),
        ("accuracy", [0.0] * 6),
        ("accuracy", [1 / 40] * 6),
    ],
)
def test_the_far_side_of_the_trivial_level_is_open(name, values):
    assert judge_series(series(values, name)).word == "open"


def test_one_printed_place_cannot_tell_a_third():
    points = tuple(Point(value=0.3, line=i, half_ulp=0.05, place=float(i)) for i in range(6))
    assert judge_series(Series(file="a", run="1", split="val", name="accuracy", points=points)).word == "open"
    assert judge_series(series([0.3333] * 6)).word == "trivial"


def test_a_share_of_positives_is_no_majority_of_many_classes():
    said = told("prevalence", majority=0.9, positive=0.1)
    assert majority_of(record([0.5], statements=(said,))) == 0.9
    assert majority_of(record([0.5], statements=(said, told("classes_in_words", classes=8)))) is None


@pytest.mark.parametrize("values", [[0.1, *[0.9] * 9], [0.3, 0.7, 0.7, 0.7], [1.0] * 10])
def test_a_swap_of_constant_answers_and_a_perfect_start_are_open(values):
    assert judge_series(series(values)).word == "open"
    assert judge_series(series([0.31, 0.7, 0.9, 0.9, 0.91])).word == "above"
