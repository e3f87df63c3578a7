"""The tables of classes: values, weights, conditions, rules, calibration and known answers."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.made_scan import VALVES, VIEWS, ScanTask, scan, valves_in
from veritrain.errors import UsageError
from veritrain.metrics.multiclass import accuracy_given, class_scores, majority_scores
from veritrain.tasks.class_tables import ClassTables, known_class_answers, rule_given, shares_of


def tables_of(scanned, **options) -> ClassTables:
    predictions, groups = scanned
    given = {"given": valves_in(predictions), "given_names": VALVES}
    return ClassTables(
        predictions["view_probabilities"],
        predictions["view_labels"],
        groups,
        prefix="view",
        **{**given, **options},
    )


@pytest.fixture(scope="module")
def scanned():
    return scan(2)


def test_values_are_those_of_the_most_probable_class(scanned):
    predictions, _ = scanned
    tables = tables_of(scanned)
    labels, answers = predictions["view_labels"], predictions["view_probabilities"].argmax(axis=1)
    expected = class_scores(labels, answers, VIEWS)
    assert tables.value("view_accuracy") == pytest.approx(expected.accuracy)
    assert tables.value("view_macro_f1") == pytest.approx(expected.macro_f1)
    assert tables.value("view_balanced_accuracy") == pytest.approx(expected.balanced_accuracy)
    given = valves_in(predictions)
    assert tables.value("view_accuracy_given_valve") == pytest.approx(accuracy_given(labels, answers, given))
    own = given[:, 1] & (labels >= 0)
    assert tables.value("view_accuracy_given_valve:MR") == pytest.approx((labels == answers)[own].mean())
    assert tables.counts("view_accuracy_given_valve:MR") == (own.sum(), None)
    assert tables.counts("view_accuracy") == ((labels >= 0).sum(), None)
    assert tables.counts("view_accuracy_given_valve")[0] == (given.any(axis=1) & (labels >= 0)).sum()
    assert tables.unknown == (labels < 0).sum() > 0
    assert tables.confusion() == [list(row) for row in expected.confusion]


@pytest.mark.parametrize("metric", ["view_accuracy", "view_macro_f1", "view_accuracy_given_valve"])
def test_a_group_left_out_is_as_if_it_were_not_there(scanned, metric):
    predictions, groups = scanned
    kept = np.array(groups) != "p03"
    weights = np.ones((1, 12), int)
    weights[0, 3] = 0
    rest = ClassTables(
        predictions["view_probabilities"][kept],
        predictions["view_labels"][kept],
        np.array(groups)[kept],
        prefix="view",
        given=valves_in(predictions)[kept],
        given_names=VALVES,
    )
    assert tables_of(scanned).under(weights, metric)[0] == pytest.approx(rest.value(metric))


def test_without_conditions_there_is_no_score_given_them(scanned):
    tables = tables_of(scanned, given=None, given_names=())
    assert tables.metrics == ("view_accuracy", "view_macro_f1", "view_balanced_accuracy")
    assert tables.class_metrics == ()
    with pytest.raises(UsageError):
        tables.value("view_accuracy_given_valve")


def test_a_rule_answers_by_the_condition(scanned):
    """Scored on its own set the rule is at least as good as always naming one view; it is fitted where told."""
    predictions, _ = scanned
    labels, given = predictions["view_labels"], valves_in(predictions)
    answers = rule_given(labels, given, VIEWS, len(labels))
    ruled = tables_of(scanned, given_answers=answers)
    within = [
        np.bincount(labels[own & (labels >= 0)], minlength=VIEWS).max() / (own & (labels >= 0)).sum() for own in given.T
    ]
    assert ruled.value("view_accuracy_given_valve") == pytest.approx(np.mean(within))
    assert ruled.value("view_accuracy") == tables_of(scanned).value("view_accuracy")
    other = rule_given(*[part[::-1] for part in (labels, given)], VIEWS, 3)
    assert other.shape == (3, 2) and np.array_equal(other[0], answers[0])


def test_the_prior_scores_what_the_most_frequent_class_scores(scanned):
    predictions, groups = scanned
    shares = shares_of(predictions["view_labels"], VIEWS)
    assert shares.sum() == pytest.approx(1.0)
    prior = tables_of(({**predictions, "view_probabilities": np.tile(shares, (len(groups), 1))}, groups))
    counts = np.bincount(predictions["view_labels"][predictions["view_labels"] >= 0], minlength=VIEWS)
    assert prior.value("view_macro_f1") == pytest.approx(majority_scores(counts).macro_f1[0])
    with pytest.raises(UsageError):
        shares_of([-1, -1], VIEWS)


def test_chance_is_one_in_three_and_below_it_for_f1(scanned):
    tables = tables_of(scanned)
    assert tables.chance("view_accuracy") == tables.chance("view_accuracy_given_valve") == pytest.approx(1 / 3)
    assert 0.25 < tables.chance("view_macro_f1") < 1 / 3


def test_known_answers_have_their_known_scores(scanned):
    predictions, groups = scanned
    known = known_class_answers(predictions["view_labels"], VIEWS)

    def score(probabilities, metric: str) -> float:
        return tables_of(({**predictions, "view_probabilities": probabilities}, groups)).value(metric)

    for metric in tables_of(scanned).metrics:
        assert score(known["perfect"], metric) == 1.0 and score(known["inverted"], metric) == 0.0
        assert 0 < score(known["constant"], metric) < 0.6
        drawn = [score(known["random"](seed), metric) for seed in range(60)]
        assert abs(np.mean(drawn) - tables_of(scanned).chance(metric)) < 4 * np.std(drawn) / 60**0.5


def test_answers_that_know_pass_the_permutation_test_and_the_prior_does_not(scanned):
    tables = tables_of(scanned)
    for metric in ("view_macro_f1", "view_accuracy_given_valve"):
        found = tables.permuted(metric)
        assert found.p_value < 0.01 and found.observed == pytest.approx(tables.value(metric))
        assert found.n_permutations == 9999
    predictions, groups = scanned
    constant = known_class_answers(predictions["view_labels"], VIEWS)["constant"]
    prior = tables_of(({**predictions, "view_probabilities": constant}, groups))
    assert prior.permuted("view_macro_f1").p_value > 0.3
    with pytest.raises(UsageError, match="one condition"):
        tables.permuted("view_accuracy_given_valve:AR")


def test_calibration_is_told_beside_what_chance_alone_would_make_it(scanned):
    told = tables_of(scanned).calibration()
    assert set(told) == {"error", "ci95", "error_if_calibrated", "brier", "brier_of_shares", "bins", "n", "unknown"}
    assert told["ci95"][0] < told["error"] < told["ci95"][1] and 0 < told["error_if_calibrated"] < 0.3
    assert told["brier"] < told["brier_of_shares"]
    assert sum(one["n"] for one in told["bins"]) == told["n"] == tables_of(scanned).counts("view_accuracy")[0]


def test_strata_tell_which_groups_hold_a_known_label(scanned):
    predictions, groups = scanned
    labels = predictions["view_labels"].copy()
    labels[np.array(groups) == "p05"] = -1
    tables = tables_of(({**predictions, "view_labels": labels}, groups))
    assert np.flatnonzero(~tables.strata("view_accuracy")).tolist() == [5]
    assert not tables.strata("view_accuracy_given_valve")[5]
    assert tables.reach("view_accuracy") == 1.0 and tables.higher_is_better("view_accuracy")


@pytest.mark.parametrize("metric", ["view_auroc", "accuracy", "view_accuracy:AR", "view_accuracy_given_valve:XX"])
def test_an_unknown_score_is_refused(scanned, metric):
    with pytest.raises(UsageError):
        tables_of(scanned).value(metric)


def test_nan_probabilities_are_refused(scanned):
    predictions, groups = scanned
    spoilt = {**predictions, "view_probabilities": np.full((len(groups), 3), np.nan)}
    with pytest.raises(UsageError):
        tables_of((spoilt, groups))


def test_the_joined_task_scores_views_too(scanned):
    assert ScanTask().score(scanned[0])["view_accuracy"] == tables_of(scanned).value("view_accuracy")
