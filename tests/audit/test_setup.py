"""Checks of the set-up on planted runs: loss, trivial minimiser, one batch, metric."""

from __future__ import annotations

import pytest

from audit.planted import POINT, assert_needs, cites, evidence, finding, planted, probed

FLIPPED, CONSTANT, BATCH, ANSWERS, SHIFTED = (
    "loss_under_flipped_labels",
    "best_constant_loss",
    "one_batch_overfit",
    "metric_on_known_answers",
    "boxes_shifted",
)


def changes(**terms):
    return {"relative_change": terms, "total_reads_labels": any(terms.values())}


def losses(trained, constant):
    return {"samples": 96, "terms": {}, "trained_total": trained, "constant_total": constant}


def batch(first, last, **scores):
    return {"first_loss": first, "last_loss": last, "steps": 40, "scores": scores}


def answers(metric="frame_auroc", **more):
    known = {"perfect": 1.0, "inverted": 0.0, "constant": 0.5, "random_mean": 0.505, "random_standard_error": 0.01}
    return {metric: {**known, "chance": 0.5, "prevalence": 0.3, **more}}


# --- loss_reads_labels --------------------------------------------------------------------------------------------


def test_loss_reads_labels_passes_when_every_term_moves():
    found = probed("loss_reads_labels", FLIPPED, changes(frame=0.8, point=1e-5))
    assert found.status == "pass" and "1e-05" in found.sentence


@pytest.mark.parametrize("change", [0.0, 9e-7])
def test_loss_reads_labels_fails_when_one_term_stands_still(change):
    found = probed("loss_reads_labels", FLIPPED, changes(frame=0.8, point=change))
    assert found.status == "fail" and "The loss term point does not change" in found.sentence
    assert cites(found) == {f"evidence/{FLIPPED}.json"}


@pytest.mark.parametrize("values", [changes(), changes(frame=None, point=0.5)])
def test_loss_reads_labels_is_not_run_when_it_is_undefined(values):
    assert probed("loss_reads_labels", FLIPPED, values).status == "not_run"


# --- trivial_minimiser_not_reached --------------------------------------------------------------------------------


def test_trivial_minimiser_not_reached_passes_below_the_best_constant():
    found = probed("trivial_minimiser_not_reached", CONSTANT, losses(0.4, 0.6))
    assert (found.status, found.value, found.bound) == ("pass", 0.4, 0.6)


@pytest.mark.parametrize("trained", [0.6, 0.7])
def test_trivial_minimiser_not_reached_fails_when_a_constant_does_as_well(trained):
    found = probed("trivial_minimiser_not_reached", CONSTANT, losses(trained, 0.6))
    assert found.status == "fail" and "Constant outputs reach a training loss of 0.6" in found.sentence


@pytest.mark.parametrize("values", [losses(None, 0.6), losses(0.4, None)])
def test_trivial_minimiser_not_reached_is_not_run_when_it_is_undefined(values):
    assert probed("trivial_minimiser_not_reached", CONSTANT, values).status == "not_run"


# --- one_batch_overfits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values",
    [batch(2.0, 0.2, frame_auroc=0.5), batch(2.0, 1.9, frame_auroc=1.0), batch(0.0, 0.0, frame_auroc=1.0)],
    ids=["loss fell by nine tenths", "perfect score", "nothing left to fall"],
)
def test_one_batch_overfits_passes_when_loss_or_score_says_so(values):
    assert probed("one_batch_overfits", BATCH, values).status == "pass"


@pytest.mark.parametrize(
    "values",
    [
        batch(2.0, 0.21, frame_auroc=0.99),
        batch(2.0, 2.5, frame_auroc=None),
        batch(0.0, 0.0),
        batch(2.0, 1.0, point_ap=1.0),
    ],
    ids=["not far enough", "rose", "no loss at all", "another metric"],
)
def test_one_batch_overfits_fails_when_neither_does(values):
    found = probed("one_batch_overfits", BATCH, values)
    assert found.status == "fail" and "in 40 steps" in found.sentence and found.to_settle


@pytest.mark.parametrize("values", [batch(None, 0.1), batch(2.0, None)])
def test_one_batch_overfits_is_not_run_when_the_loss_is_undefined(values):
    assert probed("one_batch_overfits", BATCH, values).status == "not_run"


# --- metric_unit_tested -------------------------------------------------------------------------------------------


def test_metric_unit_tested_passes_on_the_right_answers():
    found = probed("metric_unit_tested", ANSWERS, answers())
    assert found.status == "pass" and found.bound == pytest.approx(0.05, abs=1e-5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"perfect": 0.999}, "perfect predictions score 0.999"),
        ({"random_mean": 0.56}, "random ones average 0.5600, chance is 0.5000"),
        ({"random_mean": 0.44}, "random ones average 0.4400"),
        ({"inverted": 0.51}, "are not below constant ones"),
        ({"inverted": 1.0}, "are not below constant ones"),
    ],
)
def test_metric_unit_tested_fails_on_a_wrong_answer(wrong, said):
    found = probed("metric_unit_tested", ANSWERS, answers(**wrong))
    assert found.status == "fail" and said in found.sentence


def test_one_positive_among_many_makes_inverted_and_constant_equal():
    assert probed("metric_unit_tested", ANSWERS, answers(inverted=0.5)).status == "pass"


@pytest.mark.parametrize("key", ["perfect", "inverted", "constant", "random_mean", "random_standard_error", "chance"])
def test_metric_unit_tested_is_not_run_when_an_answer_is_undefined(key):
    assert probed("metric_unit_tested", ANSWERS, answers(**{key: None})).status == "not_run"


