"""Joined tables answer as their parts do; groups are numbered in the order of their names."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.made_scan import VALVES, ScanTask, scan
from veritrain.errors import UsageError
from veritrain.tasks.box_tables import BoxTables
from veritrain.tasks.tables import JoinedTables, numbered_groups, value_of


def test_groups_are_numbered_by_name():
    n, of = numbered_groups(["b", "a", "b", "c"])
    assert n == 3 and of.tolist() == [1, 0, 1, 2]


def test_joined_tables_answer_as_their_parts():
    predictions, groups = scan(0)
    boxes = BoxTables.of(predictions, groups, VALVES, threshold=0.5)
    joined = ScanTask(threshold=0.5).tables(predictions, groups)
    assert joined.metrics == (
        *("map", "map_50", "precision", "recall", "f1"),
        *("view_accuracy", "view_macro_f1", "view_balanced_accuracy", "view_accuracy_given_valve"),
    )
    assert joined.n_groups == boxes.n_groups == 12
    weights = np.random.default_rng(0).integers(0, 3, (4, 12))
    for metric in (*boxes.metrics, "map_50:MR"):
        assert joined.value(metric) == boxes.value(metric) and joined.chance(metric) == boxes.chance(metric)
        assert joined.counts(metric) == boxes.counts(metric) and joined.reach(metric) == 1.0
        assert np.array_equal(joined.under(weights, metric), boxes.under(weights, metric))
        assert np.array_equal(joined.strata(metric), boxes.strata(metric)) and joined.higher_is_better(metric)
    assert joined.permuted("map_50") == boxes.permuted("map_50")
    with pytest.raises(UsageError, match="view_macro_f1"):
        joined.value("auroc")


def test_parts_must_have_the_same_groups_and_different_metrics():
    predictions, groups = scan(0)
    boxes = BoxTables.of(predictions, groups, VALVES)
    with pytest.raises(UsageError, match="do not join"):
        JoinedTables(boxes, boxes)
    other = ScanTask().tables(*scan(1, 5)).part_of("view_accuracy")
    with pytest.raises(UsageError, match="do not join"):
        JoinedTables(boxes, other)


def test_a_nan_is_none():
    assert value_of(lambda w, metric: np.full(len(w), np.nan), 3, "x") is None
    assert value_of(lambda w, metric: w.sum(axis=1), 3, "x") == 3.0
