"""The rule "most frequent view of each valve"."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veritrain.data.echo import EchoFormat
from veritrain.data.view_rule import ViewRule, view_table

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 2)), min_size=1, max_size=40)


def test_a_case_by_hand():
    classes, views = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 1, 2, 0, -1, -1])
    rule = ViewRule.fit(classes, views, of_classes=4, of_views=3)
    assert rule.view_of.tolist() == [1, 0, 1, 1], "valves without a view take the most frequent of all"
    np.testing.assert_allclose(rule.accuracy(classes, views), [2 / 3, 1, np.nan, np.nan])


@settings(max_examples=40)
@given(pairs)
def test_no_other_rule_is_right_more_often_where_it_was_fitted(drawn):
    classes, views = np.array(drawn).T
    table = view_table(classes, views, of_classes=4, of_views=3)
    accuracy = ViewRule.fit(classes, views, of_classes=4, of_views=3).accuracy(classes, views)
    for row, value in zip(table, accuracy, strict=True):
        assert np.isnan(value) if not row.sum() else value == row.max() / row.sum()
    assert table.sum() == (views >= 0).sum()


def test_it_is_scored_on_other_samples_than_it_was_fitted_on():
    rule = ViewRule.fit(np.array([0, 0, 1]), np.array([2, 2, 1]), of_classes=2, of_views=3)
    np.testing.assert_allclose(rule.accuracy(np.array([0, 0, 0, 1]), np.array([2, 1, 0, 0])), [1 / 3, 0])


@pytest.mark.skipif(not (SHARED / "echo").is_dir(), reason="the real echo frames (../shared/data) are not here")
def test_on_all_frames_of_the_real_set():
    source = EchoFormat(SHARED / "echo")
    labels = [source.labels(key) for key in list(source.keys())]
    classes, views = (np.array([value(one) for one in labels]) for value in (lambda x: x.classes[0], lambda x: x.view))
    accuracy = ViewRule.fit(classes, views, of_classes=4, of_views=3).accuracy(classes, views)
    np.testing.assert_allclose(accuracy, [0.835, 0.353, 0.983, 0.779], atol=5e-4)