def test_metric_unit_tested_is_about_the_claim_in_focus():
    record = planted(evidence(ANSWERS, {**answers(), **answers("point_ap", perfect=0.4)}))
    assert finding("metric_unit_tested", record).status == "pass"
    assert finding("metric_unit_tested", record.about(POINT)).status == "fail"
    assert finding("metric_unit_tested", planted(evidence(ANSWERS, answers())).about(POINT)).status == "not_run"


# --- box_score_follows_place and boxes_share_unit ------------------------------------------------------------------


def shifted(scores=(1.0, 0.9, 0.1), problems=(), **units):
    curve = {"fractions": [0.0, 0.1, 2.0], "scores": list(scores), "oracle": scores[0], "problems": list(problems)}
    plain = {"problem": None, "as_they_are": 0.7, "best": 0.2, "labels": [3.0, 790.0], "predictions": [0.0, 799.0]}
    return {"curves": {"frame_auroc": curve}, "units": {**plain, **units}}


def test_box_score_follows_place_passes_when_it_falls_from_1():
    found = probed("box_score_follows_place", SHIFTED, shifted())
    assert found.status == "pass" and "is 1 for the labelled boxes and falls to 0.1" in found.sentence
    assert found.value == [1.0, 0.9, 0.1] and cites(found) == {f"evidence/{SHIFTED}.json"}


def test_box_score_follows_place_fails_with_what_is_wrong():
    wrong = shifted(scores=(0.0, 0.0, 0.0), problems=["the labels themselves score 0 instead of 1"])
    found = probed("box_score_follows_place", SHIFTED, wrong)
    assert found.status == "fail" and found.sentence == "frame_auroc: the labels themselves score 0 instead of 1"
    assert "void" in found.to_settle


@pytest.mark.parametrize("values", [shifted(scores=(None, None, None)), {"curves": {}, "units": None}])
def test_box_score_follows_place_is_not_run_where_nothing_is_scored(values):
    assert probed("box_score_follows_place", SHIFTED, values).status == "not_run"


def test_boxes_share_unit_passes_when_nothing_speaks_against_it():
    found = probed("boxes_share_unit", SHIFTED, shifted())
    assert found.status == "pass" and "from 3 to 790" in found.sentence


def test_boxes_share_unit_fails_with_the_reading_that_agrees():
    reading = "they agree only when the predictions are divided by 224"
    found = probed("boxes_share_unit", SHIFTED, shifted(problem=reading, as_they_are=0.0, best=0.9))
    assert found.status == "fail" and reading in found.sentence and "0.000 as they are, 0.900 read so" in found.sentence
    assert probed("boxes_share_unit", SHIFTED, shifted(problem="x", best=None)).status == "fail"


@pytest.mark.parametrize("values", [{"curves": {}, "units": None}, shifted(labels=None), shifted(predictions=None)])
def test_boxes_share_unit_is_not_run_without_boxes(values):
    assert probed("boxes_share_unit", SHIFTED, values).status == "not_run"


def test_boxes_answered_passes_with_a_box():
    assert probed("boxes_answered", SHIFTED, shifted()).status == "pass"


def test_boxes_answered_fails_without_any():
    found = probed("boxes_answered", SHIFTED, shifted(predictions=None))
    assert found.status == "fail" and "no box on any test image" in found.sentence
    assert cites(found) == {f"evidence/{SHIFTED}.json"}


@pytest.mark.parametrize("values", [{"curves": {}, "units": None}, shifted(labels=None)])
def test_boxes_answered_is_not_run_without_labelled_boxes(values):
    assert probed("boxes_answered", SHIFTED, values).status == "not_run"


@pytest.mark.parametrize(
    ("check", "probe", "values"),
    [
        ("boxes_answered", SHIFTED, shifted()),
        ("box_score_follows_place", SHIFTED, shifted()),
        ("boxes_share_unit", SHIFTED, shifted()),
        ("loss_reads_labels", FLIPPED, changes(frame=0.8)),
        ("trivial_minimiser_not_reached", CONSTANT, losses(0.4, 0.6)),
        ("one_batch_overfits", BATCH, batch(2.0, 0.1)),
        ("metric_unit_tested", ANSWERS, answers()),
    ],
)
def test_without_its_probe_a_check_does_not_run(check, probe, values):
    assert_needs(check, probe, values)


def test_one_batch_overfits_asks_each_task():
    """A total may fall because one of two tasks was fitted alone."""
    values = {"first_loss": 1.0, "last_loss": 0.05, "steps": 200, "scores": {"frame_auroc": 0.7}}
    alone = {"detection": {"first": 0.06, "last": 0.05}, "view": {"first": 0.94, "last": 0.0}}
    both = {"detection": {"first": 0.5, "last": 0.04}, "view": {"first": 0.5, "last": 0.01}}
    found = probed("one_batch_overfits", "one_batch_overfit", {**values, "tasks": alone})
    assert found.status == "fail" and "detection 0.06 to 0.05" in found.sentence
    assert found.value == pytest.approx(0.05 / 0.06)
    assert probed("one_batch_overfits", "one_batch_overfit", {**values, "tasks": both}).status == "pass"
    fitted = {**values, "tasks": alone, "scores": {"frame_auroc": 1.0}}
    assert probed("one_batch_overfits", "one_batch_overfit", fitted).status == "pass", "the claim's score is perfect"


@pytest.mark.parametrize(("score", "status"), [(0.9, "pass"), (0.89, "fail"), (None, "fail")])
def test_one_batch_overfits_by_the_score_that_the_task_says_is_enough(score, status):
    values = {"first_loss": 30.0, "last_loss": 5.0, "steps": 200, "scores": {"frame_auroc": score}, "enough": 0.9}
    assert probed("one_batch_overfits", "one_batch_overfit", values).status == status
